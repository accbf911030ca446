//! Tests segments and completed checksums against a plain segmenter and against etherparse.

mod super_frame_spec;

use etherparse::{NetHeaders, PacketHeaders, TransportHeader};
use proptest::prelude::*;
pub(super) use super_frame_spec::reference_sum;
use super_frame_spec::{SuperFrameSpec, super_frame_specs};

use super::packet::{TCP, UDP};
use super::{Offload, SegmentationResult, Segments, finish_checksum};

/// The segments as whole frames.
fn cut(frame: &[u8], offload: &Offload) -> Option<Vec<Vec<u8>>> {
    let segments = Segments::of(frame, offload)?;
    let whole = |index| {
        // A corrupted extension header can be longer than 2,000 bytes.
        let mut room = vec![0xee; 2048.max(segments.header_len())];
        let len = segments.put_header(index, &mut room).unwrap();
        assert_eq!(len, segments.header_len());
        assert!(segments.put_header(index, &mut room[..len - 1]).is_none());
        [&room[..len], segments.payload(index)].concat()
    };
    assert_eq!(segments.put_header(segments.len(), &mut [0; 2048]), None);
    assert_eq!((segments.payload(segments.len()).len(), segments.wire_len(segments.len())), (0, 0));
    Some((0..segments.len()).map(whole).collect())
}

/// Compares the checksums of a frame with those that etherparse computes.
fn assert_valid_checksums(frame: &[u8]) {
    let packet = PacketHeaders::from_ethernet_slice(frame).unwrap();
    let payload = packet.payload.slice();
    let (right, stated) = match (packet.net.unwrap(), packet.transport.unwrap()) {
        (NetHeaders::Ipv4(ip, _), transport) => {
            assert_eq!(ip.calc_header_checksum(), ip.header_checksum);
            match transport {
                TransportHeader::Tcp(tcp) => (tcp.calc_checksum_ipv4(&ip, payload), tcp.checksum),
                TransportHeader::Udp(udp) => (udp.calc_checksum_ipv4(&ip, payload), udp.checksum),
                other => panic!("{other:?}"),
            }
        }
        (NetHeaders::Ipv6(ip, _), TransportHeader::Tcp(tcp)) => {
            (tcp.calc_checksum_ipv6(&ip, payload), tcp.checksum)
        }
        (NetHeaders::Ipv6(ip, _), TransportHeader::Udp(udp)) => {
            (udp.calc_checksum_ipv6(&ip, payload), udp.checksum)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(right.unwrap(), stated);
}

/// Compares the segments of a frame whose length does not fit into 16 bits.
fn assert_big_tcp_is_split(spec: &SuperFrameSpec) {
    let segments = cut(&spec.frame(), &spec.offload()).unwrap();
    assert!(segments == spec.segments());
    segments.iter().for_each(|segment| assert_valid_checksums(segment));
}

#[test]
fn big_tcp_is_segmented_and_loses_its_jumbo_header() {
    let mut spec = SuperFrameSpec::plain(200_001, 1448);
    assert_big_tcp_is_split(&spec);
    spec.is_ipv4 = false;
    assert_big_tcp_is_split(&spec);
    spec.has_jumbo = true;
    let offload = spec.offload();
    let frame = spec.frame();
    assert_eq!(frame[18..22], [0, 0, 0, 64]); // no length, hop-by-hop
    assert_eq!(Segments::of(&frame, &offload).unwrap().header_len(), spec.header_len());
    assert_big_tcp_is_split(&spec);
    spec.extensions = vec![(60, 1, 0)];
    spec.tags = vec![0x8100];
    assert!(cut(&spec.frame(), &spec.offload()).unwrap() == spec.segments());
}

#[test]
fn tcp_flags_are_on_the_same_segments_as_with_tso() {
    let mut spec = SuperFrameSpec::plain(30, 10);
    spec.flags = 0xff;
    spec.is_ecn = true;
    let flags = |spec: &SuperFrameSpec| -> Vec<u8> {
        cut(&spec.frame(), &spec.offload()).unwrap().iter().map(|frame| frame[47]).collect()
    };
    assert_eq!(flags(&spec), [0xf6, 0x76, 0x7f]);
    spec.is_ecn = false; // accurate ECN
    assert_eq!(flags(&spec), [0xf6, 0xf6, 0xff]);
}

#[test]
fn sequence_numbers_and_ip_ids_wrap() {
    let mut spec = SuperFrameSpec::plain(25, 10);
    spec.identification = u16::MAX;
    spec.sequence = u32::MAX - 12;
    let segments = cut(&spec.frame(), &spec.offload()).unwrap();
    let numbers = segments.iter().map(|frame| (frame[18..20].to_vec(), frame[38..42].to_vec()));
    let wanted = [[0xff, 0xff], [0, 0], [0, 1]].map(|number| number.to_vec());
    let sequences = [u32::MAX - 12, u32::MAX - 2, 7].map(|number| number.to_be_bytes().to_vec());
    assert!(numbers.eq(wanted.into_iter().zip(sequences)));
}

#[test]
fn udp_without_checksum_is_kept_only_over_ipv4() {
    let mut spec =
        SuperFrameSpec { protocol: UDP, needs_checksum: false, ..SuperFrameSpec::plain(25, 10) };
    for segment in cut(&spec.frame(), &spec.offload()).unwrap() {
        assert_eq!(segment[40..42], [0, 0]);
    }
    spec.is_ipv4 = false;
    for segment in cut(&spec.frame(), &spec.offload()).unwrap() {
        assert_valid_checksums(&segment);
    }
}

#[test]
fn a_udp_checksum_of_zero_becomes_all_ones() {
    let mut spec = SuperFrameSpec { protocol: UDP, ..SuperFrameSpec::plain(20, 10) };
    spec.payload[0..2].fill(0);
    let first = cut(&spec.frame(), &spec.offload()).unwrap().remove(0);
    // A payload word equal to the checksum makes the complement of the sum zero.
    spec.payload[0..2].copy_from_slice(&first[40..42]);
    let segments = cut(&spec.frame(), &spec.offload()).unwrap();
    assert_eq!(segments[0][40..42], [0xff, 0xff]);
    assert_eq!(segments, spec.segments());
}

#[test]
fn super_frames_with_unusable_segment_sizes_are_left_whole() {
    let offload = |size: u16| {
        let [a, b] = size.to_ne_bytes();
        Offload::parse(&[0, 1, 0, 0, a, b, 0, 0, 0, 0])
    };
    let big = SuperFrameSpec::plain(70_000, 1448).frame();
    assert!(Segments::of(&big, &offload(0)).is_none());
    assert!(Segments::of(&big, &offload(65_484)).is_none());
    assert_eq!(Segments::of(&big, &offload(65_483)).unwrap().len(), 2);
    // A size longer than the payload gives one segment with a complete checksum.
    let small = SuperFrameSpec::plain(100, 100);
    assert_eq!(cut(&small.frame(), &offload(u16::MAX)).unwrap(), small.segments());
}

#[test]
fn a_super_frame_with_too_many_segments_is_not_segmented() {
    let cut = |payload_len: usize, segment_len: u16| {
        let spec = SuperFrameSpec::plain(payload_len, segment_len);
        match Segments::split(&spec.frame(), &spec.offload()) {
            SegmentationResult::Segments(segments) => Some(segments.len()),
            SegmentationResult::TooMany => None,
            SegmentationResult::Whole => panic!("expected a super-frame"),
        }
    };
    // Typical sizes: 64 KiB with the smallest segment size of TCP, 512 KiB with a small one.
    assert_eq!(cut(65_000, 36), Some(1_806));
    assert_eq!(cut(524_288, 536), Some(979));
    assert_eq!((cut(128, 1), cut(129, 1), cut(60_000, 1)), (Some(128), None, None));
    assert_eq!((cut(1_024, 8), cut(16_384, 8), cut(16_385, 8)), (Some(128), Some(2_048), None));
    assert_eq!(cut(1_000, 7), None);
}

#[test]
fn missing_segments_of_a_truncated_super_frame_are_counted() {
    let spec = SuperFrameSpec::plain(10_000, 1_000);
    let frame = spec.frame();
    let captured = |len: usize| {
        let segments = Segments::of(&frame[..len], &spec.offload()).unwrap();
        (segments.len(), segments.uncaptured(frame.len()))
    };
    let header_len = frame.len() - 10_000;
    assert_eq!(captured(frame.len()), (10, 0));
    assert_eq!(captured(header_len + 3_500), (4, 6));
    assert_eq!(captured(header_len + 1), (1, 9));
    // BIG TCP packets do not contain their length.
    let spec = SuperFrameSpec::plain(200_000, 1_000);
    let frame = spec.frame();
    let segments = Segments::of(&frame[..100_000], &spec.offload()).unwrap();
    assert_eq!(segments.len() + segments.uncaptured(frame.len()), 200);
}

#[test]
fn frames_that_do_not_match_their_gso_type_are_left_whole() {
    let spec = SuperFrameSpec::plain(28, 10);
    let frame = spec.frame();
    let offload = |gso_type: u8, start: u16, offset: u16| {
        let mut header = [1, gso_type, 0, 0, 10, 10, 0, 0, 0, 0];
        header[6..8].copy_from_slice(&start.to_ne_bytes());
        header[8..].copy_from_slice(&offset.to_ne_bytes());
        Offload::parse(&header)
    };
    assert!(Segments::of(&frame, &offload(1, 34, 16)).is_some());
    // Other family, other protocol, UFO, tunnel of a device, none; inside a tunnel; other checksum.
    for (gso_type, start, offset) in
        [(4, 34, 16), (5, 34, 6), (3, 34, 6), (0x21, 34, 16), (0, 34, 16), (1, 84, 16), (1, 34, 6)]
    {
        assert!(Segments::of(&frame, &offload(gso_type, start, offset)).is_none(), "{gso_type}");
    }
    let change = |at: usize, byte: u8| {
        let mut frame = frame.clone();
        frame[at] = byte;
        Segments::of(&frame, &offload(1, 34, 16)).is_some()
    };
    assert!(change(20, 0x40)); // do not fragment
    for (at, byte) in
        [(20, 0x20), (21, 1), (14, 0x44), (14, 0x55), (46, 0x40), (46, 0xf0), (17, 39)]
    {
        assert!(!change(at, byte), "{byte:#x} at {at}");
    }
}

#[test]
fn an_ipv6_fragment_and_an_authenticated_packet_are_left_whole() {
    for kind in [44, 51] {
        let mut spec = SuperFrameSpec { is_ipv4: false, ..SuperFrameSpec::plain(30, 10) };
        spec.extensions = vec![(kind, 0, 0)];
        assert!(Segments::of(&spec.frame(), &spec.offload()).is_none());
    }
}

#[test]
fn a_partial_checksum_is_completed_in_place() {
    // The whole super-frame is one segment.
    for (is_ipv4, protocol) in [(true, TCP), (true, UDP), (false, TCP), (false, UDP)] {
        let mut spec = SuperFrameSpec {
            is_ipv4,
            protocol,
            tags: vec![0x8100],
            ..SuperFrameSpec::plain(301, 301)
        };
        let mut frame = spec.frame();
        assert!(finish_checksum(&mut frame, &spec.offload()));
        assert_eq!(frame, spec.segments()[0]);
        assert_valid_checksums(&frame);
        spec.needs_checksum = false;
        let frame = spec.frame();
        let mut same = frame.clone();
        assert!(finish_checksum(&mut same, &spec.offload()));
        assert_eq!(same, frame);
    }
}

#[test]
fn a_checksum_of_zero_becomes_all_ones() {
    let offload = Offload::parse(&needs_checksum(2, 2));
    let mut frame = vec![9, 9, 0xff, 0, 0, 0xff];
    assert!(finish_checksum(&mut frame, &offload));
    assert_eq!(frame, [9, 9, 0xff, 0, 0xff, 0xff]);
}

#[test]
fn a_checksum_outside_the_frame_is_ignored() {
    for (start, offset, inside) in [(0, 6, true), (0, 7, false), (8, 0, false), (9, 0, false)] {
        let mut frame = [1; 8];
        assert_eq!(
            finish_checksum(&mut frame, &Offload::parse(&needs_checksum(start, offset))),
            inside
        );
        assert_eq!(frame == [1; 8], !inside);
    }
    let mut empty = [];
    assert!(!finish_checksum(&mut empty, &Offload::parse(&needs_checksum(u16::MAX, u16::MAX))));
}

#[test]
fn sctp_gets_a_crc32c_checksum() {
    for is_ipv4 in [true, false] {
        let spec = SuperFrameSpec { is_ipv4, protocol: 132, ..SuperFrameSpec::plain(0, 1) };
        let mut frame = spec.frame();
        let start = frame.len() - 32;
        frame[start..].fill(0);
        let offload = Offload::parse(&needs_checksum(u16::try_from(start).unwrap(), 8));
        assert!(finish_checksum(&mut frame, &offload));
        // The checksum of 32 zeros (RFC 3720, appendix B.4).
        assert_eq!(frame[start + 8..start + 12], [0xaa, 0x36, 0x91, 0x8a]);
        // Again, with a field that is not zero.
        assert!(finish_checksum(&mut frame, &offload));
        assert_eq!(frame[start + 8..start + 12], [0xaa, 0x36, 0x91, 0x8a]);
        frame.truncate(start + 11);
        assert!(!finish_checksum(&mut frame, &offload));
    }
}

fn needs_checksum(start: u16, offset: u16) -> [u8; 10] {
    let [a, b] = start.to_ne_bytes();
    let [c, d] = offset.to_ne_bytes();
    [1, 0, 0, 0, 0, 0, a, b, c, d]
}

proptest! {
    #[test]
    fn segments_match_the_reference_segmenter(spec in super_frame_specs()) {
        let segments = cut(&spec.frame(), &spec.offload()).unwrap();
        prop_assert!(segments == spec.segments());
        let is_bare = spec.protocol == UDP && spec.is_ipv4 && !spec.needs_checksum;
        if !is_bare && !spec.is_routed() && spec.tags.len() < 4 && is_in_order(&spec) {
            segments.iter().for_each(|segment| assert_valid_checksums(segment));
        }
    }

    #[test]
    fn segments_of_a_truncated_super_frame_are_correct(
        spec in super_frame_specs(),
        end: prop::sample::Index,
    ) {
        let mut frame = spec.frame();
        frame.truncate(end.index(frame.len()));
        let header_len = spec.header_len();
        let wanted = spec.segments();
        let Some(found) = cut(&frame, &spec.offload()) else {
            prop_assert!(frame.len() <= header_len);
            return Ok(());
        };
        let segments = Segments::of(&frame, &spec.offload()).unwrap();
        for (index, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            prop_assert_eq!(segments.wire_len(index), wanted.len());
            if found.len() == wanted.len() {
                prop_assert!(found == wanted);
                continue;
            }
            prop_assert_eq!(index, segments.len() - 1);
            let at = header_len - if spec.protocol == TCP { 4 + spec.tcp_options * 4 } else { 2 };
            prop_assert_eq!(&found[..at], &wanted[..at]);
            prop_assert_eq!(&found[at + 2..], &wanted[at + 2..found.len()]);
        }
        let payload: usize = (0..segments.len()).map(|index| segments.payload(index).len()).sum();
        prop_assert_eq!(payload, spec.payload.len().min(frame.len() - header_len));
    }

    #[test]
    fn a_corrupted_super_frame_does_not_panic(
        spec in super_frame_specs(),
        changes in proptest::collection::vec((0_usize..120, any::<u8>()), 1..6),
        header in any::<[u8; 10]>(),
        keeps_offload in any::<bool>(),
    ) {
        let mut frame = spec.frame();
        for (at, byte) in changes {
            if let Some(slot) = frame.get_mut(at) {
                *slot = byte;
            }
        }
        let offload = if keeps_offload { spec.offload() } else { Offload::parse(&header) };
        let _ = cut(&frame, &offload);
        finish_checksum(&mut frame, &offload);
    }

    #[test]
    fn random_bytes_do_not_panic_and_change_only_in_the_checksum(
        frame in proptest::collection::vec(any::<u8>(), 0..300),
        start in 0_u16..320,
        offset in 0_u16..40,
    ) {
        let offload = Offload::parse(&needs_checksum(start, offset));
        let mut finished = frame.clone();
        let at = usize::from(start) + usize::from(offset);
        if finish_checksum(&mut finished, &offload) {
            let covered = &frame[usize::from(start)..];
            let checksum = match !reference_sum(covered) { 0 => 0xffff, other => other };
            prop_assert_eq!(&finished[at..at + 2], &checksum.to_be_bytes());
            finished[at..at + 2].copy_from_slice(&frame[at..at + 2]);
        } else {
            prop_assert!(at + 2 > frame.len());
        }
        prop_assert_eq!(finished, frame);
    }
}

/// Etherparse accepts extension headers only in the order of RFC 8200, section 4.1.
fn is_in_order(spec: &SuperFrameSpec) -> bool {
    spec.extensions.is_sorted_by(|a, b| rank(a.0) < rank(b.0))
}

fn rank(extension: u8) -> Option<usize> {
    [0, 60, 43].iter().position(|kind| *kind == extension)
}
