//! Copies out through UDP sockets, as a real mirror sends them.
//!
//! What belongs here: which socket a copy leaves by, sending bursts through it, and what is made
//! of the kernel's refusals. What does not: when a copy leaves (that is `pace`), and the outer
//! headers, of which only the VXLAN header is ours here: the rest is the kernel's.

mod delivery;
mod fuse;
mod limits;
mod options;
mod outbox;
mod path;
mod runs;
mod sink;
#[cfg(test)]
mod tests;
mod warnings;

pub use options::{Segmentation, UdpOptions};
pub use sink::{TargetReport, UdpSink};
