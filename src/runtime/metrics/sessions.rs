//! The metric families by session and by rule.

use super::family::{Labels, MetricFamily};
use crate::dataplane::{CompiledSession, Counters, MirrorTable, SessionCounters, SessionIndex};
use crate::model::{Filter, FilterRule, RuleAction};
use crate::runtime::snapshot::Snapshot;

/// For a filter with more rules than this, only rules that accepted packets are shown, so that the
/// text stays short.
const MAX_IDLE_RULES: usize = 1_000;

pub(super) fn families(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let [mut packets, mut bytes, mut truncated, mut to_mtu, mut dropped] = empty();
    let by_session = snapshot.by_session();
    for (table, counters) in &by_session {
        for (session, counted) in table.sessions().iter().zip(&counters.sessions) {
            let SessionCounters { mirrored, mirrored_bytes, .. } = *counted;
            let labels = labels(table, session);
            packets.add(labels.clone(), mirrored);
            bytes.add(labels.clone(), mirrored_bytes);
            truncated.add(labels.clone(), counted.truncated);
            to_mtu.add(labels.clone(), counted.truncated_to_mtu);
            dropped.add(labels, counted.dropped);
        }
    }
    vec![packets, bytes, truncated, to_mtu, dropped, rules(&by_session)]
}

fn empty() -> [MetricFamily; 5] {
    [
        MetricFamily::counter(
            "traffic_mirror_mirrored_packets",
            "Copies that were sent, by session.",
        ),
        MetricFamily::counter(
            "traffic_mirror_mirrored_bytes",
            "Bytes of the copies that were sent, after truncation and without encapsulation, by session.",
        ),
        MetricFamily::counter(
            "traffic_mirror_truncated_packets",
            "Copies that were sent shorter than their frame, by session.",
        ),
        MetricFamily::counter(
            "traffic_mirror_truncated_to_mtu_packets",
            "Copies truncated to the MTU of the path to the target and not to PacketLength, by \
             session.",
        ),
        MetricFamily::counter(
            "traffic_mirror_session_dropped_packets",
            "Copies that a session accepted and that were dropped, by session.",
        ),
    ]
}

/// They contain the target's address, empty if it has none, so that a sum over the sessions of a target keeps it.
fn labels(table: &MirrorTable, session: &CompiledSession) -> Labels {
    let interface = table.interface(session.interface);
    let target = table.target(session.target);
    vec![
        ("traffic_mirror_session_id", session.id.to_string()),
        ("session_number", session.number.value().to_string()),
        ("virtual_network_id", session.virtual_network_id.value().to_string()),
        ("network_interface_id", interface.map(|one| one.id().to_string()).unwrap_or_default()),
        ("traffic_mirror_target_id", target.map(|one| one.id.to_string()).unwrap_or_default()),
        (
            "address",
            target.and_then(|one| one.address).map(|one| one.to_string()).unwrap_or_default(),
        ),
    ]
}

fn rules(by_session: &[(&MirrorTable, Counters)]) -> MetricFamily {
    let mut family = MetricFamily::counter(
        "traffic_mirror_rule_mirrored_packets",
        "Copies that were sent, by the rule or network service that accepted them; a changed filter \
         starts at 0.",
    );
    let sessions = by_session.iter().flat_map(|(table, counters)| {
        let sessions = SessionIndex::enumerate(table.sessions());
        sessions.map(move |(index, session)| (session, counters.rules(index)))
    });
    for (session, counted) in sessions {
        let Some((by_dns, by_rule)) = counted.split_last() else { continue };
        let filter = &*session.filter;
        let counted = filter.all_rules().iter().zip(by_rule);
        for (rule, count) in counted.filter(|(rule, count)| is_shown(filter, rule, **count)) {
            family.add(rule_labels(session, rule), *count);
        }
        if filter.amazon_dns || *by_dns > 0 {
            family.add(service_labels(session), *by_dns);
        }
    }
    family
}

fn is_shown(filter: &Filter, rule: &FilterRule, count: u64) -> bool {
    let is_short = filter.all_rules().len() <= MAX_IDLE_RULES;
    count > 0 || is_short && rule.action() == RuleAction::Accept
}

fn rule_labels(session: &CompiledSession, rule: &FilterRule) -> Labels {
    let mut labels = vec![
        ("traffic_mirror_session_id", session.id.to_string()),
        ("traffic_mirror_filter_id", session.filter.id().to_string()),
        ("traffic_direction", rule.direction().to_string()),
        ("rule_number", rule.number().value().to_string()),
    ];
    labels.extend(rule.id.iter().map(|id| ("traffic_mirror_filter_rule_id", id.to_string())));
    labels
}

fn service_labels(session: &CompiledSession) -> Labels {
    vec![
        ("traffic_mirror_session_id", session.id.to_string()),
        ("traffic_mirror_filter_id", session.filter.id().to_string()),
        ("network_service", Filter::AMAZON_DNS.to_owned()),
    ]
}
