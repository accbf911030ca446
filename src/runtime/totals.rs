//! What the workers of a run did, added up for the report.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::event::{Event, EventSink};
use super::worker_registry::sent_over;
use super::worker_thread::WorkerResult;
use crate::control::InterfaceTable;
use crate::dataplane::{Counters, MirrorTable, NotMirrored};
use crate::io::udp::{Egress, TargetReport};

/// What workers did that have ended.
pub(super) struct RunTotals {
    events: EventSink,
    interfaces: Vec<(usize, Arc<MirrorTable>, Counters)>,
    /// Of interfaces that have no session any more.
    retired: Counters,
    targets: BTreeMap<(SocketAddr, Option<u32>), TargetReport>,
    unaccounted: u64,
    /// How many threads ended that were not told to.
    failed_threads: usize,
}

/// What all workers did, from start to end.
#[derive(Debug, Default)]
pub struct Summary {
    /// For each interface that has a session at the end: its table, and the counters by the
    /// sessions of this table.
    pub interfaces: Vec<(Arc<MirrorTable>, Counters)>,
    /// What was counted for interfaces and sessions that are no longer configured.
    pub retired: Counters,
    /// What became of the datagrams, by address and outgoing device.
    pub targets: Vec<TargetReport>,
    /// How many frames are not accounted for; anything but zero is a fault of this program.
    pub unaccounted: u64,
    /// Whether every worker ended because it was told to.
    pub is_complete: bool,
}

impl RunTotals {
    pub(super) fn new(events: EventSink) -> Self {
        Self {
            events,
            interfaces: Vec::new(),
            retired: Counters::default(),
            targets: BTreeMap::new(),
            unaccounted: 0,
            failed_threads: 0,
        }
    }

    /// The workers of an interface that still has sessions.
    pub(super) fn add_interface(&mut self, table: InterfaceTable, results: Vec<WorkerResult>) {
        let mut counters = Counters::new(&table.table);
        results.iter().for_each(|result| counters.add(&result.counters));
        self.interfaces.push((table.position, table.table, counters));
        results.into_iter().for_each(|result| self.add_result(result));
    }

    /// Workers of an interface that has no session any more.
    pub(super) fn add_ended(&mut self, results: Vec<WorkerResult>) {
        for mut result in results {
            result.counters.retire_sessions();
            self.retired.add(&result.counters);
            self.add_result(result);
        }
    }

    /// Adds what comes back from the network last, and how much left by the devices `own`.
    pub(super) fn summary(self, egress: &Egress, own: &[u32]) -> Summary {
        let Self { mut interfaces, mut retired, targets, unaccounted, failed_threads, .. } = self;
        let mut targets: Vec<TargetReport> = targets.into_values().collect();
        egress.read_errors();
        egress.add_errors(targets.iter_mut());
        retired.count_not_mirrored(NotMirrored::OwnTraffic, sent_over(&targets, own));
        interfaces.sort_by_key(|(position, ..)| *position);
        let interfaces = interfaces.into_iter().map(|(_, table, counters)| (table, counters));
        let is_complete = failed_threads == 0;
        Summary { interfaces: interfaces.collect(), retired, targets, unaccounted, is_complete }
    }

    fn add_result(&mut self, result: WorkerResult) {
        for message in result.warnings {
            self.events.send(Event::WorkerWarning { device: None, message });
        }
        self.unaccounted += result.unaccounted;
        self.failed_threads += usize::from(!result.ended_as_requested);
        for report in result.targets {
            let known = self.targets.entry((report.destination, report.device_index));
            known.and_modify(|known| known.add(&report)).or_insert(report);
        }
    }
}
