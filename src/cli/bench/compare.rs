//! Two reports of `bench --format json` side by side.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::super::exit::{Exit, Failure};
use super::report::Figures;
use super::{Format, report};

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
    format: Format,
}

/// What a comparison needs of a report.
#[derive(Debug, Default, PartialEq, Deserialize)]
struct Measured {
    #[serde(default)]
    machine: serde_json::Value,
    runs: Vec<Run>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Run {
    #[serde(flatten)]
    subject: Subject,
    stages: Vec<Stage>,
}

/// What makes two runs the same.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
struct Subject {
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
struct Stage {
    stage: String,
    ns_per_packet: Figures,
}

/// Of both reports.
#[derive(Debug, PartialEq, Serialize)]
struct Comparison {
    same_machine: bool,
    stages: Vec<Pair>,
    /// By stage: the geometric means of the ratios.
    means: Vec<Mean>,
    only_in_first: Vec<Subject>,
    only_in_second: Vec<Subject>,
}

/// One stage of one run in both.
#[derive(Debug, PartialEq, Serialize)]
struct Pair {
    #[serde(flatten)]
    subject: Subject,
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
struct Mean {
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
        Format::Text => found.to_text(),
        Format::Json => serde_json::to_string_pretty(&found).map_err(Failure::failed)? + "\n",
    };
    report::print_text(&text)
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn read(path: &Path) -> Result<Measured, Failure> {
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
    fn of(first: &Measured, second: &Measured) -> Self {
        let mut stages = Vec::new();
        for run in &first.runs {
            let same = second.runs.iter().find(|other| other.subject == run.subject);
            for (a, b) in same.iter().flat_map(|other| run.stages_with(other)) {
                stages.push(Pair::of(&run.subject, a, b));
            }
        }
        let without = |runs: &[Run], others: &[Run]| {
            let is_alone = |run: &&Run| others.iter().all(|other| other.subject != run.subject);
            runs.iter().filter(is_alone).map(|run| run.subject.clone()).collect()
        };
        let mut names: Vec<&String> = Vec::new();
        for pair in &stages {
            if !names.contains(&&pair.stage) {
                names.push(&pair.stage);
            }
        }
        let means = names.into_iter().map(|stage| Mean::of(stage, &stages)).collect();
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
            let Pair { subject, stage, first_ns, second_ns, ratio, ratio_of_medians, .. } = pair;
            let noise = if pair.within_noise { "  within the noise" } else { "" };
            let _ = write!(
                text,
                "\n{:<44} {stage:<9} {first_ns:>10.2} {second_ns:>10.2} {ratio:>10.3} \
                 {ratio_of_medians:>10.3}{noise}",
                subject.to_string()
            );
        }
        for Mean { stage, ratio, ratio_of_medians } in &self.means {
            let name = "geometric mean";
            let _ = write!(
                text,
                "\n{name:<44} {stage:<9} {:>10} {:>10} {ratio:>10.3} {ratio_of_medians:>10.3}",
                "", ""
            );
        }
        let first = self.only_in_first.iter().map(|subject| ("A", subject));
        let second = self.only_in_second.iter().map(|subject| ("B", subject));
        for (name, subject) in first.chain(second) {
            let _ = write!(text, "\nonly in {name}: {subject}");
        }
        text + "\n"
    }
}

impl Run {
    /// The stages that both have.
    fn stages_with<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a Stage, &'a Stage)> {
        self.stages.iter().filter_map(|own| {
            let same = other.stages.iter().find(|stage| stage.stage == own.stage);
            Some((own, same?))
        })
    }
}

impl Pair {
    fn of(subject: &Subject, first: &Stage, second: &Stage) -> Self {
        let (a, b) = (first.ns_per_packet, second.ns_per_packet);
        Self {
            subject: subject.clone(),
            stage: first.stage.clone(),
            first_ns: a.min,
            second_ns: b.min,
            ratio: quotient(b.min, a.min),
            ratio_of_medians: quotient(b.median, a.median),
            within_noise: a.min <= b.median && b.min <= a.median,
        }
    }
}

impl Mean {
    fn of(stage: &str, pairs: &[Pair]) -> Self {
        let own: Vec<&Pair> = pairs.iter().filter(|pair| pair.stage == stage).collect();
        let count = u32::try_from(own.len()).map_or(1.0, f64::from);
        let mean = |of: fn(&Pair) -> f64| {
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

impl std::fmt::Display for Subject {
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
fn quotient(a: f64, b: f64) -> f64 {
    rounded(a.max(0.01) / b.max(0.01))
}

fn rounded(ratio: f64) -> f64 {
    (ratio * 1000.0).round() / 1000.0
}
