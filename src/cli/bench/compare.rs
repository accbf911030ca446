//! Two reports of `bench --format json` side by side.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::super::exit::{Exit, Failure};
use super::report::TimingStatistics;
use super::{BenchFormat, report};

/// Compare two reports of --format json: how many times as long the second takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  traffic-mirror bench --rules 1000 --format json > before.json
  traffic-mirror bench compare before.json after.json")]
pub(super) struct CompareFlags {
    /// The first report; - is standard input.
    #[arg(value_name = "A")]
    first: PathBuf,

    /// The second report; - is standard input.
    #[arg(value_name = "B")]
    second: PathBuf,

    /// How the result is printed.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: BenchFormat,
}

/// What a comparison needs of a report.
#[derive(Debug, Default, PartialEq, Deserialize)]
struct SavedReport {
    #[serde(default)]
    machine: serde_json::Value,
    runs: Vec<SavedRun>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct SavedRun {
    #[serde(flatten)]
    identity: RunIdentity,
    stages: Vec<SavedStage>,
}

/// What makes two runs the same.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
struct RunIdentity {
    name: String,
    rules: u64,
    sessions: u64,
    /// The engine that was asked for; the one that it became may change.
    #[serde(rename(deserialize = "asked"))]
    engine: String,
    #[serde(default)]
    workers: u64,
}

#[derive(Debug, PartialEq, Deserialize)]
struct SavedStage {
    stage: String,
    ns_per_packet: TimingStatistics,
}

/// Of both reports.
#[derive(Debug, PartialEq, Serialize)]
struct Comparison {
    same_machine: bool,
    stages: Vec<StageComparison>,
    /// By stage: the geometric means of the ratios.
    means: Vec<StageMean>,
    only_in_first: Vec<RunIdentity>,
    only_in_second: Vec<RunIdentity>,
}

/// One stage of one run in both.
#[derive(Debug, PartialEq, Serialize)]
struct StageComparison {
    #[serde(flatten)]
    identity: RunIdentity,
    stage: String,
    first_ns: f64,
    second_ns: f64,
    /// The second by the first: of the lowest figures, and of the medians.
    ratio: f64,
    ratio_of_medians: f64,
    /// Whether what one took at the lowest the other may have taken, too.
    within_noise: bool,
}

#[derive(Debug, PartialEq, Serialize)]
struct StageMean {
    stage: String,
    ratio: f64,
    ratio_of_medians: f64,
}

pub(super) fn run(flags: &CompareFlags) -> Result<Exit, Failure> {
    if [&flags.first, &flags.second].iter().all(|path| is_stdin(path)) {
        return Err(Failure::usage("B `-`: A is standard input already; name a file"));
    }
    let found = Comparison::of(&read(&flags.first)?, &read(&flags.second)?);
    if found.stages.is_empty() {
        return Err(Failure::usage(format!(
            "{} and {} have no run in common: expected runs of the same name, rules, sessions, \
             engine and workers",
            flags.first.display(),
            flags.second.display()
        )));
    }
    let text = match flags.format {
        BenchFormat::Text => found.to_text(),
        BenchFormat::Json => serde_json::to_string_pretty(&found).map_err(Failure::failed)? + "\n",
    };
    report::print_text(&text)
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn read(path: &Path) -> Result<SavedReport, Failure> {
    let mut text = String::new();
    let read = if is_stdin(path) {
        io::stdin().read_to_string(&mut text).map(drop)
    } else {
        fs::read_to_string(path).map(|all| text = all)
    };
    let refused =
        |what: &dyn std::fmt::Display| Failure::usage(format!("{}: {what}", path.display()));
    read.map_err(|error| refused(&error))?;
    serde_json::from_str(&text).map_err(|error| {
        refused(&format_args!("{error}: expected what `bench --format json` prints"))
    })
}

impl Comparison {
    fn of(first: &SavedReport, second: &SavedReport) -> Self {
        let mut stages = Vec::new();
        for run in &first.runs {
            let same = second.runs.iter().find(|other| other.identity == run.identity);
            for (a, b) in same.iter().flat_map(|other| run.stages_with(other)) {
                stages.push(StageComparison::of(&run.identity, a, b));
            }
        }
        let without = |runs: &[SavedRun], others: &[SavedRun]| {
            let is_alone =
                |run: &&SavedRun| others.iter().all(|other| other.identity != run.identity);
            runs.iter().filter(is_alone).map(|run| run.identity.clone()).collect()
        };
        let mut names: Vec<&String> = Vec::new();
        for pair in &stages {
            if !names.contains(&&pair.stage) {
                names.push(&pair.stage);
            }
        }
        let means = names.into_iter().map(|stage| StageMean::of(stage, &stages)).collect();
        Self {
            same_machine: first.machine == second.machine,
            means,
            only_in_first: without(&first.runs, &second.runs),
            only_in_second: without(&second.runs, &first.runs),
            stages,
        }
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        if !self.same_machine {
            text += "The machines differ: only ratios of one machine say something.\n";
        }
        let _ = write!(text, "{:<44} {:<9}", "run", "stage");
        for head in ["A min", "B min", "B/A", "of medians"] {
            let _ = write!(text, " {head:>10}");
        }
        for pair in &self.stages {
            let StageComparison {
                identity,
                stage,
                first_ns,
                second_ns,
                ratio,
                ratio_of_medians,
                ..
            } = pair;
            let noise = if pair.within_noise { "  within the noise" } else { "" };
            let _ = write!(
                text,
                "\n{:<44} {stage:<9} {first_ns:>10.2} {second_ns:>10.2} {ratio:>10.3} \
                 {ratio_of_medians:>10.3}{noise}",
                identity.to_string()
            );
        }
        for StageMean { stage, ratio, ratio_of_medians } in &self.means {
            let name = "geometric mean";
            let _ = write!(
                text,
                "\n{name:<44} {stage:<9} {:>10} {:>10} {ratio:>10.3} {ratio_of_medians:>10.3}",
                "", ""
            );
        }
        let first = self.only_in_first.iter().map(|identity| ("A", identity));
        let second = self.only_in_second.iter().map(|identity| ("B", identity));
        for (name, identity) in first.chain(second) {
            let _ = write!(text, "\nonly in {name}: {identity}");
        }
        text + "\n"
    }
}

impl SavedRun {
    /// The stages that both have.
    fn stages_with<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (&'a SavedStage, &'a SavedStage)> {
        self.stages.iter().filter_map(|own| {
            let same = other.stages.iter().find(|stage| stage.stage == own.stage);
            Some((own, same?))
        })
    }
}

impl StageComparison {
    fn of(identity: &RunIdentity, first: &SavedStage, second: &SavedStage) -> Self {
        let (a, b) = (first.ns_per_packet, second.ns_per_packet);
        Self {
            identity: identity.clone(),
            stage: first.stage.clone(),
            first_ns: a.min,
            second_ns: b.min,
            ratio: ratio_of(b.min, a.min),
            ratio_of_medians: ratio_of(b.median, a.median),
            within_noise: a.min <= b.median && b.min <= a.median,
        }
    }
}

impl StageMean {
    fn of(stage: &str, pairs: &[StageComparison]) -> Self {
        let own: Vec<&StageComparison> = pairs.iter().filter(|pair| pair.stage == stage).collect();
        let count = u32::try_from(own.len()).map_or(1.0, f64::from);
        let mean = |of: fn(&StageComparison) -> f64| {
            let logs: f64 = own.iter().map(|pair| of(pair).ln()).sum();
            rounded((logs / count).exp())
        };
        Self {
            stage: stage.to_owned(),
            ratio: mean(|pair| pair.ratio),
            ratio_of_medians: mean(|pair| pair.ratio_of_medians),
        }
    }
}

impl std::fmt::Display for RunIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, rules, sessions, engine, workers } = self;
        write!(f, "{name}, {rules} rules in {sessions}, {engine}")?;
        if *workers > 1 {
            write!(f, ", {workers} workers")?;
        }
        Ok(())
    }
}

/// To thousandths; a figure of zero is as the least that a clock can tell.
fn ratio_of(a: f64, b: f64) -> f64 {
    rounded(a.max(0.01) / b.max(0.01))
}

fn rounded(ratio: f64) -> f64 {
    (ratio * 1000.0).round() / 1000.0
}
