//! The picture of a run at one moment, in plain values.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::dataplane::{Counters, MirrorTable};
use crate::io::udp::TargetReport;

/// What a run is and has done so far.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// The table that the counters of the workers are ordered by.
    pub(crate) table: Arc<MirrorTable>,
    /// Every worker there is and was: where one is left out, counters go back. One whose interface
    /// the table no longer has is not expected to be attached.
    pub(crate) workers: Vec<WorkerSnapshot>,
    /// How long the run has lasted.
    pub(crate) uptime_s: f64,
    /// How many times another configuration took effect.
    pub(crate) reloads: u64,
    /// How many times another configuration was refused and the old one stayed.
    pub(crate) reload_failures: u64,
}

/// One worker: a ring of a network interface and what became of its frames.
#[derive(Debug, Clone)]
pub(crate) struct WorkerSnapshot {
    /// The mirrored network interface, by its id in the table.
    pub(crate) network_interface_id: String,
    /// The name of its device on this host.
    pub(crate) device: String,
    /// The number of the worker among those of the device, from zero.
    pub(crate) worker: u16,
    /// Whether it has a ring on the device just now.
    pub(crate) is_attached: bool,
    /// What it counted, by the sessions of [`Snapshot::table`].
    pub(crate) counters: Counters,
    /// What its ring is and did.
    pub(crate) ring: RingFigures,
    /// What became of its datagrams; empty where it sends none.
    pub(crate) targets: Vec<TargetReport>,
}

/// A ring that the kernel puts frames into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RingFigures {
    /// Frames that the kernel had for the ring, since the worker began.
    pub(crate) frames: u64,
    /// How much memory the ring takes.
    pub(crate) bytes_len: u64,
    /// Frames that found no room in the ring, since the worker began.
    pub(crate) drops: u64,
    /// Frames that the kernel delivered and that were not counted, or were counted twice.
    pub(crate) unaccounted: u64,
    /// Whether the kernel keeps frames out of it that no session can want.
    pub(crate) is_filtered: bool,
}

impl Snapshot {
    /// What all workers counted together.
    pub(crate) fn total(&self) -> Counters {
        let mut total = Counters::new(&self.table);
        self.workers.iter().for_each(|worker| total.add(&worker.counters));
        total
    }

    /// The workers of interfaces that the table still has.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &WorkerSnapshot> {
        let ids: HashSet<&str> =
            self.table.interfaces().iter().map(|interface| interface.id().as_str()).collect();
        self.workers.iter().filter(move |worker| ids.contains(&*worker.network_interface_id))
    }

    /// Whether frames come in, or none are wanted.
    pub(super) fn is_attached(&self) -> bool {
        let mut wanted = self.wanted().peekable();
        wanted.peek().is_none() || wanted.any(|worker| worker.is_attached)
    }

    /// The devices with frames that are not accounted for, and how many these are.
    pub(super) fn unaccounted(&self) -> BTreeMap<&str, u64> {
        let mut devices = BTreeMap::new();
        for worker in self.workers.iter().filter(|worker| worker.ring.unaccounted > 0) {
            *devices.entry(&*worker.device).or_default() += worker.ring.unaccounted;
        }
        devices
    }

    /// The devices that no worker is attached to, with the interface that each of them is.
    pub(super) fn missing(&self) -> Vec<(&str, &str)> {
        let attached = self.workers.iter().filter(|worker| worker.is_attached);
        let there: HashSet<&str> = attached.map(|worker| &*worker.device).collect();
        let absent = self.wanted().filter(|worker| !there.contains(&*worker.device));
        let mut missing: Vec<_> =
            absent.map(|worker| (&*worker.device, &*worker.network_interface_id)).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }
}
