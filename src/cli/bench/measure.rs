//! Rounds of measurements.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use super::super::exit::Failure;
use super::BenchFlags;
use super::engine::EngineChoice;
use super::perf_counters::{PerfCounters, PerfCounts};
use super::report::{BenchRun, StageResult, TimingStatistics};
use super::stages::{PacketShare, Stage, StageRunner};
use super::workload::Workload;
use crate::dataplane::{EngineKind, MirrorTable, OuterTemplate, RuleSet, StepError, Worker};
use crate::io::clock::Stopwatch;
use crate::model::{Filter, VirtualNetworkId};

/// How many packets each worker takes in a round at least.
const MIN_ROUND_PACKETS: usize = 32_768;

/// How many comparisons a packet with a rule a round takes at the most, where each packet is
/// compared with each rule.
const MAX_COMPARISONS: usize = 1 << 24;

/// Rules that are asked in one way, and packets for them.
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
    /// Compiles the rules; nothing where the engine would need too much memory.
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
        let changed = without_one(&filters);
        let stopwatch = Stopwatch::start();
        let adapted = rules.patched(&changed);
        let new = || RuleSet::new(&changed, direction, is_ipv4);
        black_box(adapted.or_else(|| {
            let wanted = engine.kind();
            wanted.map_or_else(
                || Some(new()),
                |wanted| RuleSet::with_engine(&changed, direction, is_ipv4, wanted),
            )
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

    /// Measures all stages in turn, so that what disturbs the machine disturbs all of them.
    pub(super) fn run(&self, flags: &BenchFlags, workers: u32) -> Result<BenchRun, Failure> {
        let packets = self.packets();
        let parts = usize::try_from(workers).unwrap_or(usize::MAX);
        if parts > packets {
            let what = format!("there are only {packets} packets; take no more workers than these");
            return Err(Failure::usage(format!("--workers {workers}: {what}")));
        }
        let shares = PacketShare::of(self.workload, packets, parts);
        let mut runners: Vec<StageRunner<'_>> = shares
            .into_iter()
            .map(|share| StageRunner::new(share, &self.rules, self.worker(), template()))
            .collect();
        let each = packets.div_ceil(runners.len().max(1));
        let rounds = Rounds {
            stages: &flags.stages,
            count: flags.rounds,
            repeats: self.min_round_packets().div_ceil(each.max(1)).max(1),
            barrier: Barrier::new(runners.len()),
            stopwatch: Stopwatch::start(),
        };
        let times = rounds.run_all(&mut runners)?;
        let counts = counts(runners.first_mut(), &flags.stages)?;
        let stages = flags.stages.iter().zip(times).zip(counts);
        let stages = stages.map(|((stage, times), counts)| StageResult {
            stage: stage.label(),
            ns_per_packet: TimingStatistics::new(times, packets * rounds.repeats),
            counts,
        });
        let stages: Vec<StageResult> = stages.collect();
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
            rounds: flags.rounds,
            mpps: whole.map(|whole| whole.ns_per_packet.mpps()),
            stages,
        })
    }

    fn worker(&self) -> Worker {
        let worker = Worker::new(Arc::clone(&self.table)).with_interface(self.workload.interface);
        worker.with_direction(Some(self.workload.direction))
    }

    /// All, or as many as can be compared with each rule in bearable time.
    fn packets(&self) -> usize {
        self.max_packets().min(self.workload.keys.len())
    }

    /// Few packets are taken again and again: a round must be longer than the clock is coarse.
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

/// What the processor counts in one round of each stage, which a worker takes alone when the clock
/// no longer runs.
fn counts(
    runner: Option<&mut StageRunner<'_>>,
    stages: &[Stage],
) -> Result<Vec<PerfCounts>, Failure> {
    let Some(runner) = runner else { return Ok(Vec::new()) };
    let mut events = PerfCounters::open();
    let counts =
        stages.iter().map(|stage| events.measure(runner.packets(), || runner.run_stage(*stage)));
    counts.collect::<Result<_, _>>().map_err(Failure::failed)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The same filters, but one has a rule less.
fn without_one(filters: &[Arc<Filter>]) -> Vec<Arc<Filter>> {
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

/// From when to when, by a clock that all workers share.
type TimeSpan = (Duration, Duration);

/// What each worker does, at the same time as the others.
struct Rounds<'a> {
    stages: &'a [Stage],
    count: u32,
    repeats: usize,
    barrier: Barrier,
    stopwatch: Stopwatch,
}

impl Rounds<'_> {
    /// How long each stage took in each round, from the first worker's start to the last one's end.
    fn run_all(&self, runners: &mut [StageRunner<'_>]) -> Result<Vec<Vec<Duration>>, Failure> {
        let spans: Result<Vec<Vec<TimeSpan>>, StepError> = match runners {
            [runner] => self.run_worker(runner).map(|spans| vec![spans]),
            runners => thread::scope(|scope| {
                let threads: Vec<_> = runners
                    .iter_mut()
                    .map(|runner| scope.spawn(|| self.run_worker(runner)))
                    .collect();
                // A thread that panicked has said why; the others have all that is needed.
                threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
            }),
        };
        let spans = spans.map_err(Failure::failed)?;
        let wall = |place: usize| {
            let spans = spans.iter().filter_map(|runner| runner.get(place));
            let (mut first, mut last) = (Duration::MAX, Duration::ZERO);
            spans.for_each(|(start, end)| (first, last) = (first.min(*start), last.max(*end)));
            last.saturating_sub(first)
        };
        let rounds = usize::try_from(self.count).unwrap_or(usize::MAX);
        let places = |stage: usize| (0..rounds).map(move |round| round * self.stages.len() + stage);
        let stages = 0..self.stages.len();
        Ok(stages.map(|stage| places(stage).map(wall).collect()).collect())
    }

    /// One worker's spans, stage by stage, round by round. After an error it still waits for the
    /// others, which would else wait for it.
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
    use clap::Parser;

    use super::super::workload;
    use super::*;

    #[derive(Parser)]
    struct TestArguments {
        #[command(flatten)]
        flags: BenchFlags,
    }

    fn flags(words: &str) -> BenchFlags {
        TestArguments::parse_from(words.split_whitespace()).flags
    }

    #[test]
    fn the_end_to_end_stage_uses_the_measured_engine() {
        let flags = flags("bench --rules 40 --sessions 3 --packets 200 --rounds 1");
        let workload = workload::read(&flags, Some(40)).unwrap();
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
            let mut answers = vec![RuleSet::NO_MATCH; workload.keys.len()];
            case.rules.classify(&workload.keys, &mut answers);
            let by_rules = answers.iter().filter(|answer| **answer != RuleSet::NO_MATCH).count();
            let mirrored = workload.keys.iter().filter(|key| {
                let outcome = case.table.decide(workload.interface, workload.direction, key);
                matches!(outcome, crate::dataplane::MirrorOutcome::Mirrored(_))
            });
            assert_eq!(mirrored.count(), by_rules);
        }
    }

    #[test]
    fn packets_are_divided_among_workers() {
        let flags = flags("bench --rules 10 --packets 50 --rounds 3 --stages classify,whole");
        let workload = workload::read(&flags, Some(10)).unwrap();
        let case = BenchCase::new(&workload, EngineChoice::Auto).unwrap();
        let [one, three] = [1, 3].map(|workers| case.run(&flags, workers).unwrap());
        assert_eq!((one.packets, one.taken), (three.packets, three.taken));
        assert_eq!((one.stages.len(), three.stages.len(), three.workers), (2, 2, 3));
        assert!(case.run(&flags, 51).is_err());
    }

    #[test]
    fn the_baseline_measures_fewer_packets_with_more_rules() {
        let flags = flags("bench --rules 10000");
        let workload = workload::read(&flags, Some(10_000)).unwrap();
        let case = BenchCase::new(&workload, EngineChoice::Linear).unwrap();
        assert_eq!(case.packets(), 1677);
        assert!(EngineChoice::BitVector.exceeds_memory(100_001));
    }
}
