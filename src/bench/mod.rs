//! Benchmarks of rules and packets as a library: options in, a report out.
//!
//! [`run()`] reads or generates rules and packets, compiles the rules for each engine, and sends
//! all packets through each stage of the data plane in alternating rounds. Rules and packets depend
//! only on the options, so that two versions of the program can be compared. Nothing is sent to a
//! network.
//!
//! ```
//! use traffic_mirror::bench::{BenchOptions, PacketOptions, PacketSource, RuleSource, run};
//!
//! let packets = PacketOptions { packets: 64, flows: 64, ..PacketOptions::default() };
//! let options = BenchOptions {
//!     rules: RuleSource::generated([10]),
//!     packets: PacketSource::Generated(packets),
//!     rounds: 1,
//!     ..BenchOptions::default()
//! };
//! let report = run(&options)?;
//! assert_eq!(report.runs[0].rules, 10);
//! # Ok::<(), traffic_mirror::bench::BenchError>(())
//! ```
//!
//! What belongs here: generators, measurement, statistics, the description of the machine, and the
//! text, SVG and HTML of a report. What does not: flags, printing, and writing files (`cli`).

mod comparison;
mod engine;
mod error;
mod frames;
mod generate;
mod html;
mod latency;
mod machine;
mod measure;
mod options;
mod perf_counters;
mod plot;
mod report;
mod stage;
mod stage_runner;
mod statistics;
mod text;
mod workload;

pub use comparison::{
    Comparison, RunIdentity, SavedReport, SavedRun, SavedStage, StageComparison, StageMean,
};
pub use engine::EngineChoice;
pub use error::BenchError;
pub use generate::{AddressFamily, Mix, PacketOptions, RuleShape};
pub use machine::Machine;
pub use options::{BenchOptions, PacketSource, RuleSource};
pub use perf_counters::PerfCounts;
pub use report::{BenchReport, BenchRun, StageResult};
pub use stage::Stage;
pub use statistics::{LatencyStatistics, TimingStatistics};
pub use workload::GeneratorSettings;

/// Measures every combination of rule count, engine and number of workers.
///
/// An engine that does not support the rules is skipped and listed in [`BenchReport::skipped`] if
/// other engines are measured.
///
/// # Errors
/// [`BenchError`] if the rules or packets cannot be read, if there are more workers than packets,
/// or if the only engine does not support the rules.
pub fn run(options: &BenchOptions) -> Result<BenchReport, BenchError> {
    let mut report = BenchReport::new(Machine::read());
    for count in options.rules.counts() {
        let workload = workload::Workload::new(options, count)?;
        let engines = options.engines_for(count);
        for engine in &engines {
            let Some(case) = measure::BenchCase::new(&workload, *engine) else {
                let skipped = BenchError::UnsupportedEngine { engine: *engine, rules: count };
                if engines.len() == 1 && !options.is_sweep {
                    return Err(skipped);
                }
                report.skipped.push(skipped);
                continue;
            };
            for workers in &options.workers {
                report.runs.push(case.run(options, *workers)?);
            }
        }
    }
    Ok(report)
}
