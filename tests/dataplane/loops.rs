//! Hosts that mirror to each other, in memory. For any number of hosts and any ports, families,
//! tunnels and lengths, one frame causes at most two copies of itself and two copies of these.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use proptest::prelude::*;
use traffic_mirror::dataplane::{
    Burst, CompiledSession, CompiledTarget, Copies, Drops, Frame, InterfaceIndex, LoopGuard,
    MirrorTable, NotMirrored, Sink, Source, TableParts, TargetIndex, Worker,
};
use traffic_mirror::model::{
    Direction, Filter, FilterId, NetworkInterface, NetworkInterfaceId, PacketLength, SessionId,
    SessionNumber, TargetId, VirtualNetworkId,
};

/// The frame, a copy by each host, and a copy of each copy by the other host.
const MAX_FRAMES: usize = 5;

/// How the frames of a host look on the wire.
#[derive(Debug, Clone, Copy)]
enum WireFormat {
    Plain,
    Tagged,
    Vxlan,
    Gre,
    IpInIp,
}

/// A host that mirrors its interface to another host.
#[derive(Debug, Clone)]
struct MirrorConfig {
    target: usize,
    port: u16,
    packet_length: Option<i64>,
    is_gateway: bool,
    wire_format: WireFormat,
}

struct Host {
    config: MirrorConfig,
    worker: Worker,
}

/// The frames of one burst (bytes, tail, whether it continues a super-frame) and their direction.
struct Frames<'f>(&'f [(&'f [u8], &'f [u8], bool)], Direction);

impl Source for Frames<'_> {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        for (bytes, tail, is_next_segment) in std::mem::take(&mut self.0) {
            let frame = Frame { tail, is_next_segment: *is_next_segment, ..Frame::new(bytes) };
            burst.push(frame.flowing(self.1));
        }
        Ok(())
    }
}

#[derive(Default)]
struct CollectingSink(Vec<Vec<u8>>);

impl Sink for CollectingSink {
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        let bytes = copies.iter().map(|copy| [&copy.outer()[..], &copy.inner().to_vec()].concat());
        self.0.extend(bytes);
        Ok(())
    }
}

fn address(host: usize, is_ipv6: bool) -> IpAddr {
    let number = u8::try_from(host).unwrap() + 1;
    if is_ipv6 {
        return Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()).into();
    }
    [10, 0, 0, number].into()
}

fn worker(own: usize, config: &MirrorConfig, is_ipv6: bool) -> Worker {
    let interface = NetworkInterface::new(NetworkInterfaceId::new("eni-1").unwrap());
    let target = CompiledTarget {
        id: TargetId::new("tmt-1").unwrap(),
        address: Some(SocketAddr::new(address(config.target, is_ipv6), config.port)),
        further_addresses: Vec::new(),
        gateway_endpoint: config.is_gateway.then_some(7),
        mtu: None,
        rate_limit: None,
    };
    let session = CompiledSession {
        id: SessionId::from_seed(1),
        number: SessionNumber::new(1).unwrap(),
        interface: InterfaceIndex::FIRST,
        target: TargetIndex::FIRST,
        filter: Arc::new(Filter::accept_all(FilterId::new("tmf-1").unwrap())),
        packet_length: config.packet_length.map(|length| PacketLength::new(length).unwrap()),
        virtual_network_id: VirtualNetworkId::new(1).unwrap(),
        source_address: address(own, is_ipv6),
        rate_limit: None,
    };
    let loop_guard = Some(Arc::new(LoopGuard::new([&target].into_iter())));
    let parts = TableParts {
        interfaces: vec![Arc::new(interface)],
        targets: vec![target],
        sessions: vec![session],
        loop_guard,
        ..TableParts::default()
    };
    Worker::new(Arc::new(MirrorTable::new(parts))).with_interface(InterfaceIndex::FIRST)
}

fn ipv4(protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([8, 0, 0x45, 0]);
    frame.extend(u16::try_from(20 + body.len()).unwrap().to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, protocol, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2]);
    [frame, body.to_vec()].concat()
}

fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).unwrap();
    let words = [source, destination, len, 0].map(u16::to_be_bytes).concat();
    [words, payload.to_vec()].concat()
}

fn encode(wire_format: WireFormat, frame: &[u8]) -> Vec<u8> {
    let is_ipv6 = frame[12] == 0x86;
    match wire_format {
        WireFormat::Plain => frame.to_vec(),
        WireFormat::Tagged => [&frame[..12], &[0x81, 0, 0, 5], &frame[12..]].concat(),
        WireFormat::Vxlan => {
            ipv4(17, &udp(40_000, 8_472, &[&[8, 0, 0, 0, 0, 0, 9, 0], frame].concat()))
        }
        WireFormat::Gre => ipv4(47, &[&[0, 0, 0x65, 0x58], frame].concat()),
        WireFormat::IpInIp => ipv4(if is_ipv6 { 41 } else { 4 }, &frame[14..]),
    }
}

/// Sends a frame from the first host to the second one. Returns the number of frames on the wire.
fn frames_caused_by(frame: &[u8], configs: &[MirrorConfig], is_ipv6: bool) -> usize {
    let hosts = configs.iter().enumerate();
    let mut hosts: Vec<Host> = hosts
        .map(|(own, config)| Host { config: config.clone(), worker: worker(own, config, is_ipv6) })
        .collect();
    let mut wire = vec![(frame.to_vec(), 0, 1)];
    let mut passed = 0;
    while let Some((frame, from, to)) = wire.pop() {
        passed += 1;
        // The loop does not end: the assertion of the caller fails.
        if passed > 100 {
            break;
        }
        for (host, direction) in [(from, Direction::Egress), (to, Direction::Ingress)] {
            let mut sent = CollectingSink::default();
            let Host { config, worker } = &mut hosts[host];
            let one = [(&frame[..], &[][..], false)];
            worker.run(&mut Frames(&one, direction), &mut sent).unwrap();
            let copies = sent.0.iter().map(|copy| encode(config.wire_format, copy));
            wire.extend(copies.map(|copy| (copy, host, config.target)));
            assert!(worker.counters().is_balanced());
        }
    }
    passed
}

fn config() -> impl Strategy<Value = MirrorConfig> {
    let length = prop_oneof![1 => Just(None), 4 => (1_i64..200).prop_map(Some)];
    let wire_format = prop_oneof![
        4 => Just(WireFormat::Plain),
        1 => Just(WireFormat::Tagged),
        1 => Just(WireFormat::Vxlan),
        1 => Just(WireFormat::Gre),
        1 => Just(WireFormat::IpInIp),
    ];
    let port = prop_oneof![Just(4789), 1_u16..];
    (0_usize..4, port, length, prop::bool::weighted(0.2), wire_format).prop_map(
        |(target, port, packet_length, is_gateway, wire_format)| MirrorConfig {
            target,
            port,
            packet_length,
            is_gateway,
            wire_format,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn hosts_that_mirror_to_each_other_stop_looping(
        mut configs in prop::collection::vec(config(), 2..5),
        is_ipv6: bool,
        is_tcp: bool,
        ports: (u16, u16),
        payload in 0_usize..60,
    ) {
        // Each host mirrors to another host.
        let count = configs.len();
        for (own, config) in configs.iter_mut().enumerate() {
            config.target = (own + 1 + config.target % (count - 1)) % count;
        }
        let mut frame = ipv4(17, &udp(ports.0, ports.1, &vec![0; payload]));
        frame[23] = if is_tcp { 6 } else { 17 };
        let passed = frames_caused_by(&frame, &configs, is_ipv6);
        prop_assert!(passed <= MAX_FRAMES, "{passed}");
    }
}

/// The property above would also hold for hosts that mirror nothing.
#[test]
fn a_copy_of_another_mirror_is_mirrored_once() {
    let to = |target, port| MirrorConfig {
        target,
        port,
        packet_length: None,
        is_gateway: false,
        wire_format: WireFormat::Plain,
    };
    let frame = ipv4(17, &udp(5_000, 53, &[0; 12]));
    for configs in [vec![to(1, 4789), to(0, 4789)], vec![to(1, 7_000), to(2, 8_000), to(0, 9_000)]]
    {
        assert_eq!(frames_caused_by(&frame, &configs, false), MAX_FRAMES);
        assert_eq!(frames_caused_by(&frame, &configs, true), MAX_FRAMES);
    }
}

/// Each segment of a super-frame of copies is examined: segments have the same ports, but are not
/// the same copies.
#[test]
fn segments_of_a_super_frame_of_copies_are_evaluated_separately() {
    let config = MirrorConfig {
        target: 1,
        port: 7_000,
        packet_length: None,
        is_gateway: false,
        wire_format: WireFormat::Plain,
    };
    let copy =
        |frame: &[u8]| ipv4(17, &udp(65_450, 4_789, &[&[8, 0, 0, 0, 0, 0, 9, 0], frame].concat()));
    let plain = ipv4(17, &udp(5_000, 53, &[0; 12]));
    let (one, two) = (copy(&plain), copy(&copy(&plain)));
    let segment = |frame: &'static [u8], is_next| (&frame[..42], &frame[42..], is_next);
    let (one, two): (&'static [u8], &'static [u8]) = (one.leak(), two.leak());
    let segments =
        [segment(one, false), segment(two, true), segment(one, true), segment(two, true)];
    let mut worker = worker(0, &config, false);
    // The second burst continues the super-frame that the first one began.
    for part in [&segments[..], &segments[1..]] {
        worker.run(&mut Frames(part, Direction::Ingress), &mut CollectingSink::default()).unwrap();
    }
    let counters = worker.counters();
    assert_eq!((counters.mirrored(), counters.not_mirrored(NotMirrored::NestedCopy)), (3, 4));
    assert!(counters.is_balanced());
}

#[test]
fn segments_do_not_take_the_decision_of_an_earlier_burst() {
    let config = MirrorConfig {
        target: 1,
        port: 4_789,
        packet_length: None,
        is_gateway: false,
        wire_format: WireFormat::Plain,
    };
    let mut worker = worker(0, &config, false);
    let mut sent = CollectingSink::default();
    let ordinary = ipv4(17, &udp(40_000, 7, &[0; 20]));
    let one = [(&ordinary[..], &[][..], false)];
    worker.run(&mut Frames(&one, Direction::Ingress), &mut sent).unwrap();
    assert_eq!(sent.0.len(), 1);
    // A super-frame of copies of copies: no segment of it may be mirrored.
    let copy = sent.0.remove(0);
    let nested = ipv4(17, &udp(65_408, 4_789, &[&[8, 0, 0, 0, 0, 0, 9, 0], &copy[..]].concat()));
    for wire_format in [WireFormat::Plain, WireFormat::Tagged] {
        let nested = encode(wire_format, &nested);
        worker.run(&mut Frames(&one, Direction::Ingress), &mut sent).unwrap();
        sent.0.clear();
        let segments = [(&nested[..], &[][..], false), (&nested[..], &[][..], true)];
        worker.run(&mut Frames(&segments, Direction::Ingress), &mut sent).unwrap();
        assert!(sent.0.is_empty(), "{wire_format:?}");
    }
    assert_eq!(worker.counters().not_mirrored(NotMirrored::NestedCopy), 4);
}
