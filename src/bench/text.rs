//! A report as text for a terminal.

use std::fmt::Write as _;
use std::time::Duration;

use super::report::{BenchReport, BenchRun, StageResult};
use super::statistics::{LatencyStatistics, TimingStatistics};

impl BenchReport {
    /// The report as text: the machine, then a table for each run.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.machine);
        for run in &self.runs {
            let BenchRun { name, rules, sessions, engine, depth, bytes, packets, taken, .. } = run;
            let BenchRun { workers, rounds, .. } = run;
            let compile_time = Duration::from_nanos(run.compile_ns);
            let change_time = Duration::from_nanos(run.change_ns);
            let noun = if *workers == 1 { "worker" } else { "workers" };
            let _ = writeln!(
                text,
                "\n{name}: {rules} rules in {sessions} sessions, {engine}, depth {depth}, {} KiB, \
                 compiled in {compile_time:.1?}, with one rule removed in {change_time:.1?}\n\
                 {packets} packets, {taken} mirrored, {workers} {noun}, {rounds} rounds",
                bytes.div_ceil(1024)
            );
            text += &stages(&run.stages);
        }
        text += "\nAll times are nanoseconds per packet. A round is averaged over its packets: min, \
                 median and p99 are\nthe fastest, the median and the 99th percentile round. Latency \
                 is that of packets sent one by one.\n";
        text
    }
}

/// One line for each stage. The processor's counters have columns only if they were read.
fn stages(stages: &[StageResult]) -> String {
    let counters = [
        ("instructions", stages.iter().any(|one| one.counts.instructions.is_some())),
        ("cache misses", stages.iter().any(|one| one.counts.cache_misses.is_some())),
    ];
    let mut text = format!("{:>10} {:>29} {:>8} {:>39}\n", "", "averages of rounds", "", "latency");
    let _ = write!(text, "{:>10}", "stage");
    for name in ["min", "median", "p99"] {
        let _ = write!(text, " {name:>9}");
    }
    let _ = write!(text, " {:>8}", "Mpps");
    for name in ["p50", "p99", "p99.9", "max"] {
        let _ = write!(text, " {name:>9}");
    }
    for (name, _) in counters.iter().filter(|(_, is_read)| *is_read) {
        let _ = write!(text, " {name:>12}");
    }
    for StageResult { stage, ns_per_packet, latency_ns, counts } in stages {
        let TimingStatistics { min, median, p99 } = ns_per_packet;
        let rate = ns_per_packet.mpps();
        let _ = write!(text, "\n{stage:>10} {min:>9.1} {median:>9.1} {p99:>9.1} {rate:>8.1}");
        let LatencyStatistics { p50, p99, p99_9, max } = latency_ns;
        let _ = write!(text, " {p50:>9} {p99:>9} {p99_9:>9} {max:>9}");
        let columns = counters.iter().zip([counts.instructions, counts.cache_misses]);
        for (_, count) in columns.filter(|((_, is_read), _)| *is_read) {
            let count = count.map(|count| format!("{count:.2}")).unwrap_or_default();
            let _ = write!(text, " {count:>12}");
        }
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::perf_counters::PerfCounts;
    use super::*;

    fn stage(counts: PerfCounts) -> StageResult {
        let ns_per_packet = TimingStatistics::new(vec![Duration::from_micros(40)], 1000);
        let latency_ns = LatencyStatistics::new(vec![52]);
        StageResult { stage: "classify", ns_per_packet, latency_ns, counts }
    }

    #[test]
    fn counter_columns_appear_only_when_there_are_counts() {
        let counts = PerfCounts { instructions: Some(123.456), cache_misses: None };
        let text = stages(&[stage(PerfCounts::default()), stage(counts)]);
        let lines: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        let timing = ["stage", "min", "median", "p99", "Mpps"];
        let latency = ["p50", "p99", "p99.9", "max", "instructions"];
        assert_eq!(lines[1], [timing, latency].concat());
        let values = ["classify", "40.0", "40.0", "40.0", "25.0", "52", "52", "52", "52"];
        assert_eq!(lines[2], values);
        assert_eq!(lines[3], [&values[..], &["123.46"]].concat());
    }
}
