//! Consecutive tables: a change is in force at once, the rest is reused, and no packet is lost
//! between two tables.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use traffic_mirror::control::{CompileOptions, Registry, compile, recompile};
use traffic_mirror::dataplane::{
    Burst, Copies, Drops, FlowKey, Frame, InterfaceIndex, MirrorOutcome, MirrorTable, Sink, Source,
    Verdict, Worker,
};
use traffic_mirror::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, NetworkInterface, NetworkInterfaceId,
    RuleAction, RuleNumber, Session, SessionNumber, Settings, Target, TargetId,
};

/// Pseudo-random numbers, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        u32::try_from(self.0 >> 33).unwrap() % end
    }

    fn address(&mut self) -> Ipv4Addr {
        Ipv4Addr::from_bits(0x0a00_0000 | self.below(64) << 18 | self.below(4))
    }

    fn rule(&mut self, number: i64) -> FilterRule {
        let lens = [0, 8, 12, 14, 32];
        let mut block = |len: u32| {
            CidrBlock::new(self.address().into(), lens[usize::try_from(len).unwrap()]).unwrap()
        };
        let blocks = [block(1 + u32::try_from(number % 4).unwrap()), block(0), block(3)];
        let action = if self.below(3) == 0 { RuleAction::Reject } else { RuleAction::Accept };
        let number = RuleNumber::new(number).unwrap();
        let destination = blocks[1 + usize::try_from(self.below(2)).unwrap()];
        FilterRule::new(Direction::Ingress, number, action, blocks[0], destination).unwrap()
    }

    fn filter(&mut self, id: &str, rules: i64) -> Filter {
        let rules = (1..=rules).map(|number| self.rule(number * 2)).collect();
        Filter::from_rules(FilterId::new(id).unwrap(), rules).0
    }

    fn keys(&mut self, len: usize) -> Vec<FlowKey> {
        let key = |random: &mut Self| {
            let ends: [IpAddr; 2] = [random.address().into(), random.address().into()];
            FlowKey::new(ends[0], ends[1], 6, Some((1, 2)))
        };
        (0..len).map(|_| key(self)).collect()
    }
}

fn empty_registry() -> Registry {
    let mut registry = Registry::new(Settings { aws_exclusions: false, ..Settings::default() });
    let target = TargetId::new("tmt-1").unwrap();
    registry.add_target(Target::at(target, ([192, 0, 2, 10], 4789).into())).unwrap();
    registry
}

fn add_interface(registry: &mut Registry, id: &str, filters: &[&str]) {
    let id = NetworkInterfaceId::new(id).unwrap();
    registry.add_network_interface(NetworkInterface::new(id.clone())).unwrap();
    for (number, filter) in (1..).zip(filters) {
        let number = SessionNumber::new(number).unwrap();
        let (filter, target) = (FilterId::new(filter).unwrap(), TargetId::new("tmt-1").unwrap());
        registry.add_session(Session::new(id.clone(), number, filter, target)).unwrap();
    }
}

fn registry_of(filters: &[Filter], interfaces: &[(&str, &[&str])]) -> Registry {
    let mut registry = empty_registry();
    for filter in filters {
        registry.add_filter(filter.clone()).unwrap();
    }
    for (id, filters) in interfaces {
        add_interface(&mut registry, id, filters);
    }
    registry
}

fn outcomes(table: &MirrorTable, keys: &[FlowKey]) -> Vec<MirrorOutcome> {
    let interfaces = InterfaceIndex::enumerate(table.interfaces());
    interfaces
        .flat_map(|(interface, _)| {
            keys.iter().map(move |key| table.decide(interface, Direction::Ingress, key))
        })
        .collect()
}

/// One rule is added, removed or changed.
fn change_a_filter(random: &mut Random, registry: &mut Registry) {
    let at = usize::try_from(random.below(u32::try_from(registry.filters().len()).unwrap()));
    let old = Arc::clone(&registry.filters()[at.unwrap()]);
    let mut rules = old.all_rules().to_vec();
    let at = usize::try_from(random.below(u32::try_from(rules.len()).unwrap())).unwrap();
    let number = i64::from(rules[at].number().value());
    match random.below(3) {
        0 => drop(rules.remove(at)),
        1 => rules[at] = random.rule(number),
        // If the number is in use, the rule is not added.
        _ => rules.push(random.rule(number + 1)),
    }
    registry.replace_filter(Filter::from_rules(old.id().clone(), rules).0).unwrap();
}

#[test]
fn a_recompiled_table_decides_like_a_new_one() {
    let mut random = Random(1);
    let options = CompileOptions::default();
    for rules in [20, 400] {
        let filters =
            [random.filter("a", rules), random.filter("b", rules), random.filter("c", rules / 2)];
        let mut registry = registry_of(
            &filters,
            &[("eni-1", &["a", "b"]), ("eni-2", &["c"]), ("eni-3", &["a", "b"]), ("eni-4", &[])],
        );
        let mut table = compile(&registry, &options);
        let keys = random.keys(500);
        for round in 0..30 {
            change_a_filter(&mut random, &mut registry);
            table = recompile(&registry, &options, &table);
            let wanted = outcomes(&compile(&registry, &options), &keys);
            assert!(outcomes(&table, &keys) == wanted, "round {round}");
            assert_eq!(table.is_fully_compiled(), rules == 20, "few rules need no patch");
            if round % 7 == 6 {
                table = table.fully_compiled().unwrap_or(table);
                assert!(table.is_fully_compiled());
                assert!(outcomes(&table, &keys) == wanted, "fully compiled in round {round}");
            }
        }
    }
}

#[test]
fn interfaces_and_sessions_are_added_and_removed() {
    let mut random = Random(2);
    let filters = [random.filter("a", 300), random.filter("b", 200), random.filter("c", 10)];
    let shapes: [&[(&str, &[&str])]; 5] = [
        &[("eni-1", &["a"]), ("eni-2", &["b", "c"])],
        &[("eni-2", &["b", "c"])],
        &[("eni-2", &["c", "b"]), ("eni-3", &["a", "b", "c"]), ("eni-1", &["a"])],
        &[("eni-1", &[])],
        &[("eni-1", &["c"]), ("eni-2", &["b"])],
    ];
    let options = CompileOptions::default();
    let keys = random.keys(500);
    let mut table = compile(&empty_registry(), &options);
    for shape in shapes {
        let registry = registry_of(&filters, shape);
        table = recompile(&registry, &options, &table);
        assert!(outcomes(&table, &keys) == outcomes(&compile(&registry, &options), &keys));
        assert!(table.is_fully_compiled(), "no rule changed");
    }
}

/// Repeats frames from memory.
struct RepeatedFrames<'f> {
    frames: &'f [Vec<u8>],
    bursts: usize,
}

impl Source for RepeatedFrames<'_> {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        if self.bursts > 0 {
            burst.extend(self.frames.iter().map(|frame| Frame::new(frame)));
            self.bursts -= 1;
        }
        Ok(())
    }
}

struct NullSink;

impl Sink for NullSink {
    fn send(&mut self, _copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        Ok(())
    }
}

fn frame(random: &mut Random) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0];
    frame.extend([0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend(random.address().octets());
    frame.extend(random.address().octets());
    frame.resize(60, 0);
    frame
}

/// Runs bursts until no more tables arrive. Returns the numbers of received frames, of mirrored
/// frames and of tables.
fn run_worker(first: Arc<MirrorTable>, tables: &Receiver<Arc<MirrorTable>>) -> (u64, u64, u64) {
    let mut random = Random(4);
    let frames: Vec<Vec<u8>> = (0..64).map(|_| frame(&mut random)).collect();
    let mut worker = Worker::new(first).with_interface(InterfaceIndex::FIRST);
    worker = worker.with_direction(Some(Direction::Ingress));
    let (mut received, mut changes) = (0, 0);
    loop {
        match tables.try_recv() {
            Ok(table) => {
                worker.change_table(table, Some(InterfaceIndex::FIRST));
                changes += 1;
            }
            Err(std::sync::mpsc::TryRecvError::Disconnected) => break,
            Err(std::sync::mpsc::TryRecvError::Empty) => {}
        }
        let mut source = RepeatedFrames { frames: &frames, bursts: 10 };
        worker.run(&mut source, &mut NullSink).unwrap();
        received += 640;
    }
    assert!(worker.counters().is_balanced());
    (received, worker.counters().mirrored(), changes)
}

#[test]
fn no_packet_is_lost_between_two_tables() {
    let mut random = Random(3);
    // The last session accepts what the first one does not.
    let all = Filter::accept_all(FilterId::new("all").unwrap());
    let mut registry = registry_of(&[random.filter("a", 500), all], &[("eni-1", &["a", "all"])]);
    let options = CompileOptions::default();
    let mut table = Arc::new(compile(&registry, &options));
    let (send, receive) = channel();
    let first = Arc::clone(&table);
    let worker = thread::spawn(move || run_worker(first, &receive));
    let mut published = 0;
    for round in 0..300 {
        let old = Arc::clone(&registry.filters()[0]);
        let mut rules = old.all_rules().to_vec();
        let number = random.below(250) * 4 + 1;
        let rule = random.rule(number.into());
        rules.retain(|old| old.number() != rule.number());
        if round % 2 == 0 {
            rules.push(rule);
        }
        registry.replace_filter(Filter::from_rules(old.id().clone(), rules).0).unwrap();
        table = Arc::new(recompile(&registry, &options, &table));
        send.send(Arc::clone(&table)).unwrap();
        published += 1;
        if round % 30 == 29
            && let Some(compiled) = table.fully_compiled()
        {
            table = Arc::new(compiled);
            send.send(Arc::clone(&table)).unwrap();
            published += 1;
        }
    }
    drop(send);
    let (received, mirrored, changes) = worker.join().unwrap();
    assert_eq!((mirrored, changes), (received, published));
}

/// Compares each verdict with the decision of the table.
struct VerdictChecker {
    table: Arc<MirrorTable>,
    checked: u64,
}

impl Sink for VerdictChecker {
    fn send(&mut self, _copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        Ok(())
    }

    fn wants_verdicts(&self) -> bool {
        true
    }

    fn observe_verdicts(&mut self, burst: &Burst<'_>, verdicts: &[Verdict]) -> io::Result<()> {
        for verdict in verdicts {
            let frame = &burst[usize::from(verdict.frame)];
            let key = FlowKey::parse(frame.bytes).unwrap();
            assert_eq!(
                verdict.outcome,
                self.table.decide(InterfaceIndex::FIRST, Direction::Ingress, &key)
            );
            self.checked += 1;
        }
        Ok(())
    }
}

/// Enough rules for the flow cache.
#[test]
fn cached_decisions_match_the_current_table() {
    let mut random = Random(5);
    let mut registry = registry_of(
        &[random.filter("a", 6_000), random.filter("b", 3_000)],
        &[("eni-1", &["a", "b"])],
    );
    let options = CompileOptions::default();
    let mut table = Arc::new(compile(&registry, &options));
    let mut worker = Worker::new(Arc::clone(&table)).with_interface(InterfaceIndex::FIRST);
    worker = worker.with_direction(Some(Direction::Ingress));
    let repeated: Vec<Vec<u8>> = (0..40).map(|_| frame(&mut random)).collect();
    let mut checked = 0;
    for round in 0..60 {
        let frames: Vec<Vec<u8>> =
            repeated.iter().cloned().chain((0..24).map(|_| frame(&mut random))).collect();
        let mut checker = VerdictChecker { table: Arc::clone(&table), checked: 0 };
        // Long enough for the cache to be disabled, enabled, and disabled for longer.
        let bursts = if round % 20 == 0 { 1_500 } else { 3 };
        worker.run(&mut RepeatedFrames { frames: &frames, bursts }, &mut checker).unwrap();
        checked += checker.checked;
        change_a_filter(&mut random, &mut registry);
        table = Arc::new(recompile(&registry, &options, &table));
        if round % 25 == 24
            && let Some(compiled) = table.fully_compiled()
        {
            table = Arc::new(compiled);
        }
        worker.change_table(Arc::clone(&table), Some(InterfaceIndex::FIRST));
    }
    assert_eq!(checked, (3 * 1_500 + 57 * 3) * 64);
}
