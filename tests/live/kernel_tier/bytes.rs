//! The bytes of copies: AWS's outer headers, and inner frames that equal those on the wire.

use std::net::Ipv4Addr;

use etherparse::Ipv4HeaderSlice;
use traffic_mirror::dataplane::{FIRST_SOURCE_PORT, FlowKey, flow_hash};

use super::{RUN, kernel_lab};
use crate::collector::{Collector, inner_frames};
use crate::frames::{assert_same, of_a_test};
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::recorder::Recorder;
use crate::traffic::{IPV4, IPV6, Pair, ping, tcp};

/// The length in bytes of the outer Ethernet, IPv4, UDP and VXLAN headers.
const OUTER: usize = 50;

/// Asserts that an outer frame at the monitor has AWS's headers.
fn assert_outer_headers(outer: &[u8]) {
    assert_eq!(outer[..6], [2, 0, 0, 0, 2, 2], "the destination is the monitor");
    assert_eq!(outer[6..12], [2, 0, 0, 0, 2, 1], "the source is the egress device");
    let ip = &outer[14..34];
    assert_eq!(ip[..2], [0x45, 0], "no options, TOS 0");
    assert_eq!(usize::from(u16::from_be_bytes([ip[2], ip[3]])), outer.len() - 14);
    assert_eq!(ip[4..10], [0, 0, 0, 0, 255, 17], "ID 0, no DF, TTL 255, UDP");
    let header = Ipv4HeaderSlice::from_slice(ip).unwrap();
    assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum());
    assert_eq!(header.source_addr(), Ipv4Addr::new(10, 99, 1, 1));
    assert_eq!(header.destination_addr(), Ipv4Addr::new(10, 99, 1, 2));
    let key = FlowKey::parse(&outer[OUTER..]).unwrap();
    let port = FIRST_SOURCE_PORT + u16::from(flow_hash(&key));
    assert_eq!(outer[34..36], port.to_be_bytes(), "{key:?}");
    assert_eq!(outer[36..38], 4_789_u16.to_be_bytes());
    assert_eq!(usize::from(u16::from_be_bytes([outer[38], outer[39]])), outer.len() - 34);
    assert_eq!(outer[40..50], [0, 0, 8, 0, 0, 0, 0, 0, 42, 0], "no UDP checksum, then VXLAN");
}

/// Whether a frame at the monitor is a copy.
fn is_copy(frame: &[u8]) -> bool {
    frame[12..14] == [0x08, 0x00] && frame[23] == 17 && frame[36..38] == 4_789_u16.to_be_bytes()
}

/// Datagrams, pings and fragments of both families in both directions.
fn send_datagrams(lab: &Lab) {
    for addresses in [IPV4, IPV6] {
        for flow in 0..32 {
            let pair = Pair::new(lab, addresses, (4_000 + flow, 2_000 + flow));
            for (number, len) in (0..).zip([4, 5, 100, 1_400, 1_452]) {
                pair.send(number, len);
                pair.answer(number, len);
            }
        }
        for (number, len) in (0..).zip([0, 1, 56, 1_400, 3_000]) {
            ping(&lab.generator, addresses.1, number, len);
            ping(&lab.host, addresses.0, number, len);
        }
    }
}

/// Asserts that the copies of the traffic of `send` have AWS's headers, and that their inner frames
/// are those that passed g0.
fn assert_copies_equal_wire(lab: &Lab, send: impl FnOnce(&Lab)) {
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, RUN);
    let wire = Recorder::start(&lab.generator, "g0");
    let outer = Recorder::start(&lab.monitor, "v0");
    send(lab);
    let wire = of_a_test(wire.end());
    let ended = mirror.end();
    let outer: Vec<Vec<u8>> = outer.end().into_iter().filter(|one| is_copy(one)).collect();
    outer.iter().for_each(|one| assert_outer_headers(one));
    let mirrored = of_a_test(inner_frames(collector.end()));
    assert_same(&mirrored, &wire);
    assert!(!mirrored.is_empty());
    assert_eq!(u64::try_from(outer.len()).unwrap(), ended.count("mirrored"), "{}", ended.report);
    ended.assert_no_loss();
}

#[test]
fn copies_of_datagrams_have_the_headers_of_aws_and_the_bytes_of_the_wire() {
    for (test, are_on) in [("kt-dgon", true), ("kt-dgoff", false)] {
        let Some(lab) = kernel_lab(test) else { return };
        assert_copies_equal_wire(&lab.with_ipv6().with_offloads(are_on), send_datagrams);
    }
}

#[test]
fn copies_of_super_frames_have_the_headers_of_aws_and_the_bytes_of_the_wire() {
    let Some(lab) = kernel_lab("kt-super") else { return };
    assert_copies_equal_wire(&lab.with_ipv6().with_offloads(true), |lab| {
        tcp(lab, IPV4, 4 << 20);
        tcp(lab, IPV6, 4 << 20);
    });
}

#[test]
fn jumbo_and_small_frames_are_mirrored_whole() {
    for (test, mtu, longest) in [("kt-jumbo", 9_000, 8_972), ("kt-small", 576, 548)] {
        let Some(lab) = kernel_lab(test) else { return };
        assert_copies_equal_wire(&lab.with_mtu(mtu).with_offloads(true), |lab| {
            tcp(lab, IPV4, 2 << 20);
            let pair = Pair::new(lab, IPV4, (4_000, 2_000));
            for (number, len) in (0..).zip([4, longest - 1, longest]) {
                pair.send(number, len);
                pair.answer(number, len);
            }
        });
    }
}
