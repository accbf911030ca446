//! Metrics and health: what live mirroring counts, for Prometheus, and whether it is alive.
//!
//! What belongs here: the picture of a run at one moment, its text, and the thread that serves it.
//! What does not: counting itself, and the threads that count; they know nothing of this.

mod aws;
mod family;
mod pages;
mod server;
mod sessions;
mod targets_and_rings;
#[cfg(test)]
mod tests;
mod text;
mod totals;

pub(super) use server::start;
