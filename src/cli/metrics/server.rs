//! The port of the metrics: what a client is granted.
//!
//! A connection carries one request and ends after some seconds whatever its client does, so that
//! neither a slow sender nor a slow reader holds more than its own place.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::pages::{Pages, TakeSnapshot};
use crate::cli::terminal;
use crate::http::{self, HostNames, Limits, Options, Server};

/// Prometheus itself gives up after ten seconds.
const LIMITS: Limits = Limits {
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

/// Serves the pages on a thread of its own. A snapshot is taken on that thread for every page.
///
/// # Errors
/// The address cannot be bound, or the system refuses the thread.
pub(crate) fn serve(
    address: SocketAddr,
    snapshot: TakeSnapshot,
    hosts: HostNames,
) -> io::Result<Server> {
    serve_with(address, snapshot, hosts, LIMITS)
}

pub(super) fn serve_with(
    address: SocketAddr,
    snapshot: TakeSnapshot,
    hosts: HostNames,
    limits: Limits,
) -> io::Result<Server> {
    let report = Box::new(|event| terminal::report_listener("metrics", &event));
    let options = Options { name: "metrics", limits, hosts, certificate: None, report };
    http::serve(address, Pages::new(snapshot), options).map_err(|error| taken(address, &error))
}

fn taken(address: SocketAddr, error: &io::Error) -> io::Error {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "; another program has the port",
        io::ErrorKind::AddrNotAvailable => "; it is none of this host's addresses",
        _ => "",
    };
    io::Error::new(error.kind(), format!("serving metrics on {address}: {error}{why}"))
}
