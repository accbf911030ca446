//! The listener of the metrics and its limits.
//!
//! A connection carries one request and is closed after at most 10 s, so that slow clients cannot
//! occupy connections for longer.

use std::io;
use std::time::Duration;

use std::sync::Arc;

use super::pages::{Pages, SnapshotSource};
use crate::http::{self, Limits, Options, Server};
use crate::runtime::error::Error;
use crate::runtime::event::{Event, EventSink};
use crate::runtime::options::MetricsOptions;
use crate::runtime::worker_registry::WorkerRegistry;

/// The limits of a client. Prometheus itself times out after 10 s by default.
pub(super) const LIMITS: Limits = Limits {
    connections: 64,
    waiting_per_peer: 32,
    first_head: Duration::from_secs(3),
    idle: Duration::from_secs(3),
    request: Duration::from_secs(10),
    connection: Some(Duration::from_secs(10)),
    is_kept_alive: false,
    head_len: 16 << 10,
    headers: 64,
    body_len: 4 << 10,
};

/// Serves the pages on a new thread, which takes a snapshot for every page.
pub(in crate::runtime) fn start(
    options: &MetricsOptions,
    registry: WorkerRegistry,
    events: EventSink,
) -> Result<Server, Error> {
    let snapshot: SnapshotSource = Arc::new(move || registry.snapshot());
    let server = serve(options, snapshot, LIMITS, events.clone());
    let server = server.map_err(|error| Error::Metrics(error.to_string()))?;
    events.send(Event::MetricsServed(server.address()));
    Ok(server)
}

pub(super) fn serve(
    options: &MetricsOptions,
    snapshot: SnapshotSource,
    limits: Limits,
    events: EventSink,
) -> io::Result<Server> {
    let hosts = options.hosts.clone();
    let report = move |event| events.send(Event::Listener { name: "metrics", event });
    let report = Box::new(report);
    let served = Options { name: "metrics", limits, hosts, certificate: None, report };
    http::serve(options.address, Pages::new(snapshot), served)
}
