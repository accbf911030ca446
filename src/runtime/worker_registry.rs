//! The registry of running and ended workers, from which snapshots are made for metrics and status.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::command::WorkerPort;
use super::interface_workers::InterfaceWorkers;
use super::live_tables::LiveTables;
use super::own_traffic::{OwnTraffic, SentByDevice, sent_by_device};
use super::snapshot::{InterfaceSnapshot, RingSnapshot, Snapshot, WorkerSnapshot};
use super::tier::InterfaceTier;
use super::worker_thread::WorkerResult;
use crate::dataplane::{Counters, NotMirrored};
use crate::io::clock::Stopwatch;
use crate::io::udp::Egress;
use crate::model::NetworkInterfaceId;

/// How long a snapshot waits for workers to publish their status. A sleeping worker is woken.
const STATUS_TIMEOUT: Duration = Duration::from_millis(250);

/// The time between two checks for workers that have not yet published.
const POLL_INTERVAL: Duration = Duration::from_micros(500);

/// A running worker.
struct RegisteredWorker {
    instance: u64,
    device_index: Option<u32>,
    port: WorkerPort,
    /// Its names, and its last published status.
    last: WorkerSnapshot,
}

/// The key of ended workers: interface ID, device name, worker number.
type WorkerName = (String, String, u16);

struct RegistryState {
    entries: Vec<RegisteredWorker>,
    /// The sums of workers whose threads have ended.
    ended: BTreeMap<WorkerName, WorkerSnapshot>,
    /// The tiers of all interfaces that were captured.
    tiers: BTreeMap<String, InterfaceTier>,
    own_traffic: OwnTraffic,
    reloads: u64,
    reload_failures: u64,
}

/// The registry. Clones share it between the supervisor, which changes it, and its readers.
#[derive(Clone)]
pub(super) struct WorkerRegistry {
    inner: Arc<Mutex<RegistryState>>,
    tables: LiveTables,
    egress: Arc<Egress>,
    since: Stopwatch,
}

/// The names of a worker that is started.
pub(super) struct NewWorker<'a> {
    pub(super) instance: u64,
    pub(super) id: &'a NetworkInterfaceId,
    pub(super) device: &'a str,
    pub(super) number: u16,
}

impl WorkerRegistry {
    pub(super) fn new(tables: LiveTables, egress: Arc<Egress>) -> Self {
        let inner = RegistryState {
            entries: Vec::new(),
            ended: BTreeMap::new(),
            tiers: BTreeMap::new(),
            own_traffic: OwnTraffic::default(),
            reloads: 0,
            reload_failures: 0,
        };
        Self { inner: Arc::new(Mutex::new(inner)), tables, egress, since: Stopwatch::start() }
    }

    /// Adds a worker.
    pub(super) fn add(&self, worker: &NewWorker<'_>, port: &WorkerPort) {
        let last = WorkerSnapshot {
            network_interface_id: worker.id.to_string(),
            device: worker.device.to_owned(),
            worker: worker.number,
            is_attached: false,
            table: None,
            counters: Counters::default(),
            ring: RingSnapshot::default(),
            targets: Vec::new(),
            impaired: None,
        };
        let (instance, port) = (worker.instance, port.clone());
        self.locked().entries.push(RegisteredWorker { instance, device_index: None, port, last });
    }

    /// Removes workers that ended with these results, in the order in which they were added.
    pub(super) fn remove(&self, instance: u64, results: &[WorkerResult]) {
        let mut inner = self.locked();
        let entries = std::mem::take(&mut inner.entries);
        let (ended, running): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.instance == instance);
        inner.entries = running;
        for (entry, result) in ended.into_iter().zip(results) {
            let RegisteredWorker { last, .. } = entry;
            let ring = RingSnapshot { unaccounted: result.unaccounted, ..last.ring };
            let name = (last.network_interface_id.clone(), last.device.clone(), last.worker);
            let mut counters = result.counters.clone();
            counters.retire_sessions();
            let (targets, impaired) = (result.targets.clone(), result.impaired);
            let now = WorkerSnapshot { counters, ring, targets, impaired, ..last };
            let one = WorkerSnapshot { is_attached: false, table: None, ..now };
            match inner.ended.get_mut(&name) {
                Some(known) => known.add_ended(one),
                None => drop(inner.ended.insert(name, one)),
            }
        }
        inner.update_mirrored();
    }

    /// Sets the interface index of the captured device, if it is in the namespace of the process.
    pub(super) fn set_device_index(&self, instance: u64, device_index: Option<u32>) {
        let mut inner = self.locked();
        let mut has_changed = false;
        for entry in inner.entries.iter_mut().filter(|entry| entry.instance == instance) {
            has_changed |= std::mem::replace(&mut entry.device_index, device_index) != device_index;
        }
        if has_changed {
            inner.entries.iter_mut().for_each(RegisteredWorker::read_status);
            inner.update_mirrored();
        }
    }

    /// Sets the tier of an interface that is captured from now on, and counts it if it differs from
    /// the one before.
    pub(super) fn set_tier(&self, interface: &InterfaceWorkers) {
        let (tier, reason) = (interface.tier, interface.tier_reason());
        let mut inner = self.locked();
        let known = inner.tiers.get(interface.id.as_str());
        let switches = known.map_or(0, |known| known.switches + u64::from(known.tier != tier));
        inner.tiers.insert(interface.id.to_string(), InterfaceTier { tier, reason, switches });
    }

    /// The copies that mirrored devices have sent, from the final counts of all workers.
    pub(super) fn final_own_traffic(&self, sent: &SentByDevice) -> u64 {
        self.locked().own_traffic.update(sent)
    }

    /// Counts a replaced registry.
    pub(super) fn count_reload(&self) {
        self.locked().reloads += 1;
    }

    /// Counts a rejected configuration.
    pub(super) fn count_failed_reload(&self) {
        self.locked().reload_failures += 1;
    }

    /// The current state. The registry is not locked while this waits for workers, so workers can
    /// be added and removed meanwhile.
    pub(super) fn snapshot(&self) -> Snapshot {
        let ports: Vec<_> = self.locked().entries.iter().map(|entry| entry.port.clone()).collect();
        wait_for_status(ports);
        let interfaces = self.tables.in_order().into_iter();
        let interfaces: Vec<_> = interfaces.collect();
        let mut inner = self.locked();
        let interfaces = interfaces.into_iter().map(|(id, table)| InterfaceSnapshot {
            tier: inner.tiers.get(id.as_str()).cloned().unwrap_or_default(),
            id: id.to_string(),
            device: table.device,
            table: table.table,
        });
        let interfaces = interfaces.collect();
        inner.entries.iter_mut().for_each(RegisteredWorker::read_status);
        let sent = inner.sent_by_device();
        let own = inner.own_traffic.update(&sent);
        let now = inner.entries.iter().map(|entry| entry.last.clone());
        let mut workers: Vec<_> = now.chain(inner.ended.values().cloned()).collect();
        let (reloads, reload_failures) = (inner.reloads, inner.reload_failures);
        drop(inner);
        self.egress.add_errors(workers.iter_mut().flat_map(|worker| &mut worker.targets));
        if let Some(first) = workers.first_mut() {
            first.counters.count_not_mirrored(NotMirrored::OwnTraffic, own);
        }
        let uptime_s = self.since.elapsed().as_secs_f64();
        Snapshot { interfaces, workers, uptime_s, reloads, reload_failures }
    }

    fn locked(&self) -> MutexGuard<'_, RegistryState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Requests the status of the workers and waits for it, at most [`STATUS_TIMEOUT`]. Idle workers
/// have already published theirs and are not woken.
fn wait_for_status(mut ports: Vec<WorkerPort>) {
    ports.retain(|port| !port.is_status_current());
    for port in &ports {
        port.request_status();
        port.waker().wake();
    }
    let waited = Stopwatch::start();
    loop {
        ports.retain(WorkerPort::is_status_requested);
        if ports.is_empty() || waited.elapsed() >= STATUS_TIMEOUT {
            return;
        }
        thread::park_timeout(POLL_INTERVAL);
    }
}

impl RegistryState {
    /// The number of copies that all workers have sent, by device.
    fn sent_by_device(&self) -> SentByDevice {
        let running = self.entries.iter().map(|entry| &entry.last);
        sent_by_device(running.chain(self.ended.values()).flat_map(|worker| &worker.targets))
    }

    /// Counts the copies that were sent until now for the devices that were mirrored until now.
    fn update_mirrored(&mut self) {
        let sent = self.sent_by_device();
        let mirrored = self.entries.iter().filter_map(|entry| entry.device_index);
        self.own_traffic.set_mirrored(mirrored, &sent);
    }
}

impl RegisteredWorker {
    fn read_status(&mut self) {
        let status = self.port.status();
        self.last.is_attached = status.has_source;
        self.last.table.clone_from(&status.table);
        self.last.counters.clone_from(&status.counters);
        self.last.targets.clone_from(&status.targets);
        self.last.impaired = status.impaired;
        self.last.ring = RingSnapshot {
            frames: status.source.frames,
            bytes_len: status.ring_len,
            drops: status.source.ring_full,
            overtruncated: status.source.overtruncated,
            unaccounted: status.unaccounted,
            is_filtered: status.filter.is_filtering,
        };
    }
}
