//! The picture of a run at one moment, in plain values.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::dataplane::{Counters, MirrorTable};
use crate::io::udp::TargetReport;

/// What a run is and has done so far.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Every interface that has a session.
    pub interfaces: Vec<InterfaceSnapshot>,
    /// Every worker there is and was: where one is left out, counters go back. One whose interface
    /// the table no longer has is not expected to be attached.
    pub workers: Vec<WorkerSnapshot>,
    /// How long the run has lasted.
    pub uptime_s: f64,
    /// How many times another configuration took effect.
    pub reloads: u64,
    /// How many times another configuration was refused and the old one stayed.
    pub reload_failures: u64,
}

/// A network interface that has a session.
#[derive(Debug, Clone)]
pub struct InterfaceSnapshot {
    /// Its id.
    pub id: String,
    /// The name of its device on this host, if anybody has said so.
    pub device: Option<String>,
    /// What decides about its packets; interfaces may share one.
    pub table: Arc<MirrorTable>,
}

/// One worker: a ring of a network interface and what became of its frames.
#[derive(Debug, Clone)]
pub struct WorkerSnapshot {
    /// The mirrored network interface, by its id in the table.
    pub network_interface_id: String,
    /// The name of its device on this host.
    pub device: String,
    /// The number of the worker among those of the device, from zero.
    pub worker: u16,
    /// Whether it has a ring on the device just now.
    pub is_attached: bool,
    /// The table that its counters are ordered by; none where they have no sessions.
    pub table: Option<Arc<MirrorTable>>,
    /// What it counted.
    pub counters: Counters,
    /// What its ring is and did.
    pub ring: RingSnapshot,
    /// What became of its datagrams; empty where it sends none.
    pub targets: Vec<TargetReport>,
}

/// A ring that the kernel puts frames into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RingSnapshot {
    /// Frames that the kernel had for the ring, since the worker began.
    pub frames: u64,
    /// How much memory the ring takes.
    pub bytes_len: u64,
    /// Frames that found no room in the ring, since the worker began.
    pub drops: u64,
    /// Frames that the kernel delivered and that were not counted, or were counted twice.
    pub unaccounted: u64,
    /// Whether the kernel keeps frames out of it that no session can want.
    pub is_filtered: bool,
}

impl Snapshot {
    /// What all workers counted together, with one session in the place of all.
    pub fn total(&self) -> Counters {
        let carried: Vec<_> = self.by_session().into_iter().map(|(_, counters)| counters).collect();
        let interfaces = self.by_id();
        let ended = self.workers.iter().filter(|worker| worker.interface(&interfaces).is_none());
        Counters::sum(carried.iter().chain(ended.map(|worker| &worker.counters)))
    }

    /// The same, but counts of sessions that went away are not told from those that are there.
    pub fn sum(&self) -> Counters {
        Counters::sum(self.workers.iter().map(|worker| &worker.counters))
    }

    /// The counters of each worker by the sessions of its interface, and zeros for an interface
    /// without a worker. The table of a worker may be an earlier one of its interface.
    pub(super) fn by_session(&self) -> Vec<(&MirrorTable, Counters)> {
        let interfaces = self.by_id();
        let idle = self.interfaces.iter().map(|one| (&*one.table, Counters::new(&one.table)));
        let of_workers = self.workers.iter().filter_map(|worker| {
            let table = &*worker.interface(&interfaces)?.table;
            let counters = match &worker.table {
                Some(own) if own.number() != table.number() => {
                    worker.counters.reordered_for(own, table)
                }
                _ => worker.counters.clone(),
            };
            Some((table, counters))
        });
        idle.chain(of_workers).collect()
    }

    /// The workers of interfaces that have a session.
    pub(super) fn active_workers(&self) -> impl Iterator<Item = &WorkerSnapshot> {
        let interfaces = self.by_id();
        self.workers.iter().filter(move |worker| worker.interface(&interfaces).is_some())
    }

    fn by_id(&self) -> HashMap<&str, &InterfaceSnapshot> {
        self.interfaces.iter().map(|one| (&*one.id, one)).collect()
    }

    /// Whether the frames of every interface with a session come in.
    pub(super) fn is_attached(&self) -> bool {
        self.missing().is_empty()
    }

    /// The devices with frames that are not accounted for, and how many these are.
    pub(super) fn unaccounted(&self) -> BTreeMap<&str, u64> {
        let mut devices = BTreeMap::new();
        for worker in self.workers.iter().filter(|worker| worker.ring.unaccounted > 0) {
            *devices.entry(&*worker.device).or_default() += worker.ring.unaccounted;
        }
        devices
    }

    /// The devices of interfaces with a session that no worker is attached to, and the interfaces.
    pub(super) fn missing(&self) -> Vec<(&str, &str)> {
        let attached = self.active_workers().filter(|worker| worker.is_attached);
        let there: HashSet<&str> = attached.map(|worker| &*worker.network_interface_id).collect();
        let absent = self.interfaces.iter().filter(|one| !there.contains(&*one.id));
        let mut missing: Vec<_> =
            absent.map(|one| (one.device.as_deref().unwrap_or_default(), &*one.id)).collect();
        missing.sort_unstable();
        missing
    }
}

impl WorkerSnapshot {
    /// The worker's interface, if it has a session and the worker has not ended.
    fn interface<'s>(
        &self,
        interfaces: &HashMap<&str, &'s InterfaceSnapshot>,
    ) -> Option<&'s InterfaceSnapshot> {
        self.table.as_ref()?;
        interfaces.get(&*self.network_interface_id).copied()
    }

    /// Adds what a later worker of the same name did, which has ended, too.
    pub fn add_ended(&mut self, other: Self) {
        self.counters.add(&other.counters);
        self.ring.frames += other.ring.frames;
        self.ring.drops += other.ring.drops;
        self.ring.unaccounted += other.ring.unaccounted;
        for report in other.targets {
            match self.targets.iter_mut().find(|known| {
                (known.destination, known.device_index) == (report.destination, report.device_index)
            }) {
                Some(known) => known.add(&report),
                None => self.targets.push(report),
            }
        }
    }
}
