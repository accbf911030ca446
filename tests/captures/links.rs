//! Link types other than Ethernet.

use traffic_mirror::dataplane::Medium;
use traffic_mirror::io::capture::CaptureSource;
use traffic_mirror::model::Direction;

use crate::build::{Order, Pcap, Pcapng};
use crate::reading::{OwnedFrame, read, read_all_ways};

const PLACEHOLDER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0];
const STATION_MAC: [u8; 6] = [0x0a, 1, 2, 3, 4, 5];
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

fn single_frame(link_type: u32, bytes: &[u8]) -> OwnedFrame {
    let contents = read_all_ways(&Pcap::of_link(link_type).whole(bytes).bytes());
    assert_eq!((contents.frames.len(), contents.end), (1, None));
    contents.frames.into_iter().next().unwrap()
}

fn ethernet(source: [u8; 6], ether_type: [u8; 2], packet: &[u8]) -> Vec<u8> {
    [&PLACEHOLDER_MAC[..], &source, &ether_type, packet].concat()
}

#[test]
fn raw_ip_is_recognised_by_its_version() {
    for link_type in [12, 14, 101, 228, 229] {
        for (packet, ether_type) in [([0x45; 30], IPV4), ([0x60; 30], IPV6), ([0x10; 30], [0, 0])] {
            let frame = single_frame(link_type, &packet);
            assert_eq!(frame.bytes, ethernet(PLACEHOLDER_MAC, ether_type, &packet));
            assert_eq!((frame.wire_len, frame.medium), (44, Medium::Ethernet));
        }
    }
}

#[test]
fn loopback_is_recognised_by_its_family_in_both_byte_orders() {
    for (family, ether_type) in [(2, IPV4), (10, IPV6), (24, IPV6), (28, IPV6), (30, IPV6)] {
        for order in Order::BOTH {
            for link_type in [0, 108] {
                let packet = [&order.u32_bytes(family)[..], &[7; 20]].concat();
                let frame = single_frame(link_type, &packet);
                assert_eq!(frame.bytes, ethernet(PLACEHOLDER_MAC, ether_type, &[7; 20]));
                assert_eq!(frame.wire_len, 34);
            }
        }
    }
    assert_eq!(single_frame(0, &[99, 0, 0, 0, 1]).bytes, ethernet(PLACEHOLDER_MAC, [0, 0], &[1]));
}

fn cooked(packet_type: u8, address_len: u8, protocol: [u8; 2]) -> Vec<u8> {
    let head = [0, packet_type, 0, 1, 0, address_len];
    [&head[..], &STATION_MAC, &[0, 0], &protocol, &[7; 20]].concat()
}

fn cooked_v2(packet_type: u8, address_len: u8, protocol: [u8; 2]) -> Vec<u8> {
    let middle = [0, 0, 0, 0, 0, 3, 0, 1, packet_type, address_len];
    [&protocol[..], &middle, &STATION_MAC, &[0, 0], &[7; 20]].concat()
}

type Cooked = fn(u8, u8, [u8; 2]) -> Vec<u8>;
const BOTH_COOKED: [(u32, Cooked); 2] = [(113, cooked), (276, cooked_v2)];

#[test]
fn cooked_frames_keep_their_source_and_type() {
    for (link_type, cook) in BOTH_COOKED {
        // 4 is the protocol number of 802.2 frames. It is not an EtherType, and is kept.
        for protocol in [IPV4, IPV6, [0, 4]] {
            let frame = single_frame(link_type, &cook(0, 6, protocol));
            assert_eq!(frame.bytes, ethernet(STATION_MAC, protocol, &[7; 20]));
            assert_eq!(frame.wire_len, 34);
        }
        assert_eq!(
            single_frame(link_type, &cook(0, 0, IPV4)).bytes,
            ethernet(PLACEHOLDER_MAC, IPV4, &[7; 20])
        );
        assert_eq!(
            single_frame(link_type, &cook(0, 8, IPV4)).bytes,
            ethernet(PLACEHOLDER_MAC, IPV4, &[7; 20])
        );
    }
}

#[test]
fn cooked_frames_have_a_direction() {
    for (link_type, cook) in BOTH_COOKED {
        for (packet_type, direction) in [
            (0, Some(Direction::Ingress)),
            (1, Some(Direction::Ingress)),
            (2, Some(Direction::Ingress)),
            (3, None),
            (4, Some(Direction::Egress)),
            (5, None),
        ] {
            assert_eq!(single_frame(link_type, &cook(packet_type, 6, IPV4)).direction, direction);
        }
    }
}

#[test]
fn a_frame_truncated_in_its_link_header_is_kept() {
    for (link_type, cook) in BOTH_COOKED {
        let whole = cook(4, 6, IPV4);
        for len in [0, 1, 15] {
            let frame = single_frame(link_type, &whole[..len]);
            assert_eq!(frame.bytes, ethernet(PLACEHOLDER_MAC, [0, 0], &[]));
        }
    }
    assert_eq!(single_frame(0, &[2, 0]).bytes, ethernet(PLACEHOLDER_MAC, [0, 0], &[]));
}

#[test]
fn the_wire_length_of_a_truncated_frame_includes_the_new_header() {
    let capture = Pcap::of_link(113).record([0, 0, 36, 1_016], &cooked(0, 6, IPV4)).bytes();
    assert_eq!(read_all_ways(&capture).frames[0].wire_len, 1_014);
}

#[test]
fn other_link_types_are_passed_unchanged_as_unsupported() {
    let capture = Pcapng::new(Order::Little)
        .interface(1, 0, &[])
        .interface(127, 0, &[])
        .interface(105, 0, &[])
        .interface(101, 0, &[])
        .packet(1, 0, &[1; 9])
        .packet(0, 0, &[2; 9])
        .packet(3, 0, &[0x45; 9])
        .packet(2, 0, &[3; 9])
        .packet(1, 0, &[4; 9])
        .bytes();
    let contents = read_all_ways(&capture);
    let media: Vec<_> = contents.frames.iter().map(|frame| frame.medium).collect();
    let (ethernet_medium, other) = (Medium::Ethernet, Medium::Unsupported);
    assert_eq!(media, [other, ethernet_medium, ethernet_medium, other, other]);
    let raw = ethernet(PLACEHOLDER_MAC, IPV4, &[0x45; 9]);
    assert_eq!(contents.into_valid_frames(), [vec![1; 9], vec![2; 9], raw, vec![3; 9], vec![4; 9]]);

    let mut source = CaptureSource::from_bytes("capture", capture).unwrap();
    read(&mut source);
    assert!(source.unsupported_link_types().iter().eq(&[105, 127]));
}

#[test]
fn more_converted_frames_than_a_burst_are_all_read() {
    let mut capture = Pcap::of_link(101);
    for n in 0..200 {
        capture = capture.whole(&[n; 40]);
    }
    let frames = read_all_ways(&capture.bytes()).into_valid_frames();
    assert_eq!(frames.len(), 200);
    for (n, frame) in (0..).zip(frames) {
        assert_eq!(frame[14..], [n; 40]);
    }
}
