//! Tests of the collector against sockets of this host.

use std::net::UdpSocket;

use super::*;

fn datagram(network: u32, frame: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = network.to_be_bytes();
    [&[0x08, 0, 0, 0, high, middle, low, 0], frame].concat()
}

fn receiver(address: &str) -> (VxlanReceiver, UdpSocket) {
    let receiver = VxlanReceiver::bind(address.parse().unwrap()).unwrap();
    let port = receiver.local_address().unwrap().port();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(("127.0.0.1", port)).unwrap();
    (receiver, sender)
}

#[test]
fn frames_of_any_length_are_received_with_network_peer_and_time() {
    let (mut receiver, sender) = receiver("127.0.0.1:0");
    let longest = vec![0x55; 65_499];
    for (network, frame) in [(0, &b""[..]), (16_777_215, &longest), (4242, b"x")] {
        sender.send(&datagram(network, frame)).unwrap();
    }
    let mut received = Vec::new();
    let peer = sender.local_addr().unwrap();
    let mut sink = |frame: &InnerFrame<'_>| {
        assert_eq!(frame.peer, Some(peer));
        assert!(frame.timestamp_ns > 1_700_000_000_000_000_000);
        received.push((frame.virtual_network_id.value(), frame.bytes.to_vec()));
        Ok(())
    };
    receiver.run(Some(3), &StopFlag::new(), &mut sink).unwrap();
    assert_eq!(received, [(0, vec![]), (16_777_215, longest), (4242, b"x".to_vec())]);
    let counters = receiver.counters();
    assert_eq!(counters.received, TrafficCount { frames: 3, bytes: 65_500 });
    assert_eq!(counters.networks.len(), 3);
    assert_eq!((counters.dropped, counters.not_vxlan.len()), (0, 0));
}

#[test]
fn datagrams_without_vxlan_are_counted_and_reserved_bits_are_ignored() {
    let (mut receiver, sender) = receiver("0.0.0.0:0");
    sender.send(b"").unwrap();
    sender.send(&[8, 0, 0, 0, 0, 0, 1]).unwrap();
    sender.send(&[0xf7, 0, 0, 0, 0, 0, 1, 0, 1, 2]).unwrap();
    sender.send(&[0xff, 9, 9, 9, 0, 0, 7, 9, 1, 2]).unwrap();
    receiver.run(Some(1), &StopFlag::new(), &mut |_: &InnerFrame<'_>| Ok(())).unwrap();
    let counters = receiver.counters();
    assert_eq!(counters.not_vxlan[&NotVxlan::TooShort], 2);
    assert_eq!(counters.not_vxlan[&NotVxlan::FlagNotSet], 1);
    assert_eq!(counters.networks[&VirtualNetworkId::new(7).unwrap()].bytes, 2);
}

#[test]
fn the_unspecified_ipv6_address_receives_both_families() {
    if UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("NOT RUN: this host has no IPv6");
        return;
    }
    let (mut receiver, sender) = receiver("[::]:0");
    sender.send(&datagram(4, b"over IPv4")).unwrap();
    let port = receiver.local_address().unwrap().port();
    let sender = UdpSocket::bind("[::1]:0").unwrap();
    sender.send_to(&datagram(6, b"over IPv6"), ("::1", port)).unwrap();
    let mut peers = Vec::new();
    let mut sink = |frame: &InnerFrame<'_>| {
        peers.push(frame.peer.map(|peer| peer.ip().to_string()));
        Ok(())
    };
    receiver.run(Some(2), &StopFlag::new(), &mut sink).unwrap();
    assert_eq!(peers, [Some("127.0.0.1".to_owned()), Some("::1".to_owned())]);
}

#[test]
fn a_stop_ends_the_collector_after_the_waiting_datagrams() {
    let (mut receiver, sender) = receiver("127.0.0.1:0");
    for _ in 0..200 {
        sender.send(&datagram(1, b"frame")).unwrap();
    }
    let stop = StopFlag::new();
    stop.set();
    receiver.run(None, &stop, &mut |_: &InnerFrame<'_>| Ok(())).unwrap();
    assert_eq!(receiver.counters().received.frames, 200);
}

#[test]
fn a_sink_error_ends_the_collector() {
    let (mut receiver, sender) = receiver("127.0.0.1:0");
    sender.send(&datagram(1, b"frame")).unwrap();
    let mut sink = |_: &InnerFrame<'_>| Err(io::Error::other("disk full"));
    let ended = receiver.run(None, &StopFlag::new(), &mut sink).unwrap_err();
    assert_eq!(ended.to_string(), "disk full");
}

#[test]
fn datagrams_that_the_kernel_dropped_are_counted_after_an_error() {
    let (mut receiver, sender) = receiver("127.0.0.1:0");
    // More than the receive buffer holds.
    for _ in 0..3_000 {
        sender.send(&datagram(1, &[0; 60_000])).unwrap();
    }
    let mut sink = |_: &InnerFrame<'_>| Err(io::Error::other("disk full"));
    receiver.run(None, &StopFlag::new(), &mut sink).unwrap_err();
    assert!(receiver.counters().dropped > 0);
}

#[test]
fn ten_thousand_paced_datagrams_are_all_received() {
    let (mut receiver, sender) = receiver("127.0.0.1:0");
    for round in 0..100_u32 {
        for index in 0..100_u32 {
            sender.send(&datagram(round, &index.to_be_bytes())).unwrap();
        }
        receiver.run(Some(100), &StopFlag::new(), &mut |_: &InnerFrame<'_>| Ok(())).unwrap();
    }
    let counters = receiver.counters();
    assert_eq!(
        (counters.received.frames, counters.networks.len(), counters.dropped),
        (10_000, 100, 0)
    );
}

#[test]
fn the_number_of_networks_counted_separately_is_limited() {
    let mut counters = ReceiveCounters::default();
    for number in 0..70_000 {
        counters.add(VirtualNetworkId::new(number).unwrap(), b"xy");
    }
    assert_eq!(counters.networks.len(), MAX_NETWORKS);
    assert_eq!(counters.other_networks, TrafficCount { frames: 4_464, bytes: 8_928 });
    assert_eq!(counters.received.frames, 70_000);
}

proptest::proptest! {
    #[test]
    fn no_datagram_panics_and_a_valid_one_is_split_after_eight_bytes(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
    ) {
        match decapsulate_vxlan(&bytes) {
            Ok((_, frame)) => assert_eq!(frame, &bytes[8..]),
            Err(NotVxlan::TooShort) => assert!(bytes.len() < 8),
            Err(NotVxlan::FlagNotSet) => assert_eq!(bytes[0] & 8, 0),
        }
    }
}
