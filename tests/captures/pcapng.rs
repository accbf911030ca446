//! The pcapng format.

use traffic_mirror::io::capture::CaptureSource;
use traffic_mirror::model::Direction;

use crate::build::{Order, Pcapng, padded};
use crate::reading::{OwnedFrame, read_all_ways};

const TSRESOL: u16 = 9;
const TSOFFSET: u16 = 14;
const FLAGS: u16 = 2;

/// The time of a packet of `ticks` by a clock with these options.
fn time_of(order: Order, options: &[(u16, Vec<u8>)], ticks: u64) -> u64 {
    let capture = Pcapng::new(order);
    let options: Vec<u8> =
        options.iter().flat_map(|(code, value)| capture.option(*code, value)).collect();
    let capture = capture.interface(1, 0, &options).packet(0, ticks, &[1]);
    read_all_ways(&capture.bytes()).timestamps()[0]
}

#[test]
fn timestamps_use_the_resolution_of_their_interface() {
    for order in Order::BOTH {
        assert_eq!(time_of(order, &[], 1_000_001), 1_000_001_000);
        for (resolution, ticks, expected) in [
            (0, 3, 3_000_000_000),
            (3, 3, 3_000_000),
            (9, 3, 3),
            (12, 3_999, 3),
            (39, u64::MAX, 0),
            (127, u64::MAX, 0),
            (0x80, 3, 3_000_000_000),
            (0x81, 3, 1_500_000_000),
            (0x88, 256 + 64, 1_250_000_000),
            (0xff, u64::MAX, 0),
            (0, u64::MAX, u64::MAX),
        ] {
            let options = [(TSRESOL, vec![resolution])];
            assert_eq!(time_of(order, &options, ticks), expected, "{resolution} {ticks}");
        }
    }
}

#[test]
fn timestamps_use_the_offset_of_their_interface() {
    for order in Order::BOTH {
        let set = |seconds| vec![(TSOFFSET, order.i64_bytes(seconds).to_vec())];
        assert_eq!(time_of(order, &set(10), 1), 10_000_001_000);
        assert_eq!(time_of(order, &set(-1), 3_000_000), 2_000_000_000);
        assert_eq!(time_of(order, &set(-10), 1), 0);
        assert_eq!(time_of(order, &set(i64::MAX), u64::MAX), u64::MAX);
        assert_eq!(time_of(order, &set(i64::MIN), u64::MAX), 0);
    }
}

#[test]
fn all_kinds_of_packets_are_read() {
    for order in Order::BOTH {
        let capture = Pcapng::ethernet(order)
            .packet(0, 1_000, &[1; 5])
            .packet_of(2, [0, 3, 60], 2_000, &padded(&[2; 3]))
            .simple(7, &[3; 7])
            .packet_of(6, [0, 4, 2], 3_000, &[4; 4])
            .bytes();
        let contents = read_all_ways(&capture);
        assert_eq!(contents.timestamps(), [1_000_000, 2_000_000, 0, 3_000_000]);
        let wire_lens: Vec<_> = contents.frames.iter().map(|frame| frame.wire_len).collect();
        assert_eq!(wire_lens, [5, 60, 7, 4]);
        assert_eq!(contents.into_valid_frames(), [vec![1; 5], vec![2; 3], vec![3; 7], vec![4; 4]]);
    }
}

#[test]
fn a_simple_packet_is_limited_by_the_snaplen_of_its_interface() {
    let frame_of = |snaplen, wire_len, bytes: &[u8]| -> OwnedFrame {
        let capture = Pcapng::new(Order::Little).interface(1, snaplen, &[]);
        read_all_ways(&capture.simple(wire_len, bytes).bytes()).frames.remove(0)
    };
    assert_eq!(frame_of(0, 7, &[1; 7]).bytes, [1; 7]);
    assert_eq!(frame_of(5, 7, &[1; 5]).bytes, [1; 5]);
    assert_eq!(frame_of(5, 3, &[1; 3]).bytes, [1; 3]);
    let cut = frame_of(0, 1_500, &[1; 8]);
    assert_eq!((cut.bytes.len(), cut.wire_len), (8, 1_500));
}

#[test]
fn packet_flags_give_the_direction() {
    for order in Order::BOTH {
        for (flags, direction) in [
            (0, None),
            (1, Some(Direction::Ingress)),
            (2, Some(Direction::Egress)),
            (3, None),
            (0xffff_fffd, Some(Direction::Ingress)),
        ] {
            for kind in [2, 6] {
                let capture = Pcapng::ethernet(order);
                let options = [
                    capture.option(1, b"a comment"),
                    capture.option(FLAGS, &order.u32_bytes(flags)),
                    capture.option(0, &[]),
                ];
                let rest = [padded(&[1; 6]), options.concat()].concat();
                let capture = capture.packet_of(kind, [0, 6, 6], 0, &rest);
                assert_eq!(read_all_ways(&capture.bytes()).frames[0].direction, direction);
            }
        }
    }
}

#[test]
fn unreadable_packet_options_lose_only_the_direction() {
    let capture = Pcapng::ethernet(Order::Little);
    for options in [vec![2, 0, 200, 0], vec![2, 0, 1, 0, 1, 0, 0, 0], vec![9]] {
        let capture = capture.clone().packet_with(0, 0, &[1; 4], &padded(&options));
        let contents = read_all_ways(&capture.bytes());
        assert_eq!(contents.frames[0].direction, None);
        assert_eq!(contents.into_valid_frames(), [[1; 4]]);
    }
}

#[test]
fn each_section_has_its_own_byte_order_and_interfaces() {
    let nano = |capture: Pcapng| {
        let options = capture.option(TSRESOL, &[9]);
        capture.interface(1, 0, &options)
    };
    let capture = nano(Pcapng::ethernet(Order::Little)).packet(1, 5, &[1]).packet(0, 5, &[2]);
    let capture = nano(capture.section(Order::Big)).packet(0, 6, &[3]).interface(1, 0, &[]);
    let capture = capture.packet(1, 6, &[4]).section(Order::Little).section(Order::Big);
    let contents = read_all_ways(&capture.bytes());
    assert_eq!(contents.timestamps(), [5, 5_000, 6, 6_000]);
    assert_eq!(contents.into_valid_frames(), [[1], [2], [3], [4]]);
}

#[test]
fn unknown_blocks_are_skipped() {
    let huge = vec![0xee; 20 * 1024 * 1024];
    let capture = Pcapng::ethernet(Order::Big)
        .block(4, &[1; 20])
        .packet(0, 0, &[1])
        .block(0x0bad_cafe, &[])
        .block(0x8000_0001, &huge)
        .packet(0, 0, &[2]);
    assert_eq!(read_all_ways(&capture.bytes()).into_valid_frames(), [[1], [2]]);
}

#[test]
fn interfaces_before_the_first_packet_decide_the_precision() {
    let is_nanosecond = |capture: Pcapng| {
        CaptureSource::from_bytes("capture", capture.bytes()).unwrap().needs_nanoseconds()
    };
    for (resolution, is_fine) in
        [(6, false), (7, true), (9, true), (0x86, false), (0x87, true), (0x88, true)]
    {
        let capture = Pcapng::ethernet(Order::Little).block(5, &[0; 8]);
        let options = capture.option(TSRESOL, &[resolution]);
        assert_eq!(is_nanosecond(capture.clone().interface(1, 0, &options)), is_fine);
        assert!(!is_nanosecond(capture.packet(0, 0, &[1]).interface(1, 0, &options)));
    }
}

#[test]
fn a_version_that_libpcap_refuses_is_read_with_a_warning() {
    for (minor, warnings) in [(0, 0), (1, 1), (2, 0), (3, 1)] {
        let mut capture = Pcapng::ethernet(Order::Little).packet(0, 0, &[1]).bytes();
        capture[14] = minor;
        assert_eq!(read_all_ways(&capture).into_valid_frames(), [[1]]);
        let mut source = CaptureSource::from_bytes("capture", capture).unwrap();
        let messages = source.take_warnings();
        assert_eq!(messages.len(), warnings, "1.{minor}: {messages:?}");
        let expected = format!("version 1.{minor} of pcapng: expected 1.0 or 1.2");
        assert!(messages.iter().all(|warning| warning.starts_with(&expected)), "{messages:?}");
        assert!(source.take_warnings().is_empty());
    }
}

#[test]
fn a_frame_check_sequence_is_removed_from_packets_of_its_interface() {
    const FCSLEN: u16 = 13;
    for order in Order::BOTH {
        let capture = Pcapng::new(order);
        let (bytes, bits) = (capture.option(FCSLEN, &[4]), capture.option(FCSLEN, &[16]));
        let flags = |len: u32| capture.option(FLAGS, &order.u32_bytes(len << 5 | 2));
        let capture = capture.clone().interface(1, 6, &bytes).interface(1, 0, &bits);
        let capture = capture.interface(1, 0, &[]);
        let capture = capture
            .packet(0, 0, &[1; 8])
            .packet(1, 0, &[2; 8])
            .packet(2, 0, &[3; 8])
            .packet_with(2, 0, &[4; 8], &flags(8))
            .packet_with(0, 0, &[5; 8], &flags(1))
            .packet_with(0, 0, &[6; 8], &flags(0))
            .packet(0, 0, &[7; 3])
            .packet_of(2, [0, 8, 10], 0, &[8; 8])
            .simple(8, &[9; 6]);
        let contents = read_all_ways(&capture.bytes());
        let lens: Vec<_> = contents.frames.iter().map(|frame| frame.bytes.len()).collect();
        assert_eq!(lens, [4, 6, 8, 0, 7, 4, 3, 6, 4], "{order:?}");
        let wire_lens: Vec<_> = contents.frames.iter().map(|frame| frame.wire_len).collect();
        assert_eq!(wire_lens, [4, 6, 8, 0, 7, 4, 3, 6, 4], "{order:?}");
        assert_eq!(contents.frames[3].direction, Some(Direction::Egress));
    }
}
