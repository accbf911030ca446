//! Measures rule sets: classifying packets with each engine, compiling new tables, and removing one
//! rule from compiled tables. `traffic-mirror bench` measures more shapes and sizes; here Criterion
//! compares a few of them with earlier runs.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a failed benchmark may panic")]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use traffic_mirror::dataplane::{Answer, BURST_LEN, EngineKind, FlowKey, RuleSet};
use traffic_mirror::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, PortRange, Protocol, RuleAction, RuleNumber,
};

/// The sizes of the rule sets: the number of sessions, and the number of rules of each.
const SIZES: [(usize, usize); 4] = [(3, 10), (10, 100), (1, 1_000), (1, 10_000)];

/// The number of packets that one iteration classifies, in bursts.
const PACKETS: usize = 16 * 1024;

/// Pseudorandom numbers, the same in each run (a linear congruential generator).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        u32::try_from(self.0 >> 33).unwrap() % end
    }

    /// An address in one of 64 networks of 65,536 addresses each. The first networks are the most
    /// frequent.
    fn address(&mut self) -> u32 {
        let networks = 1 + self.below(64);
        let network = self.below(networks) * 0x0101_4111;
        0x0a00_0000 ^ network ^ (self.below(256) << 8) ^ self.below(256)
    }

    fn block(&mut self) -> CidrBlock {
        let prefix_lens = [0, 8, 16, 24, 24, 28, 32, 32];
        let prefix_len = prefix_lens[usize::try_from(self.below(8)).unwrap()];
        CidrBlock::new(Ipv4Addr::from_bits(self.address()).into(), prefix_len).unwrap()
    }

    fn rule(&mut self, number: i64) -> FilterRule {
        let number = RuleNumber::new(number).unwrap();
        let (source, destination) = (self.block(), self.block());
        let action = if self.below(8) == 0 { RuleAction::Reject } else { RuleAction::Accept };
        let rule = FilterRule::new(Direction::Ingress, number, action, source, destination);
        let ports = [(80, 80), (443, 443), (53, 53), (1024, 65_535), (6000, 6063)];
        let (first, last) = ports[usize::try_from(self.below(5)).unwrap()];
        let ports = PortRange::new("ports", first, last).unwrap();
        let rule = rule.unwrap().with_protocol(Protocol::TCP).unwrap();
        rule.with_destination_ports(ports).unwrap()
    }

    fn filters(&mut self, sessions: usize, rules_per_session: usize) -> Vec<Arc<Filter>> {
        let filter = |session: usize| {
            let last_number = i64::try_from(rules_per_session).unwrap();
            let rules = (1..=last_number).map(|number| self.rule(number)).collect();
            let id = FilterId::new(&format!("tmf-{session}")).unwrap();
            Arc::new(Filter::from_rules(id, rules).0)
        };
        (0..sessions).map(filter).collect()
    }

    /// The addresses of half of the packets are in the networks of the rules. The others are any
    /// addresses.
    fn key(&mut self) -> FlowKey {
        let is_in_networks = self.below(2) == 0;
        let mut address = || match is_in_networks {
            true => Ipv4Addr::from_bits(self.address()),
            false => Ipv4Addr::from_bits(self.below(u32::MAX)),
        };
        let (source, destination) = (address(), address());
        let ports = [80, 443, 53, 1024, 6001, 7];
        let port = ports[usize::try_from(self.below(6)).unwrap()];
        FlowKey::new(source.into(), destination.into(), 6, Some((40_000, port)))
    }
}

fn classify(criterion: &mut Criterion) {
    let mut random = Random(1);
    let keys: Vec<FlowKey> = (0..PACKETS).map(|_| random.key()).collect();
    let mut answers = vec![Answer::NONE; BURST_LEN];
    let mut group = criterion.benchmark_group("classify");
    group.sample_size(20).throughput(Throughput::Elements(PACKETS.try_into().unwrap()));
    for (sessions, rules) in SIZES {
        let filters = random.filters(sessions, rules);
        for kind in EngineKind::ALL {
            // The time of these engines grows with the number of rules.
            let is_slow = matches!(kind, EngineKind::Linear | EngineKind::BitVector);
            if is_slow && sessions * rules > 1_000 {
                continue;
            }
            let set = RuleSet::with_engine(&filters, Direction::Ingress, true, kind);
            let Some(set) = set else { continue };
            let id = BenchmarkId::new(kind.label(), format!("{sessions}x{rules}"));
            let mut classify_all = || {
                keys.chunks(BURST_LEN).for_each(|keys| set.classify(black_box(keys), &mut answers));
                black_box(answers.first().copied())
            };
            group.bench_function(id, |b| b.iter(&mut classify_all));
        }
    }
    group.finish();
}

fn compile(criterion: &mut Criterion) {
    let mut random = Random(2);
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10);
    for (sessions, rules) in SIZES {
        let filters = random.filters(sessions, rules);
        let compile_all = || RuleSet::new(&filters, Direction::Ingress, true);
        let size = format!("{sessions}x{rules}");
        group.bench_function(BenchmarkId::new("new", &size), |b| b.iter(compile_all));
        let mut changed = filters.clone();
        let mut rules = changed[0].all_rules().to_vec();
        rules.remove(rules.len() / 2);
        changed[0] = Arc::new(Filter::from_rules(changed[0].id().clone(), rules).0);
        let set = compile_all();
        group.bench_function(BenchmarkId::new("remove-one-rule", &size), |b| {
            b.iter(|| {
                let compile_changed = || RuleSet::new(&changed, Direction::Ingress, true);
                black_box(set.patched(&changed)).unwrap_or_else(compile_changed)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, classify, compile);
criterion_main!(benches);
