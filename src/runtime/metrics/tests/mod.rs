//! A small live mirror in memory, for the tests of the metrics.

mod dashboard;
mod exposition;
mod exposition_parser;
mod serving;
mod sums;
mod tiers;

use std::io;
use std::sync::Arc;

use crate::control::config::{self, Text};
use crate::control::{CompileOptions, compile};
use crate::dataplane::{
    Copies, DropCause, Drops, InterfaceIndex, MirrorTable, NotMirrored, Sink, TargetIndex, Worker,
};
use crate::io::memory::{FrameSource, MemoryFrame};
use crate::io::udp::TargetReport;
use crate::model::{Direction, NetworkInterface};
use crate::runtime::{InterfaceSnapshot, InterfaceTier, RingSnapshot, Snapshot, WorkerSnapshot};

/// A sink that drops every third copy and truncates every fifth to 30 bytes.
#[derive(Default)]
struct LossySink(usize);

impl Sink for LossySink {
    fn send(&mut self, copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()> {
        for index in 0..copies.iter().count() {
            self.0 += 1;
            if self.0.is_multiple_of(5) {
                drops.cut(index, 30);
            }
            if self.0.is_multiple_of(3) {
                drops.push(index, DropCause::ALL[self.0 % DropCause::ALL.len()]);
            }
        }
        Ok(())
    }
}

fn table(text: &str) -> Arc<MirrorTable> {
    let read = config::read_texts(&[Text::new("mirror.toml", text)]).into_result();
    Arc::new(compile(&read.unwrap().0, &CompileOptions::default()))
}

fn before() -> Arc<MirrorTable> {
    table(include_str!("before.toml"))
}

fn after() -> Arc<MirrorTable> {
    table(include_str!("after.toml"))
}

/// A UDP datagram to that host and port, with some payload.
fn datagram(host: u8, port: u16) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([8, 0, 0x45, 0, 0, 60, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 9, 10, 0, 0, host]);
    frame.extend([0x30, 0x39]);
    frame.extend(port.to_be_bytes());
    frame.extend([0, 40, 0, 0]);
    frame.extend([7; 32]);
    frame
}

/// Ingress and egress frames: accepted by both sessions, accepted by none, DNS with the resolver,
/// and ARP.
fn traffic(seed: u16) -> FrameSource<Vec<u8>> {
    let mut arp = datagram(5, 0);
    arp.splice(12..14, [8, 6]);
    let wanted = (0..200_u16).map(|number| datagram(5, (number * 37 + seed) % 3_000));
    let dns = (0..7).map(|_| datagram(2, 53));
    let all = wanted.chain(dns).chain([arp]);
    let both = [Direction::Ingress, Direction::Egress].into_iter().cycle();
    FrameSource::from_frames(
        all.zip(both).map(|(bytes, direction)| MemoryFrame::new(bytes).with_direction(direction)),
    )
}

/// Workers that use one table; interface 0 is eni-web, 1 is eni-db.
struct Mirror {
    table: Arc<MirrorTable>,
    workers: Vec<(InterfaceIndex, Worker, LossySink)>,
}

impl Mirror {
    fn new(table: &Arc<MirrorTable>, interfaces: &[u32]) -> Self {
        let worker = |interface: &u32| {
            let interface = InterfaceIndex::new(*interface);
            let worker = Worker::new(Arc::clone(table)).with_interface(interface);
            (interface, worker, LossySink::default())
        };
        Self { table: Arc::clone(table), workers: interfaces.iter().map(worker).collect() }
    }

    /// Sends traffic through every worker, some of which was lost before.
    fn run(&mut self) {
        for (seed, (_, worker, sink)) in (0..).zip(&mut self.workers) {
            worker.run(&mut traffic(seed), sink).unwrap();
            worker.count_dropped(DropCause::Ring, 11);
            worker.count_not_mirrored(NotMirrored::OwnTraffic, 5);
        }
    }

    fn change(&mut self, table: &Arc<MirrorTable>) {
        for (interface, worker, _) in &mut self.workers {
            worker.change_table(Arc::clone(table), Some(*interface));
        }
        self.table = Arc::clone(table);
    }

    fn id_of(&self, interface: InterfaceIndex) -> String {
        self.table.interface(interface).unwrap().id().to_string()
    }

    fn snapshot(&self) -> Snapshot {
        let worker =
            |(number, (interface, worker, _)): (u16, &(InterfaceIndex, Worker, LossySink))| {
                let counters = worker.counters().clone();
                WorkerSnapshot {
                    network_interface_id: self.id_of(*interface),
                    device: format!("eth{interface}"),
                    worker: number,
                    is_attached: true,
                    ring: RingSnapshot {
                        frames: counters.frames,
                        bytes_len: 1 << 22,
                        drops: 11,
                        overtruncated: 0,
                        unaccounted: 0,
                        is_filtered: true,
                    },
                    targets: vec![report(0, "192.0.2.10:4789"), report(1, "[2001:db8::53]:4789")],
                    impaired: None,
                    table: Some(Arc::clone(&self.table)),
                    counters,
                }
            };
        Snapshot {
            interfaces: interfaces(&self.table),
            workers: (0..).zip(&self.workers).map(worker).collect(),
            uptime_s: 12.5,
            reloads: 3,
            reload_failures: 1,
        }
    }
}

/// The interfaces of a table that have a session.
fn interfaces(table: &Arc<MirrorTable>) -> Vec<InterfaceSnapshot> {
    let with_session = InterfaceIndex::enumerate(table.interfaces())
        .filter(|(index, _)| table.sessions().iter().any(|session| session.interface == *index));
    let snapshot =
        |(index, interface): (InterfaceIndex, &Arc<NetworkInterface>)| InterfaceSnapshot {
            id: interface.id().to_string(),
            device: Some(format!("eth{index}")),
            tier: InterfaceTier::default(),
            table: Arc::clone(table),
        };
    with_session.map(snapshot).collect()
}

fn report(target: u32, destination: &str) -> TargetReport {
    let destination = destination.parse().unwrap();
    TargetReport {
        target: TargetIndex::new(target),
        destination,
        sent: 10,
        sent_bytes: 600,
        no_route: 0,
        refused: 2,
        unreachable: 1,
        device_index: None,
        is_tunnelled: false,
    }
}

/// Three workers, two of them on one interface, that have mirrored traffic.
fn busy() -> Snapshot {
    let mut mirror = Mirror::new(&before(), &[0, 0, 1]);
    mirror.run();
    mirror.snapshot()
}

/// A snapshot without mirrored traffic and without devices.
fn idle() -> Snapshot {
    let mut snapshot = Mirror::new(&before(), &[0, 1]).snapshot();
    snapshot.workers.iter_mut().for_each(|worker| worker.is_attached = false);
    snapshot
}
