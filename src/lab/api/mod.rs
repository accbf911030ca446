//! The HTTP API of a laboratory, below `/_traffic-mirror/v1/`, on the port of its EC2 endpoint.
//!
//! What belongs here: paths, parameters, bodies and status codes. What does not belong here: what a
//! request does, which is a function of [`Lab`].

mod answer;
mod events;
mod follow;
mod frames;
mod json;
mod query;
mod route;
mod service;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use self::service::LabService;
use super::Lab;
use crate::http::{self, Event, HostNames, Limits, Options, Server};

/// Limits for clients. A play lasts as long as its capture, and a test sends captures as bodies.
const LIMITS: Limits = Limits {
    connections: 512,
    waiting_per_peer: 256,
    first_head: Duration::from_secs(5),
    idle: Duration::from_secs(60),
    request: Duration::from_secs(3600),
    connection: None,
    is_kept_alive: true,
    head_len: 64 << 10,
    headers: 100,
    body_len: 1 << 30,
};

/// Serves the EC2 endpoint and the API of a laboratory on a new thread. `report` is called with the
/// events of the listener.
///
/// # Errors
/// The address cannot be bound, or the thread cannot be started.
pub fn serve(
    address: SocketAddr,
    lab: &Lab,
    hosts: HostNames,
    report: impl Fn(Event) + Send + Sync + 'static,
) -> io::Result<Server> {
    let report = Box::new(report);
    let options = Options { name: "lab", limits: LIMITS, hosts, certificate: None, report };
    http::serve(address, LabService::new(lab.clone()), options)
}
