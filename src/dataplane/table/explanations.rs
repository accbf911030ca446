//! What explanations and reports read from a table; no packet is sent this way.

use super::MirrorTable;
use crate::dataplane::flow_key::FlowKey;
use crate::dataplane::index::{InterfaceIndex, RuleIndex, SessionIndex};
use crate::dataplane::rules::{EngineStats, SessionDecision, matches};
use crate::dataplane::verdict::{AcceptedBy, SessionMatch};
use crate::model::Direction;

impl MirrorTable {
    /// Whether the target of a session has an address. Without it, the copies of the session are
    /// dropped as [`DropCause::NoTargetAddress`](crate::dataplane::DropCause::NoTargetAddress).
    #[must_use]
    pub fn has_target_address(&self, session: SessionIndex) -> bool {
        self.encap_of(session).is_some_and(|encap| encap.has_address)
    }

    /// The decision of each session's rules on a packet, for explanations: the first matching rule
    /// of each session that has one. AWS's exclusions are not evaluated.
    #[must_use]
    pub fn session_decisions(
        &self,
        interface: InterfaceIndex,
        direction: Direction,
        key: &FlowKey,
    ) -> Vec<SessionDecision> {
        let sessions = SessionIndex::enumerate(&self.parts.sessions);
        let own = sessions.filter(|(_, session)| session.interface == interface);
        own.filter_map(|(session, entry)| {
            let mut rules = RuleIndex::enumerate(entry.filter.all_rules());
            let first = rules.find(|(_, rule)| rule.direction() == direction && matches(rule, key));
            first.map(|(rule, found)| SessionDecision {
                matched: SessionMatch { session, by: AcceptedBy::Rule(rule) },
                action: found.action(),
            })
        })
        .collect()
    }

    /// The size and depth of each rule set that has rules: interface, direction, whether the rules
    /// are for IPv4, figures.
    pub fn engine_stats(
        &self,
    ) -> impl Iterator<Item = (InterfaceIndex, Direction, bool, EngineStats)> {
        let slots = InterfaceIndex::enumerate(&self.parts.interfaces).flat_map(|(interface, _)| {
            let directions = Direction::BOTH.into_iter();
            directions.flat_map(move |way| [(interface, way, true), (interface, way, false)])
        });
        let sets = slots.zip(self.rules.iter());
        sets.map(|((interface, way, is_ipv4), rules)| (interface, way, is_ipv4, rules.stats()))
            .filter(|(.., stats)| stats.rules > 0)
    }
}
