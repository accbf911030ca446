//! Reports once a second on all workers: counters, the health of targets, and tunnels.

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
    events: EventSink,
}

impl Monitor {
    pub(super) fn new(events: EventSink) -> Self {
        let (health, tunnels) = (TargetHealth::default(), Tunnels::new());
        Self { health, running: Stopwatch::start(), tunnels, events }
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
        self.report_tunnels(status.tunnels, devices);
        let counters = Box::new(status.snapshot.sum());
        let failing = self.health.failing().collect();
        self.events.send(Event::Heartbeat { counters, failing });
    }

    /// Warns of the tunnels that copies leave through when mirroring starts.
    pub(super) fn start(&mut self, egress: &Arc<Egress>, devices: impl FnOnce() -> Vec<String>) {
        self.report_tunnels(egress.tunnels().into_iter().collect(), devices);
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
