//! The flow key of packets that etherparse builds has the values that they were built from.
//!
//! Fragments and unusual frames are compared with the oracle instead: etherparse interprets them
//! differently.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::net::IpAddr;

use etherparse::{IpNumber, PacketBuilder, VlanId};
use proptest::prelude::*;
use traffic_mirror::dataplane::FlowKey;

/// Addresses of one family, ports, and what precedes and follows the IP header.
#[derive(Debug, Clone)]
struct FrameSpec {
    source: IpAddr,
    destination: IpAddr,
    ports: (u16, u16),
    tags: u8,
    transport: u8,
    payload: Vec<u8>,
}

fn spec() -> impl Strategy<Value = FrameSpec> {
    let v4 = any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
    let v6 = any::<([u8; 16], [u8; 16])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
    let payload = prop::collection::vec(any::<u8>(), 0..60);
    (prop_oneof![v4, v6], any::<(u16, u16)>(), 0..3_u8, 0..4_u8, payload).prop_map(
        |((source, destination), ports, tags, transport, payload)| FrameSpec {
            source,
            destination,
            ports,
            tags,
            transport,
            payload,
        },
    )
}

/// The frame, its protocol, and whether it has ports.
fn build(spec: &FrameSpec) -> (Vec<u8>, u8, bool) {
    let link = || PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let tag = |id| VlanId::try_new(id).unwrap();
    let ip = |ttl| match (spec.source, spec.destination) {
        (IpAddr::V4(a), IpAddr::V4(b)) => match spec.tags {
            0 => link().ipv4(a.octets(), b.octets(), ttl),
            1 => link().single_vlan(tag(7)).ipv4(a.octets(), b.octets(), ttl),
            _ => link().double_vlan(tag(7), tag(8)).ipv4(a.octets(), b.octets(), ttl),
        },
        (IpAddr::V6(a), IpAddr::V6(b)) => match spec.tags {
            0 => link().ipv6(a.octets(), b.octets(), ttl),
            1 => link().single_vlan(tag(7)).ipv6(a.octets(), b.octets(), ttl),
            _ => link().double_vlan(tag(7), tag(8)).ipv6(a.octets(), b.octets(), ttl),
        },
        _ => panic!("both are of one family"),
    };
    let mut frame = Vec::new();
    let (from, to) = spec.ports;
    let (protocol, has_ports) = match spec.transport {
        0 => {
            ip(64).tcp(from, to, 1, 1000).write(&mut frame, &spec.payload).unwrap();
            (6, true)
        }
        1 => {
            ip(64).udp(from, to).write(&mut frame, &spec.payload).unwrap();
            (17, true)
        }
        2 => {
            ip(64).icmpv6_echo_request(1, 2).write(&mut frame, &spec.payload).unwrap();
            (58, false)
        }
        _ => {
            ip(64).write(&mut frame, IpNumber(47), &spec.payload).unwrap();
            (47, false)
        }
    };
    (frame, protocol, has_ports)
}

proptest! {
    #[test]
    fn frames_built_by_etherparse_are_parsed(spec in spec()) {
        // The checksum of ICMPv6 includes IPv6 addresses, so it is built for IPv6 only.
        prop_assume!(spec.transport != 2 || spec.source.is_ipv6());
        let (frame, protocol, has_ports) = build(&spec);
        let key = FlowKey::parse(&frame).unwrap();
        prop_assert_eq!((key.source(), key.destination()), (spec.source, spec.destination));
        prop_assert_eq!(key.protocol(), Some(protocol));
        prop_assert_eq!(key.ports(), has_ports.then_some(spec.ports));
    }
}
