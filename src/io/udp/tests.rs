//! Tests the sink against sockets of the standard library on this host.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::options::{DepartureOrder, EgressMode, UdpOptions};
use super::outgoing::{OutgoingCopies, OutgoingCopy, PathKey, SessionEgress};
use super::sink::UdpSink;
use crate::dataplane::{DropCause, Drops, InnerBytes, SessionIndex, TargetIndex};
use crate::io::sys::capability;

struct Copy {
    path_key: PathKey,
    flow_hash: u8,
    inner: Vec<u8>,
}

impl OutgoingCopies for Vec<Copy> {
    fn len(&self) -> usize {
        self.len()
    }

    fn get(&self, index: usize) -> Option<OutgoingCopy<'_>> {
        let Copy { flow_hash, inner, .. } = <[Copy]>::get(self, index)?;
        let session = SessionIndex::from_usize(index);
        let inner = inner[..].into();
        let (flow_hash, flow_tag, destination) = (*flow_hash, 0, 0);
        Some(OutgoingCopy { session, flow_hash, flow_tag, destination, inner })
    }

    /// Each burst has a new table, and each copy its own session.
    fn table_number(&self) -> u64 {
        static BURSTS: AtomicU64 = AtomicU64::new(1);
        BURSTS.fetch_add(1, Ordering::Relaxed)
    }

    fn sessions(&self) -> usize {
        self.len()
    }

    fn session_egress(&self, session: SessionIndex) -> Option<SessionEgress> {
        Some(SessionEgress { path_key: self[session.get()].path_key, limits: [None, None] })
    }

    fn additional_keys(&self, _session: SessionIndex) -> Vec<PathKey> {
        Vec::new()
    }

    fn vxlan_header(&self, _index: usize) -> [u8; 8] {
        [8, 0, 0, 0, 0, 0x10, 0x92, 0]
    }

    fn geneve_header(&self, _index: usize, _inner: InnerBytes<'_>) -> Vec<u8> {
        Vec::new()
    }
}

fn path_key(destination: SocketAddr, source: &str) -> PathKey {
    PathKey {
        target: TargetIndex::new(3),
        destination,
        source: source.parse().unwrap(),
        is_in_geneve: false,
    }
}

fn listener(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind((address.parse::<IpAddr>().unwrap(), 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

fn next(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 70_000];
    let (len, peer) = socket.recv_from(&mut buffer).unwrap();
    buffer.truncate(len);
    (buffer, peer)
}

fn send(sink: &mut UdpSink, copies: &Vec<Copy>) -> Vec<(usize, DropCause)> {
    let mut drops = Drops::default();
    sink.send_all(copies, &mut drops);
    drops.lost().to_vec()
}

/// A sink for each egress mode, one after the other, because all open sinks receive each ICMP
/// error. Without CAP_NET_RAW the modes are the same.
fn sinks() -> impl Iterator<Item = UdpSink> {
    let modes = [EgressMode::Auto, EgressMode::IpPackets, EgressMode::UdpSockets];
    let sink = |egress| UdpSink::with_options(UdpOptions { egress, ..UdpOptions::default() });
    modes.into_iter().map(sink)
}

fn one(destination: SocketAddr, inner: Vec<u8>) -> Vec<Copy> {
    vec![Copy { path_key: path_key(destination, "127.0.0.1"), flow_hash: 5, inner }]
}

/// A port of this host on which no program listens.
fn closed_port() -> SocketAddr {
    listener("127.0.0.1").local_addr().unwrap()
}

#[test]
fn header_and_frame_are_sent_from_the_source_port_of_the_flow() {
    for address in ["127.0.0.1", "::1"] {
        if UdpSocket::bind((address, 0)).is_err() {
            eprintln!("NOT RUN: this host has no {address}");
            continue;
        }
        let listener = listener(address);
        let path_key = path_key(listener.local_addr().unwrap(), address);
        let copies = vec![
            Copy { path_key, flow_hash: 17, inner: vec![0xab; 60] },
            Copy { path_key, flow_hash: 127, inner: Vec::new() },
        ];
        for mut sink in sinks() {
            assert_eq!(send(&mut sink, &copies), []);
            let received = [next(&listener), next(&listener)];
            let vxlan = [8, 0, 0, 0, 0, 0x10, 0x92, 0];
            assert_eq!(received[0].0, [&vxlan[..], &[0xab; 60]].concat());
            assert_eq!(received[0].1, SocketAddr::new(address.parse().unwrap(), 65_408 + 17));
            assert_eq!((received[1].0.as_slice(), received[1].1.port()), (&vxlan[..], 65_535));
            assert_eq!(sink.take_warnings(), Vec::<String>::new());
            let report = sink.target_reports()[0];
            assert_eq!((report.target.number(), report.sent, report.sent_bytes), (3, 2, 60));
        }
    }
}

#[test]
fn copies_arrive_in_order_across_flows_with_three_sockets() {
    let listener = listener("127.0.0.1");
    let path_key = path_key(listener.local_addr().unwrap(), "127.0.0.1");
    let has_raw = capability::has_net_raw();
    for mut sink in sinks() {
        for burst in 0..20_u32 {
            let copies: Vec<Copy> = (0..150)
                .map(|index| {
                    let serial = burst * 150 + index;
                    let flow_hash = u8::try_from(serial * 7 % 128).unwrap();
                    Copy { path_key, flow_hash, inner: serial.to_be_bytes().to_vec() }
                })
                .collect();
            assert_eq!(send(&mut sink, &copies), []);
            for index in 0..150 {
                let (bytes, peer) = next(&listener);
                let serial = u32::from_be_bytes(*bytes.last_chunk().unwrap());
                assert_eq!(serial, burst * 150 + index);
                assert_eq!(u32::from(peer.port()), 65_408 + serial * 7 % 128);
            }
        }
        assert_eq!(sink.target_reports()[0].sent, 3_000);
        let is_raw = has_raw && sink.egress.options().egress != EgressMode::UdpSockets;
        assert_eq!(sink.sockets_len(), if is_raw { 1 } else { 128 });
    }
}

#[test]
fn in_flow_order_each_flow_keeps_its_order() {
    let listener = listener("127.0.0.1");
    let path_key = path_key(listener.local_addr().unwrap(), "127.0.0.1");
    let options = UdpOptions { order: DepartureOrder::Flow, ..UdpOptions::default() };
    let mut sink = UdpSink::with_options(options);
    let copies: Vec<Copy> = (0..150_u8)
        .map(|serial| Copy { path_key, flow_hash: serial % 5, inner: vec![serial] })
        .collect();
    assert_eq!(send(&mut sink, &copies), []);
    let mut last_of_flow = [None; 5];
    for _ in 0..150 {
        let (bytes, peer) = next(&listener);
        let last = &mut last_of_flow[usize::from(peer.port() - 65_408)];
        assert!(last.replace(bytes[8]).is_none_or(|last| last < bytes[8]));
    }
}

#[test]
fn several_targets_share_a_source_port() {
    let listeners = [listener("127.0.0.1"), listener("127.0.0.1")];
    let to = |listener: &UdpSocket, target| Copy {
        path_key: PathKey {
            target: TargetIndex::new(target),
            ..path_key(listener.local_addr().unwrap(), "127.0.0.1")
        },
        flow_hash: 99,
        inner: vec![1],
    };
    let copies = vec![to(&listeners[0], 0), to(&listeners[1], 1), to(&listeners[0], 0)];
    let mut sink = UdpSink::new();
    assert_eq!(send(&mut sink, &copies), []);
    assert_eq!(next(&listeners[0]).1.port(), 65_507);
    assert_eq!(next(&listeners[1]).1.port(), 65_507);
    let sent: Vec<_> = sink.target_reports().iter().map(|report| report.sent).collect();
    assert_eq!(sent, [2, 1]);
    assert_eq!(sink.take_warnings(), Vec::<String>::new());
}

#[test]
fn a_closed_port_is_counted_and_is_no_error() {
    for sink in sinks() {
        count_refusals(sink);
    }
}

fn count_refusals(mut sink: UdpSink) {
    let closed = closed_port();
    let mut lost = 0;
    for _ in 0..50 {
        let copies: Vec<Copy> = (0..64)
            .map(|_| Copy {
                path_key: path_key(closed, "127.0.0.9"),
                flow_hash: 1,
                inner: vec![7; 100],
            })
            .collect();
        let drops = send(&mut sink, &copies);
        assert!(drops.iter().all(|(_, cause)| *cause == DropCause::TargetRefused));
        lost += u64::try_from(drops.len()).unwrap();
    }
    crate::dataplane::Sink::flush(&mut sink).unwrap();
    let report = sink.target_reports()[0];
    assert_eq!(report.sent + lost, 50 * 64);
    assert!(report.refused > 0 && report.refused <= report.sent, "{report:?}");
    let warnings = sink.take_warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("no program listens"), "{warnings:?}");
    let open = listener("127.0.0.9");
    assert_eq!(send(&mut sink, &one(open.local_addr().unwrap(), vec![9])), []);
    assert_eq!(next(&open).0.last(), Some(&9));
}

#[test]
fn a_frame_above_the_route_mtu_is_truncated_and_reported() {
    for mut sink in sinks() {
        let listener = listener("127.0.0.1");
        let path_key = path_key(listener.local_addr().unwrap(), "127.0.0.1");
        // Two at a time: the receive buffer holds no more of these.
        for lens in [[100, 65_499], [65_500, 101], [70_000, 0]] {
            let copies: Vec<Copy> =
                lens.map(|len| Copy { path_key, flow_hash: 0, inner: vec![0; len] }).into();
            let mut drops = Drops::default();
            sink.send_all(&copies, &mut drops);
            let cuts: &[_] = if lens[0] > 65_499 { &[(0, 65_499)] } else { &[] };
            assert_eq!((drops.lost(), drops.cuts()), (&[][..], cuts));
            let arrived = [next(&listener).0.len(), next(&listener).0.len()];
            assert_eq!(arrived, lens.map(|len| len.min(65_499) + 8));
        }
        assert_eq!(sink.take_warnings(), Vec::<String>::new());
    }
}

#[test]
fn a_foreign_source_address_is_reported_once_and_replaced() {
    let listener = listener("127.0.0.1");
    let path_key = path_key(listener.local_addr().unwrap(), "203.0.113.77");
    let copies: Vec<Copy> =
        (0..3).map(|flow_hash| Copy { path_key, flow_hash, inner: vec![flow_hash] }).collect();
    let mut sink = UdpSink::new();
    assert_eq!(send(&mut sink, &copies), []);
    assert_eq!(next(&listener).1, "127.0.0.1:65408".parse().unwrap());
    let warnings = sink.take_warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("203.0.113.77"), "{warnings:?}");
    assert_eq!(sink.take_warnings(), Vec::<String>::new());
}

#[test]
fn a_source_port_in_use_is_reported_once_and_replaced() {
    // Without SO_REUSEADDR the port cannot be shared.
    let occupied: Vec<_> = (80..120).map(|x| UdpSocket::bind(("127.0.0.3", 65_408 + x))).collect();
    assert!(occupied.iter().any(Result::is_ok));
    let listener = listener("127.0.0.1");
    let path_key = path_key(listener.local_addr().unwrap(), "127.0.0.3");
    let copies: Vec<Copy> =
        (80..120).map(|flow_hash| Copy { path_key, flow_hash, inner: vec![flow_hash] }).collect();
    let egress = EgressMode::UdpSockets;
    let mut sink = UdpSink::with_options(UdpOptions { egress, ..UdpOptions::default() });
    assert_eq!(send(&mut sink, &copies), []);
    assert_eq!(next(&listener).1.ip(), "127.0.0.3".parse::<IpAddr>().unwrap());
    let warnings = sink.take_warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("source port"), "{warnings:?}");
}

#[test]
fn copies_for_an_unreachable_target_are_dropped() {
    // The source is a loopback address, so no datagram leaves this host.
    let nowhere = "203.0.113.9:4789".parse().unwrap();
    let mut sink = UdpSink::new();
    let mut copies = one(nowhere, vec![1]);
    copies.extend(one(nowhere, vec![2]));
    let drops = send(&mut sink, &copies);
    assert_eq!(drops.len(), 2);
    assert!(drops.iter().all(|(_, cause)| {
        matches!(cause, DropCause::TargetUnreachable | DropCause::SendFailed)
    }));
    crate::dataplane::Sink::flush(&mut sink).unwrap();
    assert_eq!(sink.take_warnings().len(), 1);
}
