//! What the workers of a run did, added up for the report.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::worker_registry::sent_over;
use super::worker_thread::WorkerResult;
use crate::cli::terminal;
use crate::control::InterfaceTable;
use crate::dataplane::{Counters, MirrorTable, NotMirrored};
use crate::io::udp::{Egress, TargetReport};

/// What workers did that have ended.
#[derive(Default)]
pub(super) struct Totals {
    interfaces: Vec<(usize, Arc<MirrorTable>, Counters)>,
    /// Of interfaces that have no session any more.
    retired: Counters,
    targets: BTreeMap<(SocketAddr, Option<u32>), TargetReport>,
    unaccounted: u64,
    /// How many threads ended that were not told to.
    broken: usize,
}

/// What all workers did.
pub(super) struct AllResults {
    /// By interface: its table, and the counters of its sessions.
    pub(super) interfaces: Vec<(Arc<MirrorTable>, Counters)>,
    /// What is of no session of these.
    pub(super) retired: Counters,
    pub(super) targets: Vec<TargetReport>,
    /// How many frames are not accounted for.
    pub(super) unaccounted: u64,
    /// Whether each thread ended because it was told to.
    pub(super) is_whole: bool,
}

impl Totals {
    /// The workers of an interface that still has sessions.
    pub(super) fn add_interface(&mut self, table: InterfaceTable, results: Vec<WorkerResult>) {
        let mut counters = Counters::new(&table.table);
        results.iter().for_each(|result| counters.add(&result.counters));
        self.interfaces.push((table.position, table.table, counters));
        results.into_iter().for_each(|result| self.add_rest(result));
    }

    /// Workers of an interface that has no session any more.
    pub(super) fn add_ended(&mut self, results: Vec<WorkerResult>) {
        for mut result in results {
            result.counters.retire();
            self.retired.add(&result.counters);
            self.add_rest(result);
        }
    }

    /// Adds what comes back from the network last, and how much left by the devices `own`.
    pub(super) fn all_results(self, egress: &Egress, own: &[u32]) -> AllResults {
        let Self { mut interfaces, mut retired, targets, unaccounted, broken } = self;
        let mut targets: Vec<TargetReport> = targets.into_values().collect();
        egress.read_errors();
        egress.add_errors(targets.iter_mut());
        retired.leave(NotMirrored::OwnTraffic, sent_over(&targets, own));
        interfaces.sort_by_key(|(position, ..)| *position);
        let interfaces = interfaces.into_iter().map(|(_, table, counters)| (table, counters));
        let is_whole = broken == 0;
        AllResults { interfaces: interfaces.collect(), retired, targets, unaccounted, is_whole }
    }

    fn add_rest(&mut self, result: WorkerResult) {
        result.warnings.iter().for_each(|warning| terminal::warn(warning));
        self.unaccounted += result.unaccounted;
        self.broken += usize::from(!result.is_whole);
        for report in result.targets {
            let known = self.targets.entry((report.destination, report.device_index));
            known.and_modify(|known| known.add(&report)).or_insert(report);
        }
    }
}
