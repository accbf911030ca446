//! The laboratory: plays against the golden cases of replay, its HTTP API, and what a test can
//! determine.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may stop where its input is not as it should"
)]

mod golden;
mod http_api;
mod lifecycle;
mod resources;
