//! What a client may use of a listener.

use std::time::Duration;

/// Bounds and time-outs of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections open at once.
    pub connections: usize,
    /// Connections of one peer address (of an IPv6 peer: one /64) that are idle or still send a
    /// request.
    pub waiting_per_peer: usize,
    /// Time from the start of a connection, the TLS handshake included, to the end of the head of
    /// its first request.
    pub first_head: Duration,
    /// Time between an answer and the end of the head of the next request.
    pub idle: Duration,
    /// Time for the body of a request and its answer.
    pub request: Duration,
    /// Time for a whole connection; unlimited without it.
    pub connection: Option<Duration>,
    /// Whether a connection carries more than one request.
    pub is_kept_alive: bool,
    /// Length of the head of a request, in bytes.
    pub head_len: usize,
    /// Number of header fields.
    pub headers: usize,
    /// Length of the body of a request, in bytes.
    pub body_len: usize,
}
