//! The sums of what the workers of a run counted, for the final report.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::event::{Event, EventSink};
use super::own_traffic::{SentByDevice, sent_by_device};
use super::worker_thread::WorkerResult;
use crate::control::InterfaceTable;
use crate::dataplane::{Counters, MirrorTable, NotMirrored};
use crate::io::impair::ImpairmentCounts;
use crate::io::udp::{Egress, TargetReport};

/// Adds up the results of workers that have ended.
pub(super) struct RunTotals {
    events: EventSink,
    interfaces: Vec<(usize, Arc<MirrorTable>, Counters)>,
    /// The counters of interfaces that have no session any more.
    retired: Counters,
    targets: BTreeMap<(SocketAddr, Option<u32>), TargetReport>,
    impaired: ImpairmentCounts,
    unaccounted: u64,
    /// The number of threads that ended without the command to end.
    failed_threads: usize,
}

/// What all workers counted, from the start of the run to its end.
#[derive(Debug, Default)]
pub struct Summary {
    /// For each interface that has a session at the end, in the order of the configuration: its
    /// table, and its counters, indexed by the sessions of this table.
    pub interfaces: Vec<(Arc<MirrorTable>, Counters)>,
    /// The counts of interfaces and sessions that are no longer configured.
    pub retired: Counters,
    /// Datagrams that were sent, refused and unreachable, by target address and outgoing device.
    pub targets: Vec<TargetReport>,
    /// What fault injection did; all zero without faults.
    pub impaired: ImpairmentCounts,
    /// The number of frames that were not counted exactly once. A value other than 0 is a defect of
    /// this program.
    pub unaccounted: u64,
    /// Whether every worker ended on command. False means that a thread panicked.
    pub is_complete: bool,
}

impl RunTotals {
    pub(super) fn new(events: EventSink) -> Self {
        Self {
            events,
            interfaces: Vec::new(),
            retired: Counters::default(),
            targets: BTreeMap::new(),
            impaired: ImpairmentCounts::default(),
            unaccounted: 0,
            failed_threads: 0,
        }
    }

    /// Adds the workers of an interface that still has sessions.
    pub(super) fn add_interface(&mut self, table: InterfaceTable, results: Vec<WorkerResult>) {
        let mut counters = Counters::new(&table.table);
        results.iter().for_each(|result| counters.add(&result.counters));
        self.interfaces.push((table.position, table.table, counters));
        results.into_iter().for_each(|result| self.add_result(result));
    }

    /// Adds the workers of an interface that has no session any more.
    pub(super) fn add_ended(&mut self, results: Vec<WorkerResult>) {
        for mut result in results {
            result.counters.retire_sessions();
            self.retired.add(&result.counters);
            self.add_result(result);
        }
    }

    /// The number of copies that were sent, by device.
    pub(super) fn sent_by_device(&self) -> SentByDevice {
        sent_by_device(self.targets.values())
    }

    /// The sums. Reads the last ICMP errors first. `own_traffic` is the number of copies that
    /// mirrored devices have sent.
    pub(super) fn summary(self, egress: &Egress, own_traffic: u64) -> Summary {
        let Self { mut interfaces, mut retired, impaired, unaccounted, failed_threads, .. } = self;
        let mut targets: Vec<TargetReport> = self.targets.into_values().collect();
        egress.read_errors();
        egress.add_errors(targets.iter_mut());
        retired.count_not_mirrored(NotMirrored::OwnTraffic, own_traffic);
        interfaces.sort_by_key(|(position, ..)| *position);
        let interfaces = interfaces.into_iter().map(|(_, table, counters)| (table, counters));
        let is_complete = failed_threads == 0;
        let interfaces = interfaces.collect();
        Summary { interfaces, retired, targets, impaired, unaccounted, is_complete }
    }

    fn add_result(&mut self, result: WorkerResult) {
        for message in result.warnings {
            self.events.send(Event::WorkerWarning { device: None, message });
        }
        self.impaired.add(&result.impaired.unwrap_or_default());
        self.unaccounted += result.unaccounted;
        self.failed_threads += usize::from(!result.ended_as_requested);
        for report in result.targets {
            let known = self.targets.entry((report.destination, report.device_index));
            known.and_modify(|known| known.add(&report)).or_insert(report);
        }
    }
}
