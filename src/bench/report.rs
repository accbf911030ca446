//! The report of a benchmark as values; its JSON is the format of `bench --format json`.

use serde::Serialize;

use super::error::BenchError;
use super::machine::Machine;
use super::perf_counters::PerfCounts;
use super::statistics::{LatencyStatistics, TimingStatistics};
use super::workload::GeneratorSettings;

/// All runs of a benchmark, and the machine that they ran on.
#[derive(Debug, Serialize)]
pub struct BenchReport {
    /// The machine.
    pub machine: Machine,
    /// One run for each combination of rules, engine and number of workers.
    pub runs: Vec<BenchRun>,
    /// The engines that were not measured because they do not support the rules.
    #[serde(skip)]
    pub skipped: Vec<BenchError>,
}

/// The measurements of one set of rules with one engine and number of workers.
#[derive(Debug, Default, Serialize)]
pub struct BenchRun {
    /// The settings of the generator, or the names of the files with the rules.
    pub name: String,
    /// The settings of the generators.
    #[serde(flatten)]
    pub generated: GeneratorSettings,
    /// The number of rules.
    pub rules: usize,
    /// The number of sessions.
    pub sessions: usize,
    /// The engine that the options name.
    pub asked: &'static str,
    /// The engine that was measured; differs from `asked` if that is `auto`.
    pub engine: &'static str,
    /// The largest number of tables that a lookup reads.
    pub depth: usize,
    /// The memory of the compiled rules, in bytes.
    pub bytes: usize,
    /// The time to compile the rules, in nanoseconds.
    pub compile_ns: u64,
    /// The time to compile again after one rule is removed, in nanoseconds.
    pub change_ns: u64,
    /// The number of packets.
    pub packets: usize,
    /// The number of packets that a session mirrors.
    pub taken: usize,
    /// The number of threads that shared the packets.
    pub workers: u32,
    /// The number of rounds.
    pub rounds: u32,
    /// Millions of packets per second of all workers together, in the fastest round of `whole`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mpps: Option<f64>,
    /// The stages in the order in which they were measured.
    pub stages: Vec<StageResult>,
}

/// The measurements of one stage.
#[derive(Debug, Default, Serialize)]
pub struct StageResult {
    /// The label of the stage.
    pub stage: &'static str,
    /// Averages of rounds, in nanoseconds per packet.
    pub ns_per_packet: TimingStatistics,
    /// Times of single packets, in nanoseconds, measured by one worker after the rounds.
    pub latency_ns: LatencyStatistics,
    /// Counters of the processor, measured by one worker after the rounds.
    #[serde(flatten)]
    pub counts: PerfCounts,
}

impl BenchReport {
    pub(super) const fn new(machine: Machine) -> Self {
        Self { machine, runs: Vec::new(), skipped: Vec::new() }
    }

    /// Whether a picture has a curve: runs with different numbers of rules.
    #[must_use]
    pub fn has_curve(&self) -> bool {
        let first = self.runs.first().map(|run| run.rules);
        self.runs.iter().any(|run| Some(run.rules) != first)
    }
}

impl BenchRun {
    /// The stage `whole`; the last measured stage if `whole` was not measured.
    #[must_use]
    pub fn main_stage(&self) -> Option<&StageResult> {
        let whole = self.stages.iter().find(|one| one.stage == "whole");
        whole.or(self.stages.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_counts_are_omitted() {
        let json = serde_json::to_value(StageResult::default()).unwrap();
        let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["latency_ns", "ns_per_packet", "stage"]);
    }
}
