//! `check`: validates configuration and prints it as it was understood.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure, reader_left};
use super::{sessions, terminal};
use crate::control::render;

/// Validate configuration and print it as it was understood.
///
/// All errors of all files are printed at once, each with file, line, field, value and what would
/// be right. What is printed reads back the same.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  traffic-mirror check --config mirror.toml
  aws ec2 describe-traffic-mirror-sessions > sessions.json
  aws ec2 describe-traffic-mirror-filters > filters.json
  traffic-mirror check --config sessions.json --config filters.json --config addresses.toml")]
pub(super) struct CheckFlags {
    /// Configuration, TOML or (by the ending .json) what the AWS CLI prints; several are read as one.
    #[arg(long, value_name = "FILE", required = true)]
    config: Vec<PathBuf>,
}

pub(super) fn run(flags: &CheckFlags) -> Result<Exit, Failure> {
    let registry = sessions::read(&flags.config)?;
    let mut out = terminal::stdout();
    let text = render::to_toml(&registry);
    reader_left(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}
