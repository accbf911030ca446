//! The pcap format.

use traffic_mirror::io::capture::CaptureSource;

use crate::build::{MICRO, MODIFIED, NANO, Order, Pcap};
use crate::reading::{read_all_ways, try_read_all_ways};

#[test]
fn each_magic_number_is_read_in_both_byte_orders() {
    for order in Order::BOTH {
        for (magic, unit) in [(MICRO, 1_000), (NANO, 1), (MODIFIED, 1_000)] {
            let capture = Pcap::new(order, magic)
                .record([1, 23, 3, 60], &[1, 2, 3])
                .record([4_294_967_295, 5, 0, 0], &[])
                .record([2, 0, 5, 5], &[9; 5])
                .bytes();
            let contents = read_all_ways(&capture);
            let seconds = [1_000_000_000, 4_294_967_295_000_000_000, 2_000_000_000];
            let expected = [seconds[0] + 23 * unit, seconds[1] + 5 * unit, seconds[2]];
            assert_eq!(contents.timestamps(), expected, "{order:?} {magic:x}");
            assert_eq!(contents.frames[0].wire_len, 60);
            assert_eq!(contents.into_valid_frames(), [vec![1, 2, 3], vec![], vec![9; 5]]);
            let source = CaptureSource::from_bytes("capture", capture).unwrap();
            assert_eq!(source.needs_nanoseconds(), magic == NANO);
        }
    }
}

#[test]
fn unusual_headers_of_real_files_are_read() {
    let unbelievable_snaplens = [0, 1, u32::MAX];
    for snaplen in unbelievable_snaplens {
        let capture = Pcap { snaplen, ..Pcap::new(Order::Little, MICRO) };
        assert_eq!(
            read_all_ways(&capture.whole(&[7; 100]).bytes()).into_valid_frames(),
            [[7; 100]]
        );
    }
    // A wire length below the captured one; 2.5 s in the field of microseconds.
    let capture = Pcap::new(Order::Big, MICRO).record([1, 2_500_000, 4, 2], &[1; 4]);
    let contents = read_all_ways(&capture.bytes());
    assert_eq!(contents.frames[0].wire_len, 4);
    assert_eq!(contents.timestamps(), [3_500_000_000]);
    // The upper half of the link type describes frame check sequences; this record has none.
    for order in Order::BOTH {
        let capture = Pcap { network: 0x4400_0001, ..Pcap::new(order, MICRO) };
        assert_eq!(read_all_ways(&capture.whole(&[1]).bytes()).into_valid_frames(), [[1]]);
    }
}

/// The warnings about a capture with this link type field and minor version.
fn warnings(network: u32, minor: u16) -> Vec<String> {
    let capture = Pcap { network, ..Pcap::new(Order::Big, MICRO) }.versioned(2, minor);
    let mut source = CaptureSource::from_bytes("capture", capture.bytes()).unwrap();
    let first = source.take_warnings();
    assert!(source.take_warnings().is_empty(), "a warning is reported once");
    source.rewind().unwrap();
    assert!(source.take_warnings().is_empty(), "a warning is reported once");
    first
}

#[test]
fn captures_that_libpcap_refuses_are_read_with_a_warning() {
    for (network, minor) in [(1, 4), (1, 0), (0x0400_0001, 4), (0xf000_0001, 3)] {
        assert_eq!(warnings(network, minor), [""; 0], "{network:#x} {minor}");
    }
    let version = warnings(1, 5);
    assert_eq!(version, ["version 2.5 of pcap: expected 2.0 to 2.4; it is read as 2.4"]);
    for network in [0x0001_0001, 0x0200_0001, 0x0800_0001] {
        let reserved = warnings(network, 4).join("\n");
        let field = format!("link type field {network:#010x}: expected zero in the reserved bits");
        assert!(reserved.starts_with(&field), "{reserved}");
    }
    assert_eq!(warnings(0x2401_0001, 9).len(), 3);
}

#[test]
fn a_declared_frame_check_sequence_is_removed() {
    for order in Order::BOTH {
        // Two words of two bytes.
        let capture = Pcap { network: 0x2400_0001, ..Pcap::new(order, NANO) };
        let capture = capture
            .whole(&[1; 10])
            .record([1, 0, 8, 10], &[2; 8])
            .record([1, 0, 6, 10], &[3; 6])
            .record([1, 0, 2, 10], &[4; 2])
            .whole(&[5; 4])
            .whole(&[6; 3]);
        let contents = read_all_ways(&capture.bytes());
        let lens: Vec<_> =
            contents.frames.iter().map(|frame| (frame.bytes.len(), frame.wire_len)).collect();
        assert_eq!(lens, [(6, 6), (6, 6), (6, 6), (2, 6), (0, 0), (3, 3)]);
    }
    // After a cooked header too: 16 bytes become 14.
    let cooked =
        [&[0, 0, 0, 1, 0, 6, 2, 1, 1, 1, 1, 1, 0, 0, 8, 0][..], &[0x45, 9, 9, 9, 9]].concat();
    let contents = read_all_ways(&Pcap::of_link(0x2400_0071).whole(&cooked).bytes());
    assert_eq!((contents.frames[0].bytes.len(), contents.frames[0].wire_len), (15, 15));
}

#[test]
fn early_versions_have_their_length_fields_swapped() {
    for (minor, header) in [(0, [1, 0, 60, 2]), (2, [1, 0, 60, 2]), (4, [1, 0, 2, 60])] {
        let capture = Pcap::new(Order::Little, MICRO).versioned(2, minor);
        let contents = read_all_ways(&capture.record(header, &[1, 2]).bytes());
        assert_eq!(contents.frames[0].wire_len, 60, "2.{minor}");
        assert_eq!(contents.into_valid_frames(), [[1, 2]]);
    }
    for (major, minor) in [(2, 3), (543, 0)] {
        for header in [[1, 0, 60, 2], [1, 0, 2, 60]] {
            let capture = Pcap::new(Order::Big, MICRO).versioned(major, minor);
            assert_eq!(
                read_all_ways(&capture.record(header, &[1, 2]).bytes()).into_valid_frames(),
                [[1, 2]]
            );
        }
    }
}

#[test]
fn other_versions_are_refused() {
    for (major, minor) in [(1, 4), (0, 0), (3, 0), (543, 1)] {
        let capture = Pcap::new(Order::Little, MICRO).versioned(major, minor).bytes();
        let error = try_read_all_ways(&capture, &[1]).unwrap_err();
        assert!(error.contains(&format!("version {major}.{minor} of pcap")), "{error}");
    }
}

#[test]
fn a_capture_without_records_is_valid() {
    assert_eq!(
        read_all_ways(&Pcap::new(Order::Big, NANO).bytes()).into_valid_frames(),
        Vec::<Vec<u8>>::new()
    );
}

#[test]
fn records_may_cross_bursts_and_buffers() {
    // More than a burst and more than the buffer of a stream, in records of many lengths.
    let lens = (0..400).map(|n: usize| (n * 7919) % 3000);
    let frames: Vec<_> = lens.map(|len| vec![u8::try_from(len % 251).unwrap(); len]).collect();
    let mut capture = Pcap::new(Order::Little, MICRO);
    for frame in &frames {
        capture = capture.whole(frame);
    }
    assert_eq!(read_all_ways(&capture.bytes()).into_valid_frames(), frames);
}

#[test]
fn a_frame_longer_than_any_buffer_is_read() {
    let long = vec![3; 1_500_000];
    let capture = Pcap::new(Order::Little, MICRO).whole(&[1]).whole(&long).whole(&[2]);
    assert_eq!(read_all_ways(&capture.bytes()).into_valid_frames(), [vec![1], long, vec![2]]);
}
