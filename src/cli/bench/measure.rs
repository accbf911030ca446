//! Rounds of measurements.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use super::super::exit::Failure;
use super::BenchFlags;
use super::engine::EngineChoice;
use super::events::{Counts, Events};
use super::report::{Figures, Run, StageFigures};
use super::stages::{Bench, Share, Stage};
use super::workload::Workload;
use crate::dataplane::{EngineKind, MirrorTable, OuterTemplate, RuleSet, StepError, Worker};
use crate::io::clock::Stopwatch;
use crate::model::{Filter, VirtualNetworkId};

/// How many packets each worker takes in a round at least.
const SHORTEST_ROUND: usize = 32_768;

/// How many comparisons a packet with a rule a round takes at the most, where each packet is
/// compared with each rule.
const MOST_COMPARISONS: usize = 1 << 24;

/// Rules that are asked in one way, and packets for them.
pub(super) struct Subject<'a> {
    workload: &'a Workload,
    table: Arc<MirrorTable>,
    rules: Arc<RuleSet>,
    count: usize,
    sessions: usize,
    asked: EngineChoice,
    compiled_in: Duration,
    changed_in: Duration,
}

impl<'a> Subject<'a> {
    /// Compiles the rules; nothing where the engine would need too much memory.
    pub(super) fn new(workload: &'a Workload, engine: EngineChoice) -> Option<Self> {
        let filters = workload.filters();
        let count = filters.iter().map(|filter| filter.all_rules().len()).sum();
        if engine.is_beyond(count) {
            return None;
        }
        let (direction, is_ipv4) = (workload.direction, workload.is_ipv4());
        let watch = Stopwatch::start();
        let rules = match engine.wanted() {
            None => RuleSet::new(&filters, direction, is_ipv4),
            Some(wanted) => RuleSet::with_engine(&filters, direction, is_ipv4, wanted)?,
        };
        let compiled_in = watch.elapsed();
        let changed = without_one(&filters);
        let watch = Stopwatch::start();
        let adapted = rules.patched(&changed);
        let new = || RuleSet::new(&changed, direction, is_ipv4);
        black_box(adapted.or_else(|| {
            let wanted = engine.wanted();
            wanted.map_or_else(
                || Some(new()),
                |wanted| RuleSet::with_engine(&changed, direction, is_ipv4, wanted),
            )
        }));
        let changed_in = watch.elapsed();
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
            compiled_in,
            changed_in,
        })
    }

    /// Measures all stages in turn, so that what disturbs the machine disturbs all of them.
    pub(super) fn run(&self, flags: &BenchFlags, workers: u32) -> Result<Run, Failure> {
        let packets = self.packets();
        let parts = usize::try_from(workers).unwrap_or(usize::MAX);
        if parts > packets {
            let what = format!("there are only {packets} packets; take no more workers than these");
            return Err(Failure::usage(format!("--workers {workers}: {what}")));
        }
        let shares = Share::of(self.workload, packets, parts);
        let mut lanes: Vec<Bench<'_>> = shares
            .into_iter()
            .map(|share| Bench::new(share, &self.rules, self.worker(), template()))
            .collect();
        let each = packets.div_ceil(lanes.len().max(1));
        let rounds = Rounds {
            stages: &flags.stages,
            count: flags.rounds,
            repeats: self.shortest_round().div_ceil(each.max(1)).max(1),
            barrier: Barrier::new(lanes.len()),
            watch: Stopwatch::start(),
        };
        let times = rounds.take(&mut lanes)?;
        let counts = counts(lanes.first_mut(), &flags.stages)?;
        let stages = flags.stages.iter().zip(times).zip(counts);
        let stages = stages.map(|((stage, times), counts)| StageFigures {
            stage: stage.label(),
            ns_per_packet: Figures::new(times, packets * rounds.repeats),
            counts,
        });
        let stages: Vec<StageFigures> = stages.collect();
        let stats = self.rules.stats();
        let whole = stages.iter().find(|one| one.stage == Stage::Whole.label());
        Ok(Run {
            name: self.workload.name.clone(),
            generated: self.workload.generated,
            rules: self.count,
            sessions: self.sessions,
            asked: self.asked.label(),
            engine: stats.engine.label(),
            depth: stats.depth,
            bytes: stats.bytes,
            compile_ns: nanoseconds(self.compiled_in),
            change_ns: nanoseconds(self.changed_in),
            packets,
            taken: lanes.iter_mut().map(Bench::taken).sum(),
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
        self.bearable().min(self.workload.keys.len())
    }

    /// Few packets are taken again and again: a round must be longer than the clock is coarse.
    fn shortest_round(&self) -> usize {
        self.bearable().min(SHORTEST_ROUND)
    }

    fn bearable(&self) -> usize {
        match self.rules.stats().engine {
            EngineKind::Linear => (MOST_COMPARISONS / self.count.max(1)).max(1024),
            _ => usize::MAX,
        }
    }
}

/// What the processor counts in one round of each stage, which a worker takes alone when the clock
/// no longer runs.
fn counts(lane: Option<&mut Bench<'_>>, stages: &[Stage]) -> Result<Vec<Counts>, Failure> {
    let Some(lane) = lane else { return Ok(Vec::new()) };
    let mut events = Events::open();
    let counts = stages.iter().map(|stage| events.of(lane.packets(), || lane.go(*stage)));
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
type Span = (Duration, Duration);

/// What each worker does, at the same time as the others.
struct Rounds<'a> {
    stages: &'a [Stage],
    count: u32,
    repeats: usize,
    barrier: Barrier,
    watch: Stopwatch,
}

impl Rounds<'_> {
    /// How long each stage took in each round, from the first worker's start to the last one's end.
    fn take(&self, lanes: &mut [Bench<'_>]) -> Result<Vec<Vec<Duration>>, Failure> {
        let spans: Result<Vec<Vec<Span>>, StepError> = match lanes {
            [lane] => self.go(lane).map(|spans| vec![spans]),
            lanes => thread::scope(|scope| {
                let threads: Vec<_> =
                    lanes.iter_mut().map(|lane| scope.spawn(|| self.go(lane))).collect();
                // A thread that panicked has said why; the others have all that is needed.
                threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
            }),
        };
        let spans = spans.map_err(Failure::failed)?;
        let wall = |place: usize| {
            let spans = spans.iter().filter_map(|lane| lane.get(place));
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
    fn go(&self, lane: &mut Bench<'_>) -> Result<Vec<Span>, StepError> {
        let mut spans = Vec::new();
        let mut end = Ok(());
        for stage in (0..self.count).flat_map(|_| self.stages) {
            self.barrier.wait();
            let start = self.watch.elapsed();
            for _ in 0..self.repeats {
                end = end.and_then(|()| lane.go(*stage));
            }
            spans.push((start, self.watch.elapsed()));
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
    struct Typed {
        #[command(flatten)]
        flags: BenchFlags,
    }

    fn flags(words: &str) -> BenchFlags {
        Typed::parse_from(words.split_whitespace()).flags
    }

    #[test]
    fn the_end_to_end_stage_uses_the_measured_engine() {
        let flags = flags("bench --rules 40 --sessions 3 --packets 200 --rounds 1");
        let workload = workload::read(&flags, Some(40)).unwrap();
        for (engine, wanted) in [
            (EngineChoice::Auto, EngineKind::BitVector),
            (EngineChoice::Linear, EngineKind::Linear),
            (EngineChoice::Classes, EngineKind::CrossProduct),
            (EngineChoice::Forest, EngineKind::CutForest),
        ] {
            let subject = Subject::new(&workload, engine).unwrap();
            let used: Vec<EngineKind> =
                subject.table.engine_stats().map(|(.., stats)| stats.engine).collect();
            assert_eq!(used, [wanted]);
            let mut answers = vec![RuleSet::NO_MATCH; workload.keys.len()];
            subject.rules.classify(&workload.keys, &mut answers);
            let by_rules = answers.iter().filter(|answer| **answer != RuleSet::NO_MATCH).count();
            let mirrored = workload.keys.iter().filter(|key| {
                let outcome = subject.table.decide(workload.interface, workload.direction, key);
                matches!(outcome, crate::dataplane::MirrorOutcome::Mirrored(_))
            });
            assert_eq!(mirrored.count(), by_rules);
        }
    }

    #[test]
    fn packets_are_divided_among_workers() {
        let flags = flags("bench --rules 10 --packets 50 --rounds 3 --stages classify,whole");
        let workload = workload::read(&flags, Some(10)).unwrap();
        let subject = Subject::new(&workload, EngineChoice::Auto).unwrap();
        let [one, three] = [1, 3].map(|workers| subject.run(&flags, workers).unwrap());
        assert_eq!((one.packets, one.taken), (three.packets, three.taken));
        assert_eq!((one.stages.len(), three.stages.len(), three.workers), (2, 2, 3));
        assert!(subject.run(&flags, 51).is_err());
    }

    #[test]
    fn the_baseline_measures_fewer_packets_with_more_rules() {
        let flags = flags("bench --rules 10000");
        let workload = workload::read(&flags, Some(10_000)).unwrap();
        let subject = Subject::new(&workload, EngineChoice::Linear).unwrap();
        assert_eq!(subject.packets(), 1677);
        assert!(EngineChoice::Words.is_beyond(100_001));
    }
}
