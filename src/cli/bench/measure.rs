//! Rounds of measurements.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::super::clock::Stopwatch;
use super::super::exit::Failure;
use super::BenchFlags;
use super::report::{Figures, Run, StageFigures};
use super::stages::Bench;
use super::workload::Workload;
use crate::dataplane::{OuterTemplate, RuleSet};
use crate::model::VirtualNetworkId;

/// How many packets a round takes at least.
const SHORTEST_ROUND: usize = 32_768;

/// Measures all stages in turn, so that what disturbs the machine disturbs all of them.
pub(super) fn run(workload: &Workload, flags: &BenchFlags) -> Result<Run, Failure> {
    let filters = workload.filters();
    let (direction, is_ipv4) = (workload.direction, workload.is_ipv4());
    let watch = Stopwatch::start();
    let rules = match flags.engine.wanted() {
        None => RuleSet::new(&filters, direction, is_ipv4),
        Some(wanted) => {
            let rules = RuleSet::with_engine(&filters, direction, is_ipv4, wanted);
            rules.ok_or_else(|| {
                let what = "these rules need too much memory; take forest or auto";
                Failure::usage(format!("--engine {}: {what}", wanted.label()))
            })?
        }
    };
    let compiled_in = watch.elapsed();
    let mut bench = Bench::new(workload, &rules, template());
    // Few packets are taken again and again: a round must be longer than the clock is coarse.
    let repeats = SHORTEST_ROUND.div_ceil(workload.keys.len().max(1)).max(1);
    let mut times = vec![Vec::new(); flags.stages.len()];
    for _ in 0..flags.rounds {
        for (stage, times) in flags.stages.iter().zip(&mut times) {
            let watch = Stopwatch::start();
            for _ in 0..repeats {
                bench.go(*stage).map_err(Failure::failed)?;
            }
            times.push(watch.elapsed());
        }
    }
    let packets = workload.keys.len() * repeats;
    let stages = flags.stages.iter().zip(times).map(|(stage, times)| StageFigures {
        stage: stage.label(),
        ns_per_packet: Figures::new(times, packets),
    });
    let taken = bench.answers().iter().filter(|answer| **answer != RuleSet::NOBODY).count();
    let stats = rules.stats();
    Ok(Run {
        name: workload.name.clone(),
        rules: filters.iter().map(|filter| filter.all_rules().len()).sum(),
        sessions: filters.len(),
        engine: stats.engine.label(),
        depth: stats.depth,
        bytes: stats.bytes,
        compile_ns: u64::try_from(compiled_in.as_nanos()).unwrap_or(u64::MAX),
        packets: workload.keys.len(),
        taken,
        rounds: flags.rounds,
        stages: stages.collect(),
    })
}

fn template() -> OuterTemplate {
    let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let target = SocketAddr::from(([192, 0, 2, 10], 4789));
    OuterTemplate::new(source, target, VirtualNetworkId::MAX)
}
