//! What was measured, for people and for programs.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::exit::{Exit, Failure, ignore_broken_pipe};
use super::super::terminal;
use super::machine::Machine;
use super::perf_counters::PerfCounts;
use super::workload::GeneratorSettings;
use super::{BenchFlags, BenchFormat, html, plot};
use crate::io::record::OutputFile;

/// All that one command measured.
#[derive(Debug, Serialize)]
pub(super) struct BenchReport {
    machine: Machine,
    runs: Vec<BenchRun>,
}

/// One set of rules under one set of packets.
#[derive(Debug, Default, Serialize)]
pub(super) struct BenchRun {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) generated: GeneratorSettings,
    pub(super) rules: usize,
    pub(super) sessions: usize,
    /// The engine that was asked for.
    pub(super) asked: &'static str,
    /// The engine that it is.
    pub(super) engine: &'static str,
    /// How many tables the longest way looks into.
    pub(super) depth: usize,
    /// The memory of the compiled rules.
    pub(super) bytes: usize,
    pub(super) compile_ns: u64,
    /// How long it takes until a rule less is in force.
    pub(super) change_ns: u64,
    pub(super) packets: usize,
    /// How many packets some session takes.
    pub(super) taken: usize,
    /// How many threads shared the packets.
    pub(super) workers: u32,
    pub(super) rounds: u32,
    /// Of the whole way, by all workers together, in the best round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mpps: Option<f64>,
    pub(super) stages: Vec<StageResult>,
}

/// One stage.
#[derive(Debug, Default, Serialize)]
pub(super) struct StageResult {
    pub(super) stage: &'static str,
    pub(super) ns_per_packet: TimingStatistics,
    /// What the processor counted for each packet, in rounds of their own.
    #[serde(flatten)]
    pub(super) counts: PerfCounts,
}

/// Of all rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct TimingStatistics {
    pub(super) min: f64,
    pub(super) median: f64,
    #[serde(default)]
    pub(super) p99: f64,
}

impl TimingStatistics {
    /// From how long each round took for so many packets.
    pub(super) fn new(mut times: Vec<Duration>, packets: usize) -> Self {
        times.sort_unstable();
        let packets = f64::from(u32::try_from(packets).unwrap_or(u32::MAX)).max(1.0);
        let at = |share: usize| {
            let place = (times.len().saturating_sub(1)) * share / 100;
            let time = times.get(place).copied().unwrap_or_default();
            // Nanoseconds to hundredths are more than a clock can tell.
            (time.as_secs_f64() * 1e9 / packets * 100.0).round() / 100.0
        };
        Self { min: at(0), median: at(50), p99: at(99) }
    }

    /// Millions of packets a second in the best round.
    pub(super) fn mpps(&self) -> f64 {
        (1e5 / self.min.max(0.01)).round() / 100.0
    }
}

impl BenchReport {
    pub(super) fn new(runs: Vec<BenchRun>) -> Self {
        Self { machine: Machine::read(), runs }
    }

    /// Writes the picture and the page where they are wanted; each whole or not at all.
    pub(super) fn write_files(&self, flags: &BenchFlags) -> Result<(), Failure> {
        if flags.plot.is_none() && flags.html.is_none() {
            return Ok(());
        }
        let svg = plot::svg(&self.runs).map_err(Failure::failed)?;
        if let Some(path) = &flags.plot {
            write_whole(path, &svg)?;
        }
        let Some(path) = &flags.html else { return Ok(()) };
        let words: Vec<String> =
            std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        write_whole(path, &html::page(&self.machine, &self.runs, &svg, &words.join(" ")))
    }

    fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.machine);
        for run in &self.runs {
            let BenchRun { name, rules, sessions, engine, depth, bytes, packets, taken, .. } = run;
            let BenchRun { workers, rounds, .. } = run;
            let compile_time = Duration::from_nanos(run.compile_ns);
            let change_time = Duration::from_nanos(run.change_ns);
            let _ = writeln!(
                text,
                "{name}: {rules} rules in {sessions} sessions, {engine}, depth {depth}, {} KiB, \
                 compiled in {compile_time:.1?}, a rule less in {change_time:.1?}\n{packets} packets, of which {taken} are taken, \
                 {workers} workers, {rounds} rounds; nanoseconds a packet:",
                bytes.div_ceil(1024)
            );
            text += &stages_to_text(&run.stages);
        }
        text
    }
}

fn write_whole(path: &Path, text: &str) -> Result<(), Failure> {
    let written = || {
        let mut file = OutputFile::create(path)?;
        file.write_all(text.as_bytes())?;
        file.commit()
    };
    written().map_err(|error: io::Error| Failure::failed(error))
}

/// A line for each stage; columns for counts only where something was counted.
fn stages_to_text(stages: &[StageResult]) -> String {
    let counted = [
        ("instructions", stages.iter().any(|one| one.counts.instructions.is_some())),
        ("cache misses", stages.iter().any(|one| one.counts.cache_misses.is_some())),
    ];
    let (min, median, p99) = ("min", "median", "p99");
    let mut text = format!("{:>10} {min:>10} {median:>10} {p99:>10} {:>8}", "stage", "Mpps");
    for (name, _) in counted.iter().filter(|(_, is_there)| *is_there) {
        let _ = write!(text, " {name:>12}");
    }
    for StageResult { stage, ns_per_packet: figures, counts } in stages {
        let TimingStatistics { min, median, p99 } = figures;
        let rate = figures.mpps();
        let _ = write!(text, "\n{stage:>10} {min:>10.1} {median:>10.1} {p99:>10.1} {rate:>8.1}");
        let columns = counted.iter().zip([counts.instructions, counts.cache_misses]);
        for (_, count) in columns.filter(|((_, is_there), _)| *is_there) {
            let count = count.map(|count| format!("{count:.2}")).unwrap_or_default();
            let _ = write!(text, " {count:>12}");
        }
    }
    text + "\n"
}

pub(super) fn print(report: &BenchReport, format: BenchFormat) -> Result<Exit, Failure> {
    let text = match format {
        BenchFormat::Text => report.to_text(),
        BenchFormat::Json => {
            let json = serde_json::to_string_pretty(report).map_err(Failure::failed)?;
            json + "\n"
        }
    };
    print_text(&text)
}

pub(super) fn print_text(text: &str) -> Result<Exit, Failure> {
    let mut out = terminal::stdout();
    ignore_broken_pipe(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(counts: PerfCounts) -> StageResult {
        let ns_per_packet = TimingStatistics::new(vec![Duration::from_micros(40)], 1000);
        StageResult { stage: "classify", ns_per_packet, counts }
    }

    #[test]
    fn counter_columns_appear_only_when_there_are_counts() {
        let counts = PerfCounts { instructions: Some(123.456), cache_misses: None };
        let text = stages_to_text(&[stage(PerfCounts::default()), stage(counts)]);
        let lines: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["stage", "min", "median", "p99", "Mpps", "instructions"]);
        assert_eq!(lines[1], ["classify", "40.0", "40.0", "40.0", "25.0"]);
        assert_eq!(lines[2], ["classify", "40.0", "40.0", "40.0", "25.0", "123.46"]);
    }

    #[test]
    fn missing_counts_are_omitted() {
        let json = serde_json::to_value(stage(PerfCounts::default())).unwrap();
        let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["ns_per_packet", "stage"]);
    }
}
