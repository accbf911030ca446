//! The path of copies to a collector: worker, pace and sockets.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where its input is not as it should"
)]

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use etherparse::PacketBuilder;
use traffic_mirror::control::{CompileOptions, Registry, compile};
use traffic_mirror::dataplane::{
    Burst, Copies, DropCause, Drops, Frame, MirrorTable, Sink, Source, Worker,
};
use traffic_mirror::io::StopFlag;
use traffic_mirror::io::pace::{Clock, PacedSink, Speed};
use traffic_mirror::io::receive::{InnerFrame, VxlanReceiver};
use traffic_mirror::io::udp::UdpSink;
use traffic_mirror::model::{TargetKind, VirtualNetworkId};

/// Frames in memory, a millisecond apart.
struct NumberedFrames {
    frames: Vec<Vec<u8>>,
    next: usize,
}

impl Source for NumberedFrames {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        for frame in self.frames.iter().skip(self.next) {
            let time_ns = 1_000_000_000 + 1_000_000 * u64::try_from(self.next).unwrap();
            if burst.try_push(Frame::new(frame).at(time_ns)).is_err() {
                break;
            }
            self.next += 1;
        }
        Ok(())
    }
}

/// UDP packets of eleven flows; each frame ends with its number.
fn numbered_frames(count: u32) -> NumberedFrames {
    let frame = |number: u32| {
        let port = 1_000 + u16::try_from(number % 11).unwrap();
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .udp(port, 5_000);
        let payload = number.to_be_bytes();
        let mut frame = Vec::with_capacity(builder.size(payload.len()));
        builder.write(&mut frame, &payload).unwrap();
        frame
    };
    NumberedFrames { frames: (0..count).map(frame).collect(), next: 0 }
}

fn table(target: SocketAddr) -> Arc<MirrorTable> {
    let vni = VirtualNetworkId::new(4_242).unwrap();
    compiled(&Registry::accept_all(target, Some(vni), None))
}

fn compiled(registry: &Registry) -> Arc<MirrorTable> {
    let options = CompileOptions {
        source_address: Some("127.0.0.1".parse().unwrap()),
        ..CompileOptions::default()
    };
    Arc::new(compile(registry, &options))
}

#[test]
fn every_copy_arrives_in_the_order_of_its_flow() {
    let mut collector = VxlanReceiver::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut worker = Worker::new(table(collector.local_address().unwrap()));
    let speed: Speed = "100kpps".parse().unwrap();
    let mut sink = PacedSink::new(UdpSink::new(), speed, StopFlag::new());
    let mut last_of_flow = [None; 11];
    let mut arrived = 0;
    let mut source = numbered_frames(5_000);
    while worker.step(&mut source, &mut sink).unwrap() {
        let mut check_frame = |frame: &InnerFrame<'_>| {
            assert_eq!(frame.virtual_network_id.value(), 4_242);
            let number = u32::from_be_bytes(*frame.bytes.last_chunk().unwrap());
            let last = &mut last_of_flow[usize::try_from(number % 11).unwrap()];
            assert!(last.replace(number).is_none_or(|last| last < number));
            Ok(())
        };
        let sent = worker.counters().mirrored();
        collector.run(Some(sent - arrived), &StopFlag::new(), &mut check_frame).unwrap();
        arrived = sent;
    }
    sink.flush().unwrap();
    assert_eq!((arrived, worker.counters().received), (5_000, 5_000));
    assert_eq!(last_of_flow.iter().flatten().count(), 11);
    let report = sink.inner().target_reports()[0];
    assert_eq!((report.sent, report.refused), (5_000, 0));
    assert_eq!(report.sent_bytes, worker.counters().mirrored_bytes());
    assert_eq!(sink.inner_mut().take_warnings(), Vec::<String>::new());
}

#[test]
fn the_datagram_equals_the_udp_payload_of_a_written_capture() {
    let listener = listener();
    let table = table(listener.local_addr().unwrap());
    assert_eq!(received(&listener, &table, 64), expected(&table));
}

#[test]
fn copies_for_a_gateway_load_balancer_endpoint_use_geneve() {
    let listener = listener();
    let kind = TargetKind::GatewayLoadBalancerEndpoint("vpce-1".to_owned());
    let table = balanced(kind, &[listener.local_addr().unwrap()]);
    let expected = expected(&table);
    let (_, first) = expected.first().unwrap();
    assert_eq!(first[..4], [8, 0, 0x08, 0x00]);
    assert_eq!(first.len(), 40 + 20 + 16 + numbered_frames(1).frames[0].len());
    assert_eq!(received(&listener, &table, 64), expected);
}

#[test]
fn a_flow_is_sent_to_one_address_of_a_load_balancer() {
    let listeners = [listener(), listener(), listener()];
    let addresses = listeners.each_ref().map(|one| one.local_addr().unwrap());
    let table = balanced(TargetKind::NetworkLoadBalancer("arn".to_owned()), &addresses);
    let mut sink = UdpSink::new();
    Worker::new(table).run(&mut numbered_frames(110), &mut sink).unwrap();
    let mut flows = Vec::new();
    for (listener, address) in listeners.iter().zip(addresses) {
        let mut reports = sink.target_reports();
        reports.retain(|report| report.destination == address);
        let mut flows_of_address = Vec::new();
        for _ in 0..reports[0].sent {
            let mut buffer = [0; 2_000];
            let (len, _) = listener.recv_from(&mut buffer).unwrap();
            flows_of_address.push(buffer[8 + 34..8 + 36].to_vec());
            assert!(len > 8);
        }
        flows_of_address.sort();
        flows_of_address.dedup();
        flows.extend(flows_of_address);
    }
    assert_eq!(flows.len(), 11, "{flows:?}");
}

fn listener() -> UdpSocket {
    let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
    listener.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    listener
}

/// A session that mirrors all traffic to a load balancer at these addresses.
fn balanced(kind: TargetKind, addresses: &[SocketAddr]) -> Arc<MirrorTable> {
    let mut registry = Registry::accept_all(addresses[0], VirtualNetworkId::new(7).ok(), None);
    let id = registry.targets()[0].id().clone();
    let target = registry.target_mut(&id).unwrap();
    target.kind = kind;
    target.further_addresses = addresses[1..].to_vec();
    compiled(&registry)
}

fn expected(table: &Arc<MirrorTable>) -> Vec<(u16, Vec<u8>)> {
    let mut payloads = SentPayloads::default();
    Worker::new(Arc::clone(table)).run(&mut numbered_frames(64), &mut payloads).unwrap();
    payloads.0.sort();
    payloads.0
}

fn received(listener: &UdpSocket, table: &Arc<MirrorTable>, count: usize) -> Vec<(u16, Vec<u8>)> {
    Worker::new(Arc::clone(table)).run(&mut numbered_frames(64), &mut UdpSink::new()).unwrap();
    let mut datagrams = Vec::new();
    let mut buffer = [0; 2_000];
    for _ in 0..count {
        let (len, peer) = listener.recv_from(&mut buffer).unwrap();
        datagrams.push((peer.port(), buffer[..len].to_vec()));
    }
    datagrams.sort();
    datagrams
}

/// Source port and UDP payload of each copy.
#[derive(Default)]
struct SentPayloads(Vec<(u16, Vec<u8>)>);

impl Sink for SentPayloads {
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        for copy in copies.iter() {
            let outer = copy.outer();
            let port = u16::from_be_bytes([outer[34], outer[35]]);
            self.0.push((port, [&outer[42..], &copy.inner().to_vec()].concat()));
        }
        Ok(())
    }
}

/// A clock that sets the stop flag when a wait ends later than 20 ms after the start.
struct StoppingClock {
    now_ns: std::cell::Cell<u64>,
    stop: StopFlag,
}

impl Clock for StoppingClock {
    fn now_ns(&self) -> u64 {
        self.now_ns.get()
    }

    fn sleep_ns(&self, duration_ns: u64) {
        self.now_ns.set(self.now_ns.get() + duration_ns);
        if self.now_ns.get() > 20_000_000 {
            self.stop.set();
        }
    }
}

/// Loses every third copy.
struct LossySink;

impl Sink for LossySink {
    fn send(&mut self, copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()> {
        for (index, copy) in copies.iter().enumerate() {
            let number = u32::from_be_bytes(*copy.inner().head.last_chunk().unwrap());
            if number % 3 == 0 {
                drops.push(index, DropCause::NoBuffers);
            }
        }
        Ok(())
    }
}

#[test]
fn waiting_copies_at_a_stop_are_interrupted_and_losses_keep_their_index() {
    let table = table("127.0.0.1:4789".parse().unwrap());
    let stop = StopFlag::new();
    let clock = StoppingClock { now_ns: std::cell::Cell::new(0), stop: stop.clone() };
    let mut sink = PacedSink::with_clock(LossySink, clock, Speed::ORIGINAL, stop);
    let mut worker = Worker::new(table);
    worker.step(&mut numbered_frames(60), &mut sink).unwrap();
    let counters = worker.counters();
    // Frames 0 to 20 were due within the first 20 ms.
    assert_eq!(counters.dropped(DropCause::NoBuffers), 7);
    assert_eq!(counters.dropped(DropCause::Interrupted), 39);
    assert_eq!(counters.mirrored(), 14);
}

#[test]
fn a_closed_port_is_no_error_and_every_copy_is_counted() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut worker = Worker::new(table(closed));
    let mut sink = UdpSink::new();
    worker.run(&mut numbered_frames(3_000), &mut sink).unwrap();
    let counters = worker.counters();
    let lost = counters.dropped(DropCause::TargetRefused);
    assert_eq!(counters.mirrored() + lost, 3_000);
    let report = sink.target_reports()[0];
    assert_eq!(report.sent, counters.mirrored());
    assert!(report.refused > 0);
}

#[test]
fn sending_allocates_nothing_after_the_sockets_are_open() {
    let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut worker = Worker::new(table(listener.local_addr().unwrap()));
    let speed: Speed = "10Gbps".parse().unwrap();
    let mut sink = PacedSink::new(UdpSink::new(), speed, StopFlag::new());
    let mut source = numbered_frames(640);
    worker.step(&mut source, &mut sink).unwrap();
    let counted =
        allocation_counter::measure(|| while worker.step(&mut source, &mut sink).unwrap() {});
    assert_eq!(counted.count_total, 0);
    assert_eq!(worker.counters().mirrored(), 640);
}
