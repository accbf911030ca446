//! Rules: how long each engine takes for a burst, how long they take to compile, and how long until
//! a changed rule is in force. `traffic-mirror bench` measures more shapes and sizes; here Criterion
//! keeps a history of a few.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a bench")]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use traffic_mirror::dataplane::{BURST_LEN, EngineKind, FlowKey, RuleSet};
use traffic_mirror::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, PortRange, Protocol, RuleAction, RuleNumber,
};

/// How many rules there are, by the session.
const SIZES: [(usize, usize); 4] = [(3, 10), (10, 100), (1, 1_000), (1, 10_000)];

/// How many packets are asked about, in bursts.
const PACKETS: usize = 16 * 1024;

/// Numbers that look random, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        u32::try_from(self.0 >> 33).unwrap() % end
    }

    /// In one of some networks, of which the first come often.
    fn address(&mut self) -> u32 {
        let networks = 1 + self.below(64);
        let network = self.below(networks) * 0x0101_4111;
        0x0a00_0000 ^ network ^ (self.below(256) << 8) ^ self.below(256)
    }

    fn block(&mut self) -> CidrBlock {
        let lens = [0, 8, 16, 24, 24, 28, 32, 32];
        let len = lens[usize::try_from(self.below(8)).unwrap()];
        CidrBlock::new(Ipv4Addr::from_bits(self.address()).into(), len).unwrap()
    }

    fn rule(&mut self, number: i64) -> FilterRule {
        let number = RuleNumber::new(number).unwrap();
        let (source, destination) = (self.block(), self.block());
        let action = if self.below(8) == 0 { RuleAction::Reject } else { RuleAction::Accept };
        let rule = FilterRule::new(Direction::Ingress, number, action, source, destination);
        let ports = [(80, 80), (443, 443), (53, 53), (1024, 65_535), (6000, 6063)];
        let (low, high) = ports[usize::try_from(self.below(5)).unwrap()];
        let ports = PortRange::new("ports", low, high).unwrap();
        let rule = rule.unwrap().with_protocol(Protocol::TCP).unwrap();
        rule.with_destination_ports(ports).unwrap()
    }

    fn filters(&mut self, sessions: usize, rules: usize) -> Vec<Arc<Filter>> {
        let filter = |session: usize| {
            let count = i64::try_from(rules).unwrap();
            let rules = (1..=count).map(|number| self.rule(number)).collect();
            let id = FilterId::new(&format!("tmf-{session}")).unwrap();
            Arc::new(Filter::from_rules(id, rules).0)
        };
        (0..sessions).map(filter).collect()
    }

    /// Half of the packets are of networks that rules know, half are anything.
    fn key(&mut self) -> FlowKey {
        let is_known = self.below(2) == 0;
        let mut end = || match is_known {
            true => Ipv4Addr::from_bits(self.address()),
            false => Ipv4Addr::from_bits(self.below(u32::MAX)),
        };
        let (source, destination) = (end(), end());
        let ports = [80, 443, 53, 1024, 6001, 7];
        let port = ports[usize::try_from(self.below(6)).unwrap()];
        FlowKey::new(source.into(), destination.into(), 6, Some((40_000, port)))
    }
}

fn classify(c: &mut Criterion) {
    let mut random = Random(1);
    let keys: Vec<FlowKey> = (0..PACKETS).map(|_| random.key()).collect();
    let mut answers = vec![0; BURST_LEN];
    let mut group = c.benchmark_group("classify");
    group.sample_size(20).throughput(Throughput::Elements(PACKETS.try_into().unwrap()));
    for (sessions, rules) in SIZES {
        let filters = random.filters(sessions, rules);
        for kind in EngineKind::ALL {
            let is_slow = matches!(kind, EngineKind::Linear | EngineKind::BitVector);
            if is_slow && sessions * rules > 1_000 {
                continue;
            }
            let set = RuleSet::with_engine(&filters, Direction::Ingress, true, kind);
            let Some(set) = set else { continue };
            let id = BenchmarkId::new(kind.label(), format!("{sessions}x{rules}"));
            let mut all = || {
                keys.chunks(BURST_LEN).for_each(|keys| set.classify(black_box(keys), &mut answers));
                black_box(answers.first().copied())
            };
            group.bench_function(id, |b| b.iter(&mut all));
        }
    }
    group.finish();
}

fn compile(c: &mut Criterion) {
    let mut random = Random(2);
    let mut group = c.benchmark_group("compile");
    group.sample_size(10);
    for (sessions, rules) in SIZES {
        let filters = random.filters(sessions, rules);
        let new = || RuleSet::new(&filters, Direction::Ingress, true);
        let label = format!("{sessions}x{rules}");
        group.bench_function(BenchmarkId::new("new", &label), |b| b.iter(new));
        let mut changed = filters.clone();
        let mut rules = changed[0].all_rules().to_vec();
        rules.remove(rules.len() / 2);
        changed[0] = Arc::new(Filter::from_rules(changed[0].id().clone(), rules).0);
        let set = new();
        group.bench_function(BenchmarkId::new("a-rule-less", &label), |b| {
            b.iter(|| {
                let new = || RuleSet::new(&changed, Direction::Ingress, true);
                black_box(set.patched(&changed)).unwrap_or_else(new)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, classify, compile);
criterion_main!(benches);
