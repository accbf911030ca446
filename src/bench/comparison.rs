//! A comparison of two saved reports, which separates differences from noise.
//!
//! Two runs of one program differ by the activity of the machine. A difference counts only if it
//! exceeds 5 % plus the spread of both reports: if the medians are 10 % and 20 % above the fastest
//! rounds, the ratio must be above 1.05 * 1.1 * 1.2 = 1.39 or below its inverse. This must hold for
//! the fastest rounds and for the medians. The 5 % allow for differences between two processes,
//! such as the placement of memory, which the rounds of one process do not show.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::statistics::TimingStatistics;

/// The largest ratio that is noise even if all rounds of a report take the same time.
const MIN_RATIO: f64 = 1.05;

/// A report of `bench --format json`, as far as a comparison needs it.
#[derive(Debug, Default, PartialEq, Deserialize)]
pub struct SavedReport {
    /// The machine.
    #[serde(default)]
    pub machine: serde_json::Value,
    /// The runs.
    pub runs: Vec<SavedRun>,
}

/// A run of a saved report.
#[derive(Debug, PartialEq, Deserialize)]
pub struct SavedRun {
    /// What is compared with the same run of the other report.
    #[serde(flatten)]
    pub identity: RunIdentity,
    /// The stages.
    pub stages: Vec<SavedStage>,
}

/// Two runs are compared if these fields are equal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct RunIdentity {
    /// The settings of the generator, or the names of the files with the rules.
    pub name: String,
    /// The number of rules.
    pub rules: u64,
    /// The number of sessions.
    pub sessions: u64,
    /// The engine that the options name; `auto` may select another engine in another version.
    #[serde(rename(deserialize = "asked"))]
    pub engine: String,
    /// The number of workers.
    #[serde(default)]
    pub workers: u64,
}

/// A stage of a saved run.
#[derive(Debug, PartialEq, Deserialize)]
pub struct SavedStage {
    /// The label of the stage.
    pub stage: String,
    /// Averages of rounds, in nanoseconds per packet.
    pub ns_per_packet: TimingStatistics,
}

/// The comparison of two reports.
#[derive(Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Whether both reports are of one machine; times of two machines are not comparable.
    pub same_machine: bool,
    /// The stages that both reports have.
    pub stages: Vec<StageComparison>,
    /// For each stage, the geometric means of the ratios of all runs.
    pub means: Vec<StageMean>,
    /// The runs that only the first report has.
    pub only_in_first: Vec<RunIdentity>,
    /// The runs that only the second report has.
    pub only_in_second: Vec<RunIdentity>,
}

/// One stage of one run in both reports.
#[derive(Debug, PartialEq, Serialize)]
pub struct StageComparison {
    /// The run.
    #[serde(flatten)]
    pub identity: RunIdentity,
    /// The label of the stage.
    pub stage: String,
    /// The fastest round of the first report, in nanoseconds per packet.
    pub first_ns: f64,
    /// The fastest round of the second report, in nanoseconds per packet.
    pub second_ns: f64,
    /// The fastest round of the second report divided by that of the first.
    pub ratio: f64,
    /// The median of the second report divided by that of the first.
    pub ratio_of_medians: f64,
    /// Whether the difference is not larger than the noise: 5 % plus the spread of both reports.
    pub within_noise: bool,
}

/// The geometric means of one stage.
#[derive(Debug, PartialEq, Serialize)]
pub struct StageMean {
    /// The label of the stage.
    pub stage: String,
    /// The mean of the ratios of the fastest rounds.
    pub ratio: f64,
    /// The mean of the ratios of the medians.
    pub ratio_of_medians: f64,
}

impl Comparison {
    /// Compares the runs that both reports have.
    #[must_use]
    pub fn of(first: &SavedReport, second: &SavedReport) -> Self {
        let mut stages = Vec::new();
        for run in &first.runs {
            let same = second.runs.iter().find(|other| other.identity == run.identity);
            for (a, b) in same.iter().flat_map(|other| run.stages_with(other)) {
                stages.push(StageComparison::of(&run.identity, a, b));
            }
        }
        let only_in = |runs: &[SavedRun], others: &[SavedRun]| {
            let is_missing =
                |run: &&SavedRun| others.iter().all(|other| other.identity != run.identity);
            runs.iter().filter(is_missing).map(|run| run.identity.clone()).collect()
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
            only_in_first: only_in(&first.runs, &second.runs),
            only_in_second: only_in(&second.runs, &first.runs),
            stages,
        }
    }

    /// The comparison as a table.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        if !self.same_machine {
            text += "The machines differ: only times of one machine are comparable.\n";
        }
        let _ = write!(text, "{:<44} {:<9}", "run", "stage");
        for head in ["A min, ns", "B min, ns", "B/A", "of medians"] {
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
            let noise = if pair.within_noise { "  within the noise" } else { "  differs" };
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
        let different = self.stages.iter().filter(|pair| !pair.within_noise).count();
        let _ = match different {
            0 => write!(text, "\nNo difference is larger than the noise."),
            _ => write!(
                text,
                "\n{different} of {} differences are larger than the noise.",
                self.stages.len()
            ),
        };
        text + "\n"
    }
}

impl SavedRun {
    /// The stages that both runs have.
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
            within_noise: is_noise(&a, &b),
        }
    }
}

/// Whether the difference is smaller than the noise of both measurements. The description of this
/// module defines the noise.
fn is_noise(a: &TimingStatistics, b: &TimingStatistics) -> bool {
    let spread = |one: &TimingStatistics| ratio_of(one.median, one.min).max(1.0);
    let limit = MIN_RATIO * spread(a) * spread(b);
    let ratios = [ratio_of(b.min, a.min), ratio_of(b.median, a.median)];
    let is_slower = ratios.iter().all(|ratio| *ratio > limit);
    let is_faster = ratios.iter().all(|ratio| *ratio < 1.0 / limit);
    !is_slower && !is_faster
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

/// Rounded to thousandths. A time below 0.01 ns counts as 0.01 ns, the resolution of the report.
fn ratio_of(a: f64, b: f64) -> f64 {
    rounded(a.max(0.01) / b.max(0.01))
}

fn rounded(ratio: f64) -> f64 {
    (ratio * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_noise_between(a: [f64; 2], b: [f64; 2]) -> bool {
        let [a, b] = [a, b].map(|[min, median]| TimingStatistics { min, median, p99: median });
        is_noise(&a, &b)
    }

    #[test]
    fn a_difference_within_the_spread_of_the_rounds_is_noise() {
        assert!(is_noise_between([10.0, 10.0], [10.0, 10.0]));
        assert!(is_noise_between([10.0, 10.1], [10.4, 10.5]));
        assert!(is_noise_between([10.0, 13.0], [14.0, 16.0]));
        assert!(is_noise_between([0.0, 0.0], [0.0, 0.0]));
    }

    #[test]
    fn a_difference_of_one_statistic_is_noise() {
        assert!(is_noise_between([10.0, 10.1], [12.0, 10.2]));
        assert!(is_noise_between([10.0, 10.1], [9.0, 11.5]));
    }

    #[test]
    fn a_difference_larger_than_the_spread_is_no_noise() {
        assert!(!is_noise_between([10.0, 10.1], [11.0, 11.1]));
        assert!(!is_noise_between([11.0, 11.1], [10.0, 10.1]));
        assert!(!is_noise_between([10.0, 13.0], [20.0, 22.0]));
    }
}
