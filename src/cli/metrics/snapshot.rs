//! The picture of a run at one moment, in plain values.

use std::sync::Arc;

use crate::dataplane::{Counters, MirrorTable};
use crate::io::udp::TargetReport;

/// What a run is and has done so far.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// The table that the counters of the workers are ordered by.
    pub(crate) table: Arc<MirrorTable>,
    /// Every worker there is and was: the counts of one that is left out go backwards.
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
    /// The mirrored network interface.
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
}

impl Snapshot {
    /// What all workers counted together.
    pub(super) fn total(&self) -> Counters {
        let mut total = Counters::new(&self.table);
        self.workers.iter().for_each(|worker| total.add(&worker.counters));
        total
    }

    /// Whether frames come in, or none are wanted.
    pub(super) fn is_healthy(&self) -> bool {
        self.workers.is_empty() || self.workers.iter().any(|worker| worker.is_attached)
    }

    /// The devices that no worker is attached to, with the interface that each of them is.
    pub(super) fn missing(&self) -> Vec<(&str, &str)> {
        let name = |worker: &'_ WorkerSnapshot| worker.device.clone();
        let attached = self.workers.iter().filter(|worker| worker.is_attached);
        let there: Vec<String> = attached.map(name).collect();
        let absent = self.workers.iter().filter(|worker| !there.contains(&worker.device));
        let mut missing: Vec<_> = absent
            .map(|worker| (worker.device.as_str(), worker.network_interface_id.as_str()))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }
}
