//! Serves the metrics of a run in the formats of Prometheus and OpenMetrics, and a health check.
//!
//! What belongs here: the text of a snapshot, and the thread that serves it. What does not belong
//! here: counting, and the threads that count; they do not depend on this module.

mod aws;
mod family;
mod pages;
mod server;
mod sessions;
mod targets_and_rings;
#[cfg(test)]
mod tests;
mod text;
mod tiers;
mod totals;

pub(super) use server::start;
