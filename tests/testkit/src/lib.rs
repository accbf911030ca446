//! What tests, benches and fuzz targets share.
//!
//! It is a crate, so that it is compiled once and not once per test binary. What belongs here: an
//! item that at least two test binaries, benches or fuzz targets use. What does not: an item that
//! the files of one test binary share, which is a module of that binary.

pub mod config;
pub mod lab_client;
pub mod memory_endpoint;
mod moto;
pub mod namespace;
pub mod oracle;
pub mod records;
pub mod ring;
mod shared_captures;
pub mod terraform;

use std::io::Write;

pub use moto::{MotoServer, has_boto3, python};
pub use shared_captures::shared_captures;

/// Writes to standard error, past the test harness, which hides the output of tests that pass.
pub fn print_uncaptured(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
