//! The state and the counters of a run at one moment, as plain values.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::tier::{ActiveTier, InterfaceTier};
use crate::dataplane::{Counters, MirrorTable};
use crate::io::impair::ImpairmentCounts;
use crate::io::udp::TargetReport;

/// The state and the counters of a run at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Every network interface that has a session, in the order of the configuration.
    pub interfaces: Vec<InterfaceSnapshot>,
    /// Every worker that runs, and one entry for each interface, device and worker number whose
    /// workers have ended. Ended workers stay so that no counter decreases.
    pub workers: Vec<WorkerSnapshot>,
    /// The time since the start of the run, in seconds.
    pub uptime_s: f64,
    /// How many times the registry was replaced.
    pub reloads: u64,
    /// How many times a configuration was rejected and the registry stayed unchanged.
    pub reload_failures: u64,
}

/// A network interface that has a session.
#[derive(Debug, Clone)]
pub struct InterfaceSnapshot {
    /// Its ID, such as `eni-0123456789abcdef0`.
    pub id: String,
    /// The name of its device on this host; none if it is unknown, and then nothing is captured.
    pub device: Option<String>,
    /// The tier that mirrors it, or did so last.
    pub tier: InterfaceTier,
    /// The compiled table that its frames are evaluated with.
    pub table: Arc<MirrorTable>,
}

/// One worker: its ring, its counters and its targets.
#[derive(Debug, Clone)]
pub struct WorkerSnapshot {
    /// The ID of the mirrored network interface.
    pub network_interface_id: String,
    /// The name of its device on this host.
    pub device: String,
    /// The number of the worker among those of the device, from 0.
    pub worker: u16,
    /// Whether it captures the device now.
    pub is_attached: bool,
    /// The table whose sessions index the counters; none if the worker has ended, or has not yet
    /// published a status.
    pub table: Option<Arc<MirrorTable>>,
    /// Its counters since it started.
    pub counters: Counters,
    /// Its ring.
    pub ring: RingSnapshot,
    /// Its datagrams by target; empty if it sent none.
    pub targets: Vec<TargetReport>,
    /// What fault injection did; none without faults.
    pub impaired: Option<ImpairmentCounts>,
}

/// The ring that the kernel writes frames to. Counts are since the worker started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RingSnapshot {
    /// Frames that the kernel had for the ring, including those of `drops`.
    pub frames: u64,
    /// The memory of the ring, in bytes.
    pub bytes_len: u64,
    /// Frames that the kernel dropped because the ring was full.
    pub drops: u64,
    /// Frames that the kernel filter truncated although their checksum or segmentation was
    /// unfinished. A super-frame among them was mirrored as one truncated frame.
    pub overtruncated: u64,
    /// Frames that the kernel delivered and that were not counted, or were counted twice. A value
    /// other than 0 is a defect of this program.
    pub unaccounted: u64,
    /// Whether a filter in the kernel drops the frames that no session can accept, uncounted.
    pub is_filtered: bool,
}

impl Snapshot {
    /// The sum of the counters of all workers. Counts of sessions that are no longer configured are
    /// in [`Counters::retired`]; those of all others are added up to one session.
    pub fn total(&self) -> Counters {
        let carried: Vec<_> = self.by_session().into_iter().map(|(_, counters)| counters).collect();
        let interfaces = self.by_id();
        let ended = self.workers.iter().filter(|worker| worker.interface(&interfaces).is_none());
        Counters::sum(carried.iter().chain(ended.map(|worker| &worker.counters)))
    }

    /// The same sum, but sessions that were removed since a worker's last table are not separated
    /// from those that are configured.
    pub fn sum(&self) -> Counters {
        Counters::sum(self.workers.iter().map(|worker| &worker.counters))
    }

    /// The counters of each worker, indexed by the sessions of the interface's table, and zeros for
    /// every interface, because it may have no worker. If the worker still has an earlier table,
    /// its counters are reordered.
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

    /// Whether a worker has a source or programs while its device exists.
    pub(super) fn has_source(&self, worker: &WorkerSnapshot) -> bool {
        let mut interfaces = self.interfaces.iter();
        let interface = interfaces.find(|one| one.id == worker.network_interface_id);
        worker.worker == 0 || interface.is_none_or(|one| one.tier.tier == ActiveTier::Ring)
    }

    /// A line for each interface whose tier was chosen: device, ID, tier and reason.
    pub(super) fn tier_lines(&self) -> Vec<String> {
        let chosen = self.interfaces.iter().filter(|one| one.tier.is_chosen());
        let line = |one: &InterfaceSnapshot| {
            format!("{} ({}){}", one.device.as_deref().unwrap_or_default(), one.id, one.tier)
        };
        chosen.map(line).collect()
    }

    fn by_id(&self) -> HashMap<&str, &InterfaceSnapshot> {
        self.interfaces.iter().map(|one| (&*one.id, one)).collect()
    }

    /// The IDs of the targets of sessions, and their addresses; none if the address is unknown.
    pub(super) fn targets(&self) -> BTreeMap<&str, Vec<SocketAddr>> {
        let targets = self.interfaces.iter().flat_map(|one| one.table.targets());
        targets.map(|target| (target.id.as_str(), target.addresses().collect())).collect()
    }

    /// The IDs of the targets of sessions that have no address.
    pub(super) fn targets_without_address(&self) -> Vec<&str> {
        let targets = self.targets().into_iter();
        targets.filter(|(_, addresses)| addresses.is_empty()).map(|(id, _)| id).collect()
    }

    /// Whether every interface with a session is captured.
    pub(super) fn is_attached(&self) -> bool {
        self.missing().is_empty()
    }

    /// The number of frames that are not accounted for, by device, without zeros.
    pub(super) fn unaccounted(&self) -> BTreeMap<&str, u64> {
        let mut devices = BTreeMap::new();
        for worker in self.workers.iter().filter(|worker| worker.ring.unaccounted > 0) {
            *devices.entry(&*worker.device).or_default() += worker.ring.unaccounted;
        }
        devices
    }

    /// Device name and ID of each interface that has a session and is not captured.
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

    /// Adds the counts of another ended worker with the same interface, device and number.
    pub fn add_ended(&mut self, other: Self) {
        self.counters.add(&other.counters);
        self.ring.frames += other.ring.frames;
        self.ring.drops += other.ring.drops;
        self.ring.overtruncated += other.ring.overtruncated;
        self.ring.unaccounted += other.ring.unaccounted;
        if let Some(impaired) = other.impaired {
            self.impaired.get_or_insert_default().add(&impaired);
        }
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
