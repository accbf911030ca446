//! `bench compare`: reads two reports and prints their comparison.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::exit::{Exit, Failure};
use super::output::{BenchFormat, json, print_text};
use crate::bench::{Comparison, SavedReport};

/// Compare two reports of `bench --format json`, and mark differences that are noise.
///
/// B/A is the time of report B divided by that of report A: of the fastest rounds, and of the
/// medians. A difference is noise unless both ratios exceed 5 % plus the spread of the rounds.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  traffic-mirror bench --rules 1000 --format json > before.json
  traffic-mirror bench compare before.json after.json")]
pub(super) struct CompareFlags {
    /// First report; `-` reads standard input.
    #[arg(value_name = "A")]
    first: PathBuf,

    /// Second report; `-` reads standard input.
    #[arg(value_name = "B")]
    second: PathBuf,

    /// Format of the output.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: BenchFormat,
}

pub(super) fn run(flags: &CompareFlags) -> Result<Exit, Failure> {
    if [&flags.first, &flags.second].iter().all(|path| is_stdin(path)) {
        return Err(Failure::usage("B `-`: A already reads standard input; name a file"));
    }
    let comparison = Comparison::of(&read(&flags.first)?, &read(&flags.second)?);
    if comparison.stages.is_empty() {
        return Err(Failure::usage(format!(
            "{} and {} have no run in common: expected runs with the same name, rules, sessions, \
             engine and workers",
            flags.first.display(),
            flags.second.display()
        )));
    }
    print_text(&match flags.format {
        BenchFormat::Text => comparison.to_text(),
        BenchFormat::Json => json(&comparison)?,
    })
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn read(path: &Path) -> Result<SavedReport, Failure> {
    let mut text = String::new();
    let read = if is_stdin(path) {
        io::stdin().read_to_string(&mut text).map(drop)
    } else {
        fs::read_to_string(path).map(|content| text = content)
    };
    let refused =
        |what: &dyn std::fmt::Display| Failure::usage(format!("{}: {what}", path.display()));
    read.map_err(|error| refused(&error))?;
    serde_json::from_str(&text).map_err(|error| {
        refused(&format_args!("{error}: expected the output of `bench --format json`"))
    })
}
