//! Measures stages in rounds.
//!
//! The stages alternate within each round, so that a disturbance of the machine affects all of
//! them. The fastest round is the cost of the work; slower rounds include other activity.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use super::engine::EngineChoice;
use super::error::BenchError;
use super::latency::{self, nanoseconds};
use super::options::BenchOptions;
use super::perf_counters::PerfCounters;
use super::report::{BenchRun, StageResult};
use super::stage::Stage;
use super::stage_runner::{PacketShare, StageRunner};
use super::statistics::TimingStatistics;
use super::workload::Workload;
use crate::dataplane::{EngineKind, MirrorTable, OuterTemplate, RuleSet, StepError, Worker};
use crate::io::clock::Stopwatch;
use crate::model::{Filter, VirtualNetworkId};

/// A round of a worker has at least this number of packets; fewer packets are repeated.
const MIN_ROUND_PACKETS: usize = 32_768;

/// With the linear engine, a round has at most this number of comparisons of a packet with a rule.
const MAX_COMPARISONS: usize = 1 << 24;

/// Rules that are compiled for one engine, and packets for them.
pub(super) struct BenchCase<'a> {
    workload: &'a Workload,
    table: Arc<MirrorTable>,
    rules: Arc<RuleSet>,
    count: usize,
    sessions: usize,
    asked: EngineChoice,
    compile_time: Duration,
    change_time: Duration,
}

impl<'a> BenchCase<'a> {
    /// Compiles the rules; `None` if the engine does not support them.
    pub(super) fn new(workload: &'a Workload, engine: EngineChoice) -> Option<Self> {
        let filters = workload.filters();
        let count = filters.iter().map(|filter| filter.all_rules().len()).sum();
        if engine.exceeds_memory(count) {
            return None;
        }
        let (direction, is_ipv4) = (workload.direction, workload.is_ipv4());
        let stopwatch = Stopwatch::start();
        let rules = match engine.kind() {
            None => RuleSet::new(&filters, direction, is_ipv4),
            Some(wanted) => RuleSet::with_engine(&filters, direction, is_ipv4, wanted)?,
        };
        let compile_time = stopwatch.elapsed();
        let changed = without_one_rule(&filters);
        let stopwatch = Stopwatch::start();
        black_box(rules.patched(&changed).or_else(|| match engine.kind() {
            None => Some(RuleSet::new(&changed, direction, is_ipv4)),
            Some(wanted) => RuleSet::with_engine(&changed, direction, is_ipv4, wanted),
        }));
        let change_time = stopwatch.elapsed();
        let rules = Arc::new(rules);
        let Workload { table, interface, .. } = workload;
        let table = table.with_rule_set(*interface, direction, is_ipv4, Arc::clone(&rules));
        let table = Arc::new(table);
        Some(Self {
            workload,
            table,
            rules,
            count,
            sessions: filters.len(),
            asked: engine,
            compile_time,
            change_time,
        })
    }

    /// Measures all stages with this number of workers.
    pub(super) fn run(&self, options: &BenchOptions, workers: u32) -> Result<BenchRun, BenchError> {
        let packets = self.packets();
        let parts = usize::try_from(workers).unwrap_or(usize::MAX);
        if parts > packets {
            return Err(BenchError::TooManyWorkers { workers, packets });
        }
        let shares = PacketShare::of(self.workload, packets, parts);
        let mut runners: Vec<StageRunner<'_>> = shares
            .into_iter()
            .map(|share| StageRunner::new(share, &self.rules, self.worker(), template()))
            .collect();
        let each = packets.div_ceil(runners.len().max(1));
        let rounds = Rounds {
            stages: &options.stages,
            count: options.rounds,
            repeats: self.min_round_packets().div_ceil(each.max(1)).max(1),
            barrier: Barrier::new(runners.len()),
            stopwatch: Stopwatch::start(),
        };
        let times = rounds.run_all(&mut runners).map_err(BenchError::failed)?;
        let mut stages = Vec::new();
        for (stage, times) in options.stages.iter().zip(times) {
            let timing = TimingStatistics::new(times, packets * rounds.repeats);
            if let Some(runner) = runners.first_mut() {
                stages.push(self.stage_result(runner, *stage, timing).map_err(BenchError::failed)?);
            }
        }
        let stats = self.rules.stats();
        let whole = stages.iter().find(|one| one.stage == Stage::Whole.label());
        Ok(BenchRun {
            name: self.workload.name.clone(),
            generated: self.workload.generated,
            rules: self.count,
            sessions: self.sessions,
            asked: self.asked.label(),
            engine: stats.engine.label(),
            depth: stats.depth,
            bytes: stats.bytes,
            compile_ns: nanoseconds(self.compile_time),
            change_ns: nanoseconds(self.change_time),
            packets,
            taken: runners.iter_mut().map(StageRunner::taken).sum(),
            workers,
            rounds: options.rounds,
            mpps: whole.map(|whole| whole.ns_per_packet.mpps()),
            stages,
        })
    }

    /// Adds what one worker measures alone after the rounds: the processor's counters in one pass
    /// over its packets, then the latency of single packets.
    fn stage_result(
        &self,
        runner: &mut StageRunner<'_>,
        stage: Stage,
        ns_per_packet: TimingStatistics,
    ) -> Result<StageResult, StepError> {
        let packets = runner.packets();
        let counts = PerfCounters::open().measure(packets, || runner.run_stage(stage))?;
        let latency_ns = latency::measure(runner, stage, self.min_round_packets())?;
        Ok(StageResult { stage: stage.label(), ns_per_packet, latency_ns, counts })
    }

    fn worker(&self) -> Worker {
        let worker = Worker::new(Arc::clone(&self.table)).with_interface(self.workload.interface);
        worker.with_direction(Some(self.workload.direction))
    }

    /// The number of packets in a round.
    fn packets(&self) -> usize {
        self.max_packets().min(self.workload.keys.len())
    }

    /// The smallest number of packets of a worker in a round, with repetitions. A round must be
    /// much longer than the resolution of the clock.
    fn min_round_packets(&self) -> usize {
        self.max_packets().min(MIN_ROUND_PACKETS)
    }

    fn max_packets(&self) -> usize {
        match self.rules.stats().engine {
            EngineKind::Linear => (MAX_COMPARISONS / self.count.max(1)).max(1024),
            _ => usize::MAX,
        }
    }
}

/// The same filters, without one rule in the middle.
fn without_one_rule(filters: &[Arc<Filter>]) -> Vec<Arc<Filter>> {
    let mut filters = filters.to_vec();
    let middle = filters.len() / 2;
    if let Some(filter) = filters.get_mut(middle) {
        let mut rules = filter.all_rules().to_vec();
        if !rules.is_empty() {
            rules.remove(rules.len() / 2);
        }
        *filter = Arc::new(Filter::from_rules(filter.id().clone(), rules).0);
    }
    filters
}

fn template() -> OuterTemplate {
    let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let target = SocketAddr::from(([192, 0, 2, 10], 4789));
    OuterTemplate::new(source, target, VirtualNetworkId::MAX)
}

/// Start and end of a round of one stage, by a stopwatch that all workers share.
type TimeSpan = (Duration, Duration);

/// The rounds that each worker runs, at the same time as the others.
struct Rounds<'a> {
    stages: &'a [Stage],
    count: u32,
    repeats: usize,
    barrier: Barrier,
    stopwatch: Stopwatch,
}

impl Rounds<'_> {
    /// For each stage, the time of each round: from the start of the first worker to the end of the
    /// last one.
    fn run_all(&self, runners: &mut [StageRunner<'_>]) -> Result<Vec<Vec<Duration>>, StepError> {
        let spans: Result<Vec<Vec<TimeSpan>>, StepError> = match runners {
            [runner] => self.run_worker(runner).map(|spans| vec![spans]),
            runners => thread::scope(|scope| {
                let threads: Vec<_> = runners
                    .iter_mut()
                    .map(|runner| scope.spawn(|| self.run_worker(runner)))
                    .collect();
                // A thread that panicked has printed the reason; it is left out.
                threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
            }),
        };
        let spans = spans?;
        let wall_time = |index: usize| {
            let spans = spans.iter().filter_map(|runner| runner.get(index));
            let (mut first, mut last) = (Duration::MAX, Duration::ZERO);
            spans.for_each(|(start, end)| (first, last) = (first.min(*start), last.max(*end)));
            last.saturating_sub(first)
        };
        let rounds = usize::try_from(self.count).unwrap_or(usize::MAX);
        let indices =
            |stage: usize| (0..rounds).map(move |round| round * self.stages.len() + stage);
        let stages = 0..self.stages.len();
        Ok(stages.map(|stage| indices(stage).map(wall_time).collect()).collect())
    }

    /// The spans of one worker: those of all stages in the first round, then in the second, and so
    /// on. After an error the worker continues to wait at the barrier, because the other workers
    /// would block there without it.
    fn run_worker(&self, runner: &mut StageRunner<'_>) -> Result<Vec<TimeSpan>, StepError> {
        let mut spans = Vec::new();
        let mut end = Ok(());
        for stage in (0..self.count).flat_map(|_| self.stages) {
            self.barrier.wait();
            let start = self.stopwatch.elapsed();
            for _ in 0..self.repeats {
                end = end.and_then(|()| runner.run_stage(*stage));
            }
            spans.push((start, self.stopwatch.elapsed()));
        }
        end.map(|()| spans)
    }
}

#[cfg(test)]
mod tests {
    use super::super::generate::PacketOptions;
    use super::super::options::{PacketSource, RuleSource};
    use super::*;
    use crate::dataplane::Answer;

    fn options(rules: u32, packets: usize) -> BenchOptions {
        let packets = PacketOptions { packets, flows: packets, ..PacketOptions::default() };
        BenchOptions {
            rules: RuleSource::generated([rules]),
            packets: PacketSource::Generated(packets),
            rounds: 1,
            ..BenchOptions::default()
        }
    }

    #[test]
    fn the_end_to_end_stage_uses_the_measured_engine() {
        let options = BenchOptions { sessions: 3, ..options(40, 200) };
        let workload = Workload::new(&options, Some(40)).unwrap();
        for (engine, wanted) in [
            (EngineChoice::Auto, EngineKind::BitVector),
            (EngineChoice::Linear, EngineKind::Linear),
            (EngineChoice::CrossProduct, EngineKind::CrossProduct),
            (EngineChoice::CutForest, EngineKind::CutForest),
        ] {
            let case = BenchCase::new(&workload, engine).unwrap();
            let used: Vec<EngineKind> =
                case.table.engine_stats().map(|(.., stats)| stats.engine).collect();
            assert_eq!(used, [wanted]);
            let mut answers = vec![Answer::NONE; workload.keys.len()];
            case.rules.classify(&workload.keys, &mut answers);
            let by_rules = answers.iter().filter(|answer| **answer != Answer::NONE).count();
            let mirrored = workload.keys.iter().filter(|key| {
                let outcome = case.table.decide(workload.interface, workload.direction, key);
                matches!(outcome, crate::dataplane::MirrorOutcome::Mirrored(_))
            });
            assert_eq!(mirrored.count(), by_rules);
        }
    }

    #[test]
    fn packets_are_divided_among_workers() {
        let stages = vec![Stage::Classify, Stage::Whole];
        let options = BenchOptions { stages, rounds: 3, ..options(10, 50) };
        let workload = Workload::new(&options, Some(10)).unwrap();
        let case = BenchCase::new(&workload, EngineChoice::Auto).unwrap();
        let [one, three] = [1, 3].map(|workers| case.run(&options, workers).unwrap());
        assert_eq!((one.packets, one.taken), (three.packets, three.taken));
        assert_eq!((one.stages.len(), three.stages.len(), three.workers), (2, 2, 3));
        assert!(case.run(&options, 51).is_err());
    }

    #[test]
    fn the_baseline_measures_fewer_packets_with_more_rules() {
        let options = options(10_000, 65_536);
        let workload = Workload::new(&options, Some(10_000)).unwrap();
        let case = BenchCase::new(&workload, EngineChoice::Linear).unwrap();
        assert_eq!(case.packets(), 1677);
        assert!(EngineChoice::BitVector.exceeds_memory(100_001));
    }
}
