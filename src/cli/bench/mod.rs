//! `bench`: what rules and packets cost, stage by stage, on this machine.

mod measure;
mod report;
mod stages;
mod workload;

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use super::exit::{Exit, Failure};
use crate::dataplane::EngineKind;
use stages::Stage;

/// Measure what rules and packets cost, stage by stage.
///
/// Rules come from a configuration or from a ClassBench file, packets from a capture or a
/// ClassBench trace; without packets, each rule gives some at the corners of what it matches. All
/// but the times is the same in each run. Nothing is sent.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("rules").required(true).args(["classbench", "config"]))]
#[command(after_help = "Examples:
  traffic-mirror bench --classbench acl1_10k --trace acl1_10k_trace
  traffic-mirror bench --classbench acl1_1k --sessions 10 --engine forest --stages classify
  traffic-mirror bench --config mirror.toml --capture traffic.pcap --format json")]
pub(super) struct BenchFlags {
    /// Rules in the format of ClassBench, the first of highest priority; all accept.
    #[arg(long, value_name = "FILE")]
    classbench: Option<PathBuf>,

    /// Configuration; the rules of its first network interface that has sessions.
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,

    /// Distribute the rules of --classbench over so many sessions.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "classbench",
        value_parser = clap::value_parser!(u32).range(1..=32_766))]
    sessions: u32,

    /// Packets: headers in the format of a ClassBench trace.
    #[arg(long, value_name = "FILE", conflicts_with = "capture")]
    trace: Option<PathBuf>,

    /// Packets: a capture, pcap or pcapng.
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,

    /// How the rules are asked; by default what their number and overlap call for.
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    engine: EngineChoice,

    /// What is measured.
    #[arg(long, value_name = "STAGE", value_delimiter = ',', default_values_t = Stage::ALL)]
    stages: Vec<Stage>,

    /// How often everything is measured.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,

    /// How the result is printed.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// An engine by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EngineChoice {
    /// What the rules call for.
    Auto,
    /// Rule after rule: the baseline.
    Linear,
    /// Rows of words with a bit for each rule.
    Words,
    /// Class tables.
    Classes,
    /// Cut trees.
    Forest,
}

impl EngineChoice {
    const fn wanted(self) -> Option<EngineKind> {
        match self {
            Self::Auto => None,
            Self::Linear => Some(EngineKind::Linear),
            Self::Words => Some(EngineKind::Words),
            Self::Classes => Some(EngineKind::Classes),
            Self::Forest => Some(EngineKind::Forest),
        }
    }
}

/// For whom the result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table.
    Text,
    /// One JSON object.
    Json,
}

pub(super) fn run(flags: &BenchFlags) -> Result<Exit, Failure> {
    let workload = workload::read(flags)?;
    let run = measure::run(&workload, flags)?;
    report::print(&report::Report::new(vec![run]), flags.format)
}
