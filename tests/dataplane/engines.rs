//! Compares every rule engine with the linear one.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use traffic_mirror::control::classbench;
use traffic_mirror::dataplane::{Answer, EngineKind, FlowKey, RuleSet, SessionMatch};
use traffic_mirror::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, PortRange, Protocol, RuleAction, RuleNumber,
};

/// A rule as small numbers, which shrink well.
#[derive(Debug, Clone)]
struct RuleSpec {
    source: (u128, u8),
    destination: (u128, u8),
    protocol: Option<u8>,
    source_ports: Option<(u16, u16)>,
    destination_ports: Option<(u16, u16)>,
    accepts: bool,
}

/// Addresses with common prefixes of every length: a few bits are set.
fn address() -> impl Strategy<Value = u128> {
    prop_oneof![
        prop::collection::vec(0_u32..128, 0..4)
            .prop_map(|bits| bits.into_iter().fold(0, |all, bit| all | 1 << bit)),
        prop::collection::vec(96_u32..128, 0..6)
            .prop_map(|bits| bits.into_iter().fold(0, |all, bit| all | 1 << bit)),
    ]
}

fn block() -> impl Strategy<Value = (u128, u8)> {
    (address(), prop_oneof![Just(0), 0_u8..=128, 0_u8..=32, Just(32), Just(128)])
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![select(vec![0, 1, 22, 80, 255, 256, 1023, 1024, 32_767, 65_535]), any::<u16>()]
}

fn ports() -> impl Strategy<Value = Option<(u16, u16)>> {
    prop_oneof![
        3 => Just(None),
        2 => port().prop_map(|port| Some((port, port))),
        2 => (port(), port()).prop_map(|(a, b)| Some((a.min(b), a.max(b)))),
        1 => Just(Some((0, 65_535))),
    ]
}

fn spec() -> impl Strategy<Value = RuleSpec> {
    (block(), block(), protocol(), ports(), ports(), prop::bool::weighted(0.6)).prop_map(
        |(source, destination, protocol, source_ports, destination_ports, accepts)| RuleSpec {
            source,
            destination,
            protocol,
            source_ports,
            destination_ports,
            accepts,
        },
    )
}

fn protocol() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![2 => Just(None), 3 => Just(Some(6)), 2 => Just(Some(17)), 1 => any::<u8>().prop_map(Some)]
}

fn ip(bits: u128, is_ipv4: bool) -> IpAddr {
    if is_ipv4 {
        Ipv4Addr::from_bits(u32::try_from(bits >> 96).unwrap()).into()
    } else {
        Ipv6Addr::from_bits(bits).into()
    }
}

fn rule(index: usize, spec: &RuleSpec, is_ipv4: bool) -> FilterRule {
    let cidr = |(bits, len): (u128, u8)| {
        let len = if is_ipv4 { len.min(32) } else { len };
        CidrBlock::new(ip(bits, is_ipv4), len).unwrap()
    };
    let number = RuleNumber::new(i64::try_from(index + 1).unwrap()).unwrap();
    let action = if spec.accepts { RuleAction::Accept } else { RuleAction::Reject };
    let (source, destination) = (cidr(spec.source), cidr(spec.destination));
    let mut rule =
        FilterRule::new(Direction::Ingress, number, action, source, destination).unwrap();
    if let Some(protocol) = spec.protocol {
        rule = rule.with_protocol(Protocol(protocol)).unwrap();
    }
    if !spec.protocol.is_some_and(|number| Protocol(number).has_ports()) {
        return rule;
    }
    let range = |(low, high)| PortRange::new("ports", low, high).unwrap();
    if let Some(ports) = spec.source_ports {
        rule = rule.with_source_ports(range(ports)).unwrap();
    }
    if let Some(ports) = spec.destination_ports {
        rule = rule.with_destination_ports(range(ports)).unwrap();
    }
    rule
}

type Header = (u128, u128, u8, Option<(u16, u16)>);

fn header() -> impl Strategy<Value = Header> {
    let ports = prop_oneof![4 => (port(), port()).prop_map(Some), 1 => Just(None)];
    (address(), address(), select(vec![6, 17, 1, 255]), ports)
}

/// Headers at the limits of the rules, next to them, and anywhere.
fn keys(specs: &[RuleSpec], headers: &[Header], is_ipv4: bool) -> Vec<FlowKey> {
    let key = |source, destination, protocol, ports| {
        FlowKey::new(ip(source, is_ipv4), ip(destination, is_ipv4), protocol, ports)
    };
    let mut keys: Vec<FlowKey> =
        headers.iter().map(|(a, b, protocol, ports)| key(*a, *b, *protocol, *ports)).collect();
    for (index, rule) in specs.iter().enumerate() {
        let other = &specs[(index * 7 + 3) % specs.len()];
        let low = (
            rule.source_ports.map_or(9, |range| range.0),
            rule.destination_ports.map_or(9, |range| range.0),
        );
        let high = (
            rule.source_ports.map_or(9, |range| range.1),
            rule.destination_ports.map_or(9, |range| range.1),
        );
        let beside = (low.0.wrapping_sub(1), high.1.wrapping_add(1));
        let protocol = rule.protocol.unwrap_or(6);
        let last_address = |(bits, len): (u128, u8)| {
            let len = if is_ipv4 { len.min(32) } else { len };
            bits | u128::MAX.checked_shr(u32::from(len)).unwrap_or(0)
        };
        keys.push(key(rule.source.0, rule.destination.0, protocol, Some(low)));
        keys.push(key(
            last_address(rule.source),
            last_address(rule.destination),
            protocol,
            Some(high),
        ));
        keys.push(key(rule.source.0, other.destination.0, protocol, Some(beside)));
        keys.push(key(other.source.0, rule.destination.0, protocol, None));
    }
    keys
}

fn filters(specs: &[RuleSpec], sessions: usize, is_ipv4: bool) -> Vec<Filter> {
    let rules_per_filter = specs.len().div_ceil(sessions).max(1);
    (0..)
        .zip(specs.chunks(rules_per_filter))
        .map(|(number, specs)| {
            let rules = specs.iter().enumerate().map(|(i, spec)| rule(i, spec, is_ipv4));
            Filter::from_rules(FilterId::new(&format!("tmf-{number}")).unwrap(), rules.collect()).0
        })
        .collect()
}

fn assert_engines_agree(filters: &[Filter], keys: &[FlowKey], is_ipv4: bool) {
    let filters = to_arcs(filters);
    let set = |kind| RuleSet::with_engine(&filters, Direction::Ingress, is_ipv4, kind);
    let answers = |set: &RuleSet| {
        let mut answers = vec![Answer::NONE; keys.len()];
        for (keys, answers) in keys.chunks(150).zip(answers.chunks_mut(150)) {
            set.classify(keys, answers);
        }
        answers
    };
    let linear = answers(&set(EngineKind::Linear).unwrap());
    for kind in EngineKind::ALL {
        let Some(set) = set(kind) else { continue };
        let found = answers(&set);
        for ((key, found), wanted) in keys.iter().zip(&found).zip(&linear) {
            let (found, wanted) = (set.session_match(*found), set.session_match(*wanted));
            assert_eq!(found, wanted, "{}: {key:?}", kind.label());
        }
    }
    let chosen = RuleSet::new(&filters, Direction::Ingress, is_ipv4);
    assert_eq!(answers(&chosen), linear, "{:?}", chosen.stats());
}

/// Rules whose prefixes have at most 64 bits, or all.
fn networks_and_hosts(mut specs: Vec<RuleSpec>) -> Vec<RuleSpec> {
    for (_, len) in specs.iter_mut().flat_map(|rule| [&mut rule.source, &mut rule.destination]) {
        *len = if *len > 64 { 128 } else { *len };
    }
    specs
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn engines_agree(
        specs in prop::collection::vec(spec(), 0..70),
        headers in prop::collection::vec(header(), 1..50),
        sessions in 1_usize..5,
        is_ipv4 in any::<bool>(),
        only_hosts in any::<bool>(),
    ) {
        let specs = if only_hosts { networks_and_hosts(specs) } else { specs };
        let filters = filters(&specs, sessions, is_ipv4);
        assert_engines_agree(&filters, &keys(&specs, &headers, is_ipv4), is_ipv4);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn engines_agree_on_large_sets(
        specs in prop::collection::vec(spec(), 300..2000),
        headers in prop::collection::vec(header(), 1..300),
        sessions in 1_usize..20,
        is_ipv4 in any::<bool>(),
    ) {
        let filters = filters(&specs, sessions, is_ipv4);
        assert_engines_agree(&filters, &keys(&specs, &headers, is_ipv4), is_ipv4);
    }
}

/// A change of one rule, by its index.
#[derive(Debug, Clone)]
enum RuleChange {
    Add(usize, RuleSpec),
    Remove(usize),
    Replace(usize, RuleSpec),
}

fn change() -> impl Strategy<Value = RuleChange> {
    let place = 0_usize..1000;
    prop_oneof![
        (place.clone(), spec()).prop_map(|(place, spec)| RuleChange::Add(place, spec)),
        place.clone().prop_map(RuleChange::Remove),
        (place, spec()).prop_map(|(place, spec)| RuleChange::Replace(place, spec)),
    ]
}

/// The filters with one rule added, removed or changed; there is room for three between two rules.
fn apply_change(filters: &mut [Filter], change: &RuleChange, is_ipv4: bool) {
    let (place, spec) = match change {
        RuleChange::Add(place, spec) | RuleChange::Replace(place, spec) => (*place, Some(spec)),
        RuleChange::Remove(place) => (*place, None),
    };
    let session = place % filters.len();
    let mut rules = filters[session].all_rules().to_vec();
    let at = (place / filters.len()) % rules.len().max(1);
    let mut number = rules.get(at).map_or(4, |rule| i64::from(rule.number().value()));
    match change {
        RuleChange::Add(place, _) => number += i64::try_from(place % 3).unwrap() + 1,
        RuleChange::Remove(_) | RuleChange::Replace(..) if at < rules.len() => {
            drop(rules.remove(at));
        }
        RuleChange::Remove(_) | RuleChange::Replace(..) => {}
    }
    let number = RuleNumber::new(number).unwrap();
    rules.extend(spec.map(|spec| rule(0, spec, is_ipv4).with_number(number)));
    let id = filters[session].id().clone();
    filters[session] = Filter::from_rules(id, rules).0;
}

/// The filter with all rule numbers multiplied by four, so that rules can be added in between.
fn with_spaced_numbers(filter: &Filter) -> Filter {
    let spread = |rule: &FilterRule| {
        let number = RuleNumber::new(i64::from(rule.number().value()) * 4).unwrap();
        rule.clone().with_number(number)
    };
    let rules = filter.all_rules().iter().map(spread).collect();
    Filter::from_rules(filter.id().clone(), rules).0
}

fn to_arcs(filters: &[Filter]) -> Vec<Arc<Filter>> {
    filters.iter().cloned().map(Arc::new).collect()
}

fn decisions(set: &RuleSet, keys: &[FlowKey]) -> Vec<Option<SessionMatch>> {
    let mut answers = vec![Answer::NONE; keys.len()];
    set.classify(keys, &mut answers);
    answers.into_iter().map(|answer| set.session_match(answer)).collect()
}

/// Compares patched tables with newly compiled ones.
fn assert_patched_sets_agree(
    before: &[Filter],
    changes: &[RuleChange],
    keys: &[FlowKey],
    is_ipv4: bool,
) {
    let set = |filters: &[Arc<Filter>], kind| {
        RuleSet::with_engine(filters, Direction::Ingress, is_ipv4, kind)
    };
    let mut after = before.to_vec();
    changes.iter().for_each(|change| apply_change(&mut after, change, is_ipv4));
    let (before, after) = (to_arcs(before), to_arcs(&after));
    let wanted = decisions(&set(&after, EngineKind::Linear).unwrap(), keys);
    for kind in [EngineKind::CrossProduct, EngineKind::CutForest] {
        let Some(tables) = set(&before, kind) else { continue };
        let patched = tables.patched(&after).unwrap();
        for ((key, found), wanted) in keys.iter().zip(decisions(&patched, keys)).zip(&wanted) {
            assert_eq!(found, *wanted, "{}, {:?}: {key:?}", kind.label(), patched.stats());
        }
        // Patched back to rules that are equal to the first ones, but not the same objects.
        let restored: Vec<Filter> = before.iter().map(|filter| Filter::clone(filter)).collect();
        let restored = patched.patched(&to_arcs(&restored)).unwrap();
        assert!(restored.is_fully_compiled());
        assert_eq!(decisions(&restored, keys), decisions(&tables, keys));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn patched_rule_sets_agree_with_newly_compiled_ones(
        specs in prop::collection::vec(spec(), 1..40),
        changes in prop::collection::vec(change(), 0..8),
        headers in prop::collection::vec(header(), 1..20),
        sessions in 1_usize..5,
        is_ipv4 in any::<bool>(),
    ) {
        let before = filters(&specs, sessions, is_ipv4);
        let before: Vec<Filter> = before.iter().map(with_spaced_numbers).collect();
        let of_changes = changes.iter().filter_map(|change| match change {
            RuleChange::Add(_, spec) | RuleChange::Replace(_, spec) => Some(spec.clone()),
            RuleChange::Remove(_) => None,
        });
        let all: Vec<RuleSpec> = specs.iter().cloned().chain(of_changes).collect();
        assert_patched_sets_agree(&before, &changes, &keys(&all, &headers, is_ipv4), is_ipv4);
    }
}

/// Rules with the most overlap: wildcard addresses, long port ranges, random order.
fn overlapping_rules(count: u32, is_ipv4: bool) -> Vec<RuleSpec> {
    let mut state = 7_u32;
    let mut below = |end: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % end
    };
    let mut spec = |_| {
        let mut block = || {
            let len = [0, 0, 1, 3, 7, 16][usize::try_from(below(6)).unwrap()];
            (u128::from(below(u32::MAX)) << 96, len)
        };
        let (source, destination) = (block(), block());
        let mut ports = || {
            let low = u16::try_from(below(30_000)).unwrap();
            Some((low, low + u16::try_from(below(30_000)).unwrap()))
        };
        let (source_ports, destination_ports) = (ports(), ports());
        let protocol = Some(if is_ipv4 { 6 } else { 17 });
        RuleSpec { source, destination, protocol, source_ports, destination_ports, accepts: true }
    };
    (0..count).map(&mut spec).collect()
}

#[test]
fn memory_is_bounded_for_overlapping_rules() {
    for (count, is_ipv4) in [(3_000, true), (20_000, true), (3_000, false)] {
        let specs = overlapping_rules(count, is_ipv4);
        let filters = to_arcs(&filters(&specs, 1, is_ipv4));
        let stats = RuleSet::new(&filters, Direction::Ingress, is_ipv4).stats();
        let rules = usize::try_from(count).unwrap();
        // 320 or 400 bytes per rule, 8 for its action, partly filled blocks, and a minimum.
        assert!(stats.bytes <= 900 * rules + (512 << 10), "{stats:?}");
    }
}

/// The maximum product of rules and keys, small enough for the linear engine.
const CLASSBENCH_LINEAR: usize = 20_000_000;

#[test]
fn engines_agree_on_classbench() {
    let folder = std::path::Path::new("../shared/classbench");
    let Ok(files) = std::fs::read_dir(folder) else {
        testkit::print_uncaptured("NOT RUN: ../shared/classbench is absent\n");
        return;
    };
    let mut names: Vec<String> =
        files.filter_map(|file| file.unwrap().file_name().into_string().ok()).collect();
    names.retain(|name| name.ends_with(".xz") && !name.ends_with("_trace.xz"));
    names.sort();
    assert!(!names.is_empty(), "../shared/classbench has no rules");
    for name in names {
        let unpack = |name: &str| {
            let out = std::process::Command::new("xz").arg("-dkc").arg(folder.join(name)).output();
            String::from_utf8(out.unwrap().stdout).unwrap()
        };
        let rules = classbench::rules(&unpack(&name)).unwrap();
        let trace = unpack(&name.replace(".xz", "_trace.xz"));
        let mut keys = classbench::trace(&trace).unwrap();
        let wanted = (CLASSBENCH_LINEAR / rules.len()).clamp(100, keys.len());
        let step = keys.len() / wanted;
        keys = keys.into_iter().step_by(step).collect();
        for sessions in [1, 7] {
            let filters = classbench::filters(&rules, sessions).unwrap();
            assert_engines_agree(&filters, &keys, true);
        }
    }
}
