//! Sends copies to their targets over UDP.
//!
//! What belongs here: routes and next hops of targets, the sending sockets, the order of copies,
//! and the handling of send errors and ICMP errors. What does not: when a copy leaves (`pace`), and
//! the encapsulation (the data plane).
//!
//! Sending is designed for a low cost per copy: complete Ethernet frames through one packet socket
//! skip the kernel's IP stack, `sendmmsg` sends many messages per call, and the kernel or the
//! network card cuts runs of equal copies (UDP segmentation offload).
//!
//! ```text
//! Copies -> UdpSink: admit (limits, circuit breaker, MTU) -> Runs: order -> delivery -> Sockets
//!                       ^ Path: one per target address          |   frames | IP packets | UDP
//!                       | Egress, shared: routes, ICMP errors   v
//! ```

mod circuit_breaker;
mod delivery;
mod egress;
mod header;
mod health;
mod icmp;
mod options;
mod outgoing;
mod path;
mod rate_limiter;
mod report;
mod route;
mod runs;
mod sent_counts;
mod sink;
mod sockets;
#[cfg(test)]
mod tests;
mod warnings;

pub use egress::Egress;
pub use health::{HealthChange, TargetHealth, TargetState};
pub use options::{DepartureOrder, EgressMode, Segmentation, UdpOptions};
pub use report::TargetReport;
pub(crate) use route::{FrameRoute, NeighbourId};
pub use sink::UdpSink;
