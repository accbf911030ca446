//! Compares every rule engine with the linear one for any rules.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use traffic_mirror::dataplane::{EngineKind, FlowKey, RuleSet};
use traffic_mirror::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, PortRange, Protocol, RuleAction, RuleNumber,
};

/// Sixteen bytes make a rule, and twelve of them a packet.
type Record = [u8; 16];

fn address(is_ipv4: bool, bytes: [u8; 4]) -> IpAddr {
    if is_ipv4 {
        return Ipv4Addr::from(bytes).into();
    }
    let [a, b, c, d] = bytes.map(u16::from);
    Ipv6Addr::new(a << 8 | b, c, 0, d, 0, 0, d, a).into()
}

fn rule(number: usize, is_ipv4: bool, record: Record) -> Option<FilterRule> {
    let [a, b, c, d, e, f, g, h, source_len, destination_len, protocol, low, high, port, _, action] =
        record;
    let most = if is_ipv4 { 33 } else { 129 };
    let source = CidrBlock::new(address(is_ipv4, [a, b, c, d]), source_len % most).ok()?;
    let destination =
        CidrBlock::new(address(is_ipv4, [e, f, g, h]), destination_len % most).ok()?;
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
    let [a, b, c, d, e, f, g, h, _, _, protocol, low, high, port, ..] = record;
    let ports = (port & 4 == 0)
        .then(|| (u16::from_be_bytes([low, port]), u16::from_be_bytes([high, port])));
    let protocol = [6, 17, 1, protocol][usize::from(protocol & 3)];
    FlowKey::new(address(is_ipv4, [a, b, c, d]), address(is_ipv4, [e, f, g, h]), protocol, ports)
}

fuzz_target!(|bytes: &[u8]| {
    let Some(([first, second], rest)) = bytes.split_first_chunk() else { return };
    let is_ipv4 = first & 1 == 0;
    // More rules take time and find nothing new.
    let records = rest.as_chunks::<16>().0;
    let records = &records[..records.len().min(300)];
    let each = usize::from(*second).max(1);
    let filters: Vec<Filter> = records
        .chunks(each)
        .filter_map(|records| {
            let rules =
                records.iter().enumerate().filter_map(|(n, record)| rule(n, is_ipv4, *record));
            Some(Filter::from_rules(FilterId::new("tmf-1").ok()?, rules.collect()).0)
        })
        .collect();
    let filters: Vec<Arc<Filter>> = filters.into_iter().map(Arc::new).collect();
    let keys: Vec<FlowKey> = records.iter().map(|record| key(is_ipv4, *record)).collect();
    let answers = |kind| {
        let mut answers = vec![0; keys.len()];
        RuleSet::with_engine(&filters, Direction::Ingress, is_ipv4, kind)?
            .classify(&keys, &mut answers);
        Some(answers)
    };
    let linear = answers(EngineKind::Linear).unwrap_or_default();
    for kind in EngineKind::ALL {
        let found = answers(kind);
        assert!(found.is_none_or(|found| found == linear), "{}", kind.label());
    }
    assert_patched_sets_agree(&filters, &keys, is_ipv4);
});

/// One rule less in each filter, as a patch and in new tables.
fn assert_patched_sets_agree(before: &[Arc<Filter>], keys: &[FlowKey], is_ipv4: bool) {
    let after = before.iter().zip(1..).map(|(filter, salt)| {
        let mut rules = filter.all_rules().to_vec();
        if !rules.is_empty() {
            rules.remove(salt * 31 % rules.len());
        }
        Arc::new(Filter::from_rules(filter.id().clone(), rules).0)
    });
    let after: Vec<Arc<Filter>> = after.collect();
    let set = |filters: &[Arc<Filter>], kind| {
        RuleSet::with_engine(filters, Direction::Ingress, is_ipv4, kind)
    };
    let decisions = |set: RuleSet| {
        let mut answers = vec![0; keys.len()];
        set.classify(keys, &mut answers);
        answers.into_iter().map(|answer| set.session_match(answer)).collect::<Vec<_>>()
    };
    let tables = [(before, EngineKind::CutForest), (after.as_slice(), EngineKind::Linear)];
    let [Some(before), Some(wanted)] = tables.map(|(filters, kind)| set(filters, kind)) else {
        return;
    };
    // More changes than a patch can have make no patch.
    if let Some(patched) = before.patched(&after) {
        assert!(decisions(patched) == decisions(wanted));
    }
}
