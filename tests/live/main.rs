//! `run` in network namespaces: a host that is mirrored, a wire, and a monitor that judges.
//!
//! Needs root, `ip`, `ethtool` and `setpriv`; says aloud when it cannot run.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop where its input is not as it should"
)]

mod bytes;
mod collector;
mod frames;
mod lab;
mod mirror;
mod namespace;
mod recorder;
mod traffic;
mod waiting;
