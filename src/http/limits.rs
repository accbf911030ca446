//! The limits and time-outs that a listener enforces on its clients.

use std::time::Duration;

/// The limits and time-outs of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest number of open connections.
    pub connections: usize,
    /// The largest number of connections of one peer address (IPv6: one /64) that are idle or still
    /// send a request.
    pub waiting_per_peer: usize,
    /// The time from the start of a connection, the TLS handshake included, to the end of the head
    /// of its first request.
    pub first_head: Duration,
    /// The time between a response and the end of the head of the next request.
    pub idle: Duration,
    /// The time for the body of a request and its response.
    pub request: Duration,
    /// The time for a whole connection; `None` does not limit it.
    pub connection: Option<Duration>,
    /// Whether a connection carries more than one request.
    pub is_kept_alive: bool,
    /// The largest length of the head of a request, in bytes.
    pub head_len: usize,
    /// The largest number of header fields.
    pub headers: usize,
    /// The largest length of the body of a request, in bytes.
    pub body_len: usize,
}
