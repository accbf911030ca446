//! `bench`: what rules and packets cost, stage by stage, on this machine.

mod compare;
mod engine;
mod frames;
mod generate;
mod html;
mod machine;
mod measure;
mod perf_counters;
mod plan;
mod plot;
mod report;
mod stages;
mod workload;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::exit::{Exit, Failure};
use super::terminal;
use engine::EngineChoice;
use generate::GenerateFlags;
use plan::{BenchPlan, Sweep};
use stages::Stage;

/// Measure what rules and packets cost, stage by stage.
///
/// Rules come from a configuration or from a ClassBench file, or are generated; packets from a
/// capture or a ClassBench trace, or are generated. All but the times is the same in each run.
/// Nothing is sent.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(group = ArgGroup::new("origin").args(["classbench", "config", "count_of_rules"]))]
#[command(group = ArgGroup::new("rules").required(true).multiple(true)
    .args(["classbench", "config", "count_of_rules", "sweep"]))]
#[command(after_help = "Examples:
  traffic-mirror bench --classbench acl1_10k --trace acl1_10k_trace
  traffic-mirror bench --classbench acl1_1k --sessions 10 --engine forest --stages classify
  traffic-mirror bench --rules 10000 --shape fw --family ipv6 --mix hit=50,miss=50
  traffic-mirror bench --sweep rules=1,10,100,1000,10000 --sweep workers=1,2 --format json
  traffic-mirror bench --sweep rules=1,10,100,1000 --engine linear,auto --plot bench.svg
  traffic-mirror bench compare before.json after.json
  traffic-mirror bench --config mirror.toml --capture traffic.pcap --format json")]
pub(super) struct BenchFlags {
    #[command(subcommand)]
    command: Option<BenchCommand>,

    /// Rules in the format of ClassBench, the first of highest priority; all accept.
    #[arg(long, value_name = "FILE")]
    classbench: Option<PathBuf>,

    /// Configuration; the rules of its first network interface that has sessions.
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,

    #[command(flatten)]
    generate: GenerateFlags,

    /// Distribute the rules of --classbench or --rules over so many sessions.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "config",
        value_parser = clap::value_parser!(u32).range(1..=32_766))]
    sessions: u32,

    /// Packets: headers in the format of a ClassBench trace.
    #[arg(long, value_name = "FILE", conflicts_with = "capture")]
    trace: Option<PathBuf>,

    /// Packets: a capture, pcap or pcapng.
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,

    /// How the rules are asked, each way in turn; by default what their number and overlap call
    /// for, in a sweep over rules beside one by one.
    #[arg(long, value_name = "ENGINE", value_delimiter = ',')]
    engine: Vec<EngineChoice>,

    /// Measure once for each value: rules=N,N,... generates so many rules, workers=N,N,... is as
    /// --workers; both together give their product.
    #[arg(long, value_name = "WHAT=LIST", value_parser = Sweep::parse)]
    sweep: Vec<Sweep>,

    /// So many threads share the packets, each with a worker and a buffer of its own.
    #[arg(long, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(plan::MAX_WORKERS)))]
    workers: Option<u32>,

    /// What is measured.
    #[arg(long, value_name = "STAGE", value_delimiter = ',', default_values_t = Stage::ALL)]
    stages: Vec<Stage>,

    /// How often everything is measured.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,

    /// How the result is printed.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: BenchFormat,

    /// Draw nanoseconds a packet against rules, a line for each engine, as SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,

    /// Write all of it as one HTML page, the picture too.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl BenchFlags {
    /// Whether packets come from a file.
    const fn reads_packets(&self) -> bool {
        self.trace.is_some() || self.capture.is_some()
    }
}

/// What else there is to do.
#[derive(Debug, Subcommand)]
enum BenchCommand {
    Compare(compare::CompareFlags),
}

/// For whom the result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BenchFormat {
    /// A table.
    Text,
    /// One JSON object.
    Json,
}

pub(super) fn run(flags: &BenchFlags) -> Result<Exit, Failure> {
    if let Some(BenchCommand::Compare(flags)) = &flags.command {
        return compare::run(flags);
    }
    let plan = BenchPlan::new(flags)?;
    let mut runs = Vec::new();
    for size in &plan.sizes {
        let workload = workload::read(flags, *size)?;
        for engine in plan.engines(*size) {
            let Some(case) = measure::BenchCase::new(&workload, engine) else {
                report_skipped_engine(&plan, *size, engine)?;
                continue;
            };
            for workers in &plan.workers {
                runs.push(case.run(flags, *workers)?);
            }
        }
    }
    let report = report::BenchReport::new(runs);
    report.write_files(flags)?;
    report::print(&report, flags.format)
}

/// Says that an engine cannot take the rules, or that it is the only one and so this is the end.
fn report_skipped_engine(
    plan: &BenchPlan,
    rules: Option<u32>,
    engine: EngineChoice,
) -> Result<(), Failure> {
    let what = match engine {
        EngineChoice::CrossProduct => "these rules need too much memory, or are of IPv6",
        _ => "these rules need too much memory",
    };
    let engine = engine.label();
    if !plan.skips_engines() {
        return Err(Failure::usage(format!("--engine {engine}: {what}; take forest or auto")));
    }
    let which = rules.map(|rules| format!(", --sweep rules={rules}")).unwrap_or_default();
    terminal::warn(&format!("--engine {engine}{which}: {what}; left out"));
    Ok(())
}
