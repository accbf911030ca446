//! Copies out over UDP, as a real mirror sends them.
//!
//! What belongs here: routes and next hops of targets, the sockets that copies leave by, their
//! order, and what is made of the kernel's and the network's errors. What does not: when a copy
//! leaves (that is `pace`), and which bytes are encapsulated (the data plane).
//!
//! ```text
//! Copies -> UdpSink: admit (limits, circuit breaker, MTU) -> Runs: order -> delivery -> Sockets
//!                       ^ Path: one for each address            |   frames | IP packets | UDP
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
mod sink;
mod sockets;
#[cfg(test)]
mod tests;
mod warnings;

pub use egress::Egress;
pub use health::{TargetHealth, TargetState};
pub use options::{DepartureOrder, EgressMode, Segmentation, UdpOptions};
pub use report::TargetReport;
pub use sink::UdpSink;
