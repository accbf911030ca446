//! The format of the output, and printing.

use std::io::Write;

use clap::ValueEnum;

use super::super::exit::{Exit, Failure, ignore_broken_pipe};
use super::super::terminal;

/// Format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum BenchFormat {
    /// A table for people.
    Text,
    /// One JSON object.
    Json,
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value).map_err(Failure::failed)? + "\n")
}

pub(super) fn print_text(text: &str) -> Result<Exit, Failure> {
    let mut out = terminal::stdout();
    ignore_broken_pipe(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}
