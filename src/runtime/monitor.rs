//! Reports once a second on all workers: counters, the health of targets, and tunnels.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::event::{Event, EventSink};
use super::live_tables::LiveTables;
use super::message::{RunStatus, Tunnels};
use super::worker_registry::WorkerRegistry;
use crate::io::clock::Stopwatch;
use crate::io::udp::{Egress, HealthChange, TargetHealth};

/// Reads the status of all workers and resolves the routes to new targets. Takes up to 250 ms.
pub(super) fn read_run_status(
    registry: &WorkerRegistry,
    egress: &Egress,
    tables: &LiveTables,
) -> RunStatus {
    let interfaces = tables.in_order();
    egress.prepare(interfaces.iter().map(|(_, one)| &*one.table));
    let targets = interfaces.iter().flat_map(|(_, one)| one.table.targets());
    let targets = targets.flat_map(|target| target.addresses()).collect();
    let tunnels = egress.tunnels().into_iter().collect();
    RunStatus { snapshot: registry.snapshot(), targets, tunnels }
}

/// Compares each status with the one before and reports the changes.
pub(super) struct Monitor {
    health: TargetHealth,
    running: Stopwatch,
    /// The tunnels that were reported.
    tunnels: Tunnels,
    /// The IDs of the targets that were reported because they have no address.
    without_address: BTreeSet<String>,
    events: EventSink,
}

impl Monitor {
    pub(super) fn new(events: EventSink) -> Self {
        let (health, tunnels) = (TargetHealth::default(), Tunnels::new());
        let without_address = BTreeSet::new();
        Self { health, running: Stopwatch::start(), tunnels, without_address, events }
    }

    /// Reports the changes and the heartbeat. `devices` returns the names of the mirrored devices.
    pub(super) fn observe(&mut self, status: RunStatus, devices: impl FnOnce() -> Vec<String>) {
        let reports = status.snapshot.workers.iter().flat_map(|worker| &worker.targets);
        let reports: Vec<_> = reports.copied().collect();
        let now_ns = u64::try_from(self.running.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let is_configured = |address: &SocketAddr| status.targets.contains(address);
        for HealthChange { state, sentence } in self.health.observe(&reports, now_ns, is_configured)
        {
            self.events.send(Event::TargetChanged { state, sentence });
        }
        self.report_addresses(&status.snapshot.targets());
        self.report_tunnels(status.tunnels, devices);
        let counters = Box::new(status.snapshot.sum());
        let failing = self.health.failing().collect();
        self.events.send(Event::Heartbeat { counters, failing });
    }

    /// Warns of the tunnels that copies leave through when mirroring starts.
    pub(super) fn start(&mut self, egress: &Arc<Egress>, devices: impl FnOnce() -> Vec<String>) {
        self.report_tunnels(egress.tunnels().into_iter().collect(), devices);
    }

    /// Warns once of each target that has no address, and reports when it has one.
    fn report_addresses(&mut self, targets: &BTreeMap<&str, Vec<SocketAddr>>) {
        for (target, addresses) in targets {
            let is_reported = self.without_address.contains(*target);
            match (addresses.is_empty(), is_reported) {
                (true, false) => {
                    self.events.send(Event::TargetAddressUnknown((*target).to_owned()));
                }
                (false, true) => {
                    let (target, addresses) = ((*target).to_owned(), addresses.clone());
                    self.events.send(Event::TargetAddressKnown { target, addresses });
                }
                (true, true) | (false, false) => {}
            }
        }
        let without = targets.iter().filter(|(_, addresses)| addresses.is_empty());
        self.without_address = without.map(|(target, _)| (*target).to_owned()).collect();
    }

    /// Warns of each new tunnel that a target is reached through, because the packets of the tunnel
    /// may leave by a mirrored interface.
    fn report_tunnels(&mut self, now: Tunnels, devices: impl FnOnce() -> Vec<String>) {
        if now != self.tunnels {
            let mirrored = devices();
            for (target, tunnel) in now.difference(&self.tunnels) {
                let (target, tunnel, mirrored) = (*target, tunnel.clone(), mirrored.clone());
                self.events.send(Event::TunnelRoute { target, tunnel, mirrored });
            }
            self.tunnels = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_target_without_an_address_is_reported_once_and_when_it_has_one() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&lines);
        let events = EventSink::new(move |event| seen.lock().unwrap().push(event.to_string()));
        let mut monitor = Monitor::new(events);
        let address = SocketAddr::from(([192, 0, 2, 1], 4789));
        let mut observe = |targets: &[(&'static str, Vec<SocketAddr>)]| {
            monitor.report_addresses(&targets.iter().cloned().collect());
            std::mem::take(&mut *lines.lock().unwrap())
        };
        let both = [("tmt-1", Vec::new()), ("tmt-2", vec![address])];
        let unknown = observe(&both);
        assert_eq!(unknown.len(), 1);
        assert!(unknown[0].contains("tmt-1") && unknown[0].contains("no_target_address"));
        assert_eq!(observe(&both).len(), 0);
        let known = observe(&[("tmt-1", vec![address]), ("tmt-2", vec![address])]);
        assert_eq!(known, ["target tmt-1 has the address 192.0.2.1:4789: copies are sent to it"]);
        assert_eq!(observe(&both).len(), 1, "it lost its address again");
        // No session uses it any more, and then one does.
        assert_eq!(observe(&[]).len(), 0);
        assert_eq!(observe(&both).len(), 1);
    }
}
