//! Classifies packets with every rule engine. All engines must return the result of the linear one,
//! for any rules, and a patched rule set that of a new one.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use traffic_mirror::dataplane::{Answer, EngineKind, FlowKey, RuleSet};
use traffic_mirror::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, PortRange, Protocol, RuleAction, RuleNumber,
};

/// A record is a rule. Without the bytes 8, 9, 14 and 15 it is also a packet:
///
/// ```text
/// 0-3    source address                10      protocol
/// 4-7    destination address           11, 12  high bytes of the ports, or of a range of ports
/// 8, 9   lengths of the two prefixes   13      their low byte; its last bits select the ports
/// 14     not used                      15      action
/// ```
type Record = [u8; 16];

fn address(is_ipv4: bool, bytes: [u8; 4]) -> IpAddr {
    if is_ipv4 {
        return Ipv4Addr::from(bytes).into();
    }
    let [first, second, third, fourth] = bytes.map(u16::from);
    Ipv6Addr::new(first << 8 | second, third, 0, fourth, 0, 0, fourth, first).into()
}

fn rule(number: usize, is_ipv4: bool, record: Record) -> Option<FilterRule> {
    let [s0, s1, s2, s3, d0, d1, d2, d3, source_len, destination_len, rest @ ..] = record;
    let [protocol, low, high, port, _, action] = rest;
    let prefix_lens = if is_ipv4 { 33 } else { 129 };
    let source =
        CidrBlock::new(address(is_ipv4, [s0, s1, s2, s3]), source_len % prefix_lens).ok()?;
    let destination =
        CidrBlock::new(address(is_ipv4, [d0, d1, d2, d3]), destination_len % prefix_lens).ok()?;
    let action = if action & 1 == 0 { RuleAction::Accept } else { RuleAction::Reject };
    let number = RuleNumber::new(i64::try_from(number + 1).ok()?).ok()?;
    let rule = FilterRule::new(Direction::Ingress, number, action, source, destination).ok()?;
    let protocol = [None, Some(6), Some(17), Some(protocol)][usize::from(protocol & 3)];
    let Some(protocol) = protocol.map(Protocol) else { return Some(rule) };
    let rule = rule.with_protocol(protocol).ok()?;
    if !protocol.has_ports() || port & 1 == 0 {
        return Some(rule);
    }
    let (low, high) =
        (u16::from(low.min(high)) << 8, u16::from(low.max(high)) << 8 | u16::from(port));
    let ports = PortRange::new("ports", i64::from(low), i64::from(high)).ok()?;
    if port & 2 == 0 {
        rule.with_source_ports(ports).ok()
    } else {
        rule.with_destination_ports(ports).ok()
    }
}

fn key(is_ipv4: bool, record: Record) -> FlowKey {
    let [s0, s1, s2, s3, d0, d1, d2, d3, _, _, protocol, low, high, port, ..] = record;
    let ports = (port & 4 == 0)
        .then(|| (u16::from_be_bytes([low, port]), u16::from_be_bytes([high, port])));
    let protocol = [6, 17, 1, protocol][usize::from(protocol & 3)];
    let source = address(is_ipv4, [s0, s1, s2, s3]);
    let destination = address(is_ipv4, [d0, d1, d2, d3]);
    FlowKey::new(source, destination, protocol, ports)
}

fuzz_target!(|bytes: &[u8]| {
    let Some(([family, rules_per_filter], rest)) = bytes.split_first_chunk() else { return };
    let is_ipv4 = family & 1 == 0;
    // More rules take more time and test nothing else.
    let records = rest.as_chunks::<16>().0;
    let records = &records[..records.len().min(300)];
    let rules_per_filter = usize::from(*rules_per_filter).max(1);
    let filters: Vec<Filter> = records
        .chunks(rules_per_filter)
        .filter_map(|records| {
            let rules =
                records.iter().enumerate().filter_map(|(i, record)| rule(i, is_ipv4, *record));
            Some(Filter::from_rules(FilterId::new("tmf-1").ok()?, rules.collect()).0)
        })
        .collect();
    let filters: Vec<Arc<Filter>> = filters.into_iter().map(Arc::new).collect();
    let keys: Vec<FlowKey> = records.iter().map(|record| key(is_ipv4, *record)).collect();
    let classify_all = |kind| {
        let mut answers = vec![Answer::NONE; keys.len()];
        RuleSet::with_engine(&filters, Direction::Ingress, is_ipv4, kind)?
            .classify(&keys, &mut answers);
        Some(answers)
    };
    let linear = classify_all(EngineKind::Linear).unwrap_or_default();
    for kind in EngineKind::ALL {
        let answers = classify_all(kind);
        let is_same = answers.is_none_or(|answers| answers == linear);
        assert!(is_same, "{} and linear give different answers", kind.label());
    }
    assert_patched_sets_agree(&filters, &keys, is_ipv4);
});

/// Removes one rule of each filter. A patched rule set must decide as newly compiled tables do.
fn assert_patched_sets_agree(before: &[Arc<Filter>], keys: &[FlowKey], is_ipv4: bool) {
    let after = before.iter().zip(1..).map(|(filter, filter_number)| {
        let mut rules = filter.all_rules().to_vec();
        if !rules.is_empty() {
            rules.remove(filter_number * 31 % rules.len());
        }
        Arc::new(Filter::from_rules(filter.id().clone(), rules).0)
    });
    let after: Vec<Arc<Filter>> = after.collect();
    let compiled = |filters: &[Arc<Filter>], kind| {
        RuleSet::with_engine(filters, Direction::Ingress, is_ipv4, kind)
    };
    let decisions = |set: RuleSet| {
        let mut answers = vec![Answer::NONE; keys.len()];
        set.classify(keys, &mut answers);
        answers.into_iter().map(|answer| set.session_match(answer)).collect::<Vec<_>>()
    };
    let tables = [(before, EngineKind::CutForest), (after.as_slice(), EngineKind::Linear)];
    let [Some(before), Some(expected)] = tables.map(|(filters, kind)| compiled(filters, kind))
    else {
        return;
    };
    // There is no patch for too many changes.
    if let Some(patched) = before.patched(&after) {
        assert!(decisions(patched) == decisions(expected), "the patched set decides differently");
    }
}
