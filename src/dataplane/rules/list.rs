//! The rules for packets of one interface, direction and address family, in one list.
//!
//! The sessions are in evaluation order, and the rules of a session in the order of their numbers.
//! The answer of every engine is an index in this list.

use crate::dataplane::flow_key::FlowKey;
use crate::dataplane::index::{RuleIndex, SessionIndex};
use crate::model::{Direction, Filter, FilterRule, RuleAction};

use std::sync::Arc;

/// The answer if no session accepts the packet.
pub(super) const NO_MATCH: u32 = u32::MAX;

/// A rule of a session. The session counts from 0 at the first filter of the rule set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::dataplane) struct RulePosition {
    pub(in crate::dataplane) session: SessionIndex,
    pub(in crate::dataplane) rule: RuleIndex,
}

/// A rule with its session.
#[derive(Debug, Clone, Copy)]
pub(in crate::dataplane) struct ListedRule<'a> {
    pub(in crate::dataplane) rule: &'a FilterRule,
    pub(in crate::dataplane) position: RulePosition,
    /// The index in the list at which the rules of the next session begin.
    pub(super) session_end: u32,
}

impl ListedRule<'_> {
    pub(in crate::dataplane) fn accepts(&self) -> bool {
        self.rule.action() == RuleAction::Accept
    }
}

/// All rules of all sessions.
#[derive(Debug, Default)]
pub(in crate::dataplane) struct RuleList<'a> {
    rules: Vec<ListedRule<'a>>,
}

impl<'a> RuleList<'a> {
    /// The rules of one direction and address family of each filter, in evaluation order.
    ///
    /// Rejecting rules after the last accepting rule of their session are omitted: a packet that
    /// reaches them goes on to the next session whether they match or not.
    pub(in crate::dataplane) fn new(
        filters: &'a [Arc<Filter>],
        direction: Direction,
        is_ipv4: bool,
    ) -> Self {
        let mut list = Self::default();
        for (session, filter) in SessionIndex::enumerate(filters) {
            list.add_session(session, rules_of(filter, direction, is_ipv4));
        }
        list
    }

    /// All of these rules, as the rules of one session.
    pub(super) fn of_rules(rules: impl Iterator<Item = &'a FilterRule>) -> Self {
        let mut list = Self::default();
        list.add(SessionIndex::FIRST, RuleIndex::enumerate(rules));
        list.close(0);
        list
    }

    fn add_session(
        &mut self,
        session: SessionIndex,
        rules: impl Iterator<Item = (RuleIndex, &'a FilterRule)>,
    ) {
        let start = self.rules.len();
        self.add(session, rules);
        let own = self.rules.get(start..).unwrap_or_default();
        let kept = own.iter().rposition(ListedRule::accepts).map_or(0, |last| last + 1);
        self.rules.truncate(start + kept);
        self.close(start);
    }

    fn add(
        &mut self,
        session: SessionIndex,
        rules: impl Iterator<Item = (RuleIndex, &'a FilterRule)>,
    ) {
        self.rules.extend(rules.map(|(index, rule)| ListedRule {
            rule,
            position: RulePosition { session, rule: index },
            session_end: 0,
        }));
    }

    /// Ends the session whose rules begin at `start`.
    fn close(&mut self, start: usize) {
        let end = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        for place in self.rules.iter_mut().skip(start) {
            place.session_end = end;
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.rules.len()
    }

    pub(in crate::dataplane) fn rules(&self) -> &[ListedRule<'a>] {
        &self.rules
    }

    /// The rules of each session.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &[ListedRule<'a>]> {
        self.rules.chunk_by(|a, b| a.session_end == b.session_end)
    }

    /// The index of the rule that decides, given the indices of all matching rules in ascending
    /// order: the first match of the first session whose first match accepts.
    pub(super) fn first_accept(&self, matches: impl Iterator<Item = usize>) -> Option<usize> {
        let mut floor = 0;
        for place in matches {
            if place < floor {
                continue;
            }
            let found = self.rules.get(place)?;
            if found.accepts() {
                return Some(place);
            }
            floor = usize::try_from(found.session_end).ok()?;
        }
        None
    }
}

/// The rules of one direction and address family, each with its index in the filter.
pub(in crate::dataplane) fn rules_of(
    filter: &Filter,
    direction: Direction,
    is_ipv4: bool,
) -> impl Iterator<Item = (RuleIndex, &FilterRule)> {
    let numbered = RuleIndex::enumerate(filter.all_rules());
    numbered
        .filter(move |(_, rule)| rule.direction() == direction)
        .filter(move |(_, rule)| rule.source().is_ipv4() == is_ipv4)
}

/// Whether a rule matches, by comparing each of its fields.
pub(crate) fn matches(rule: &FilterRule, key: &FlowKey) -> bool {
    let ports_match = |wanted: Option<crate::model::PortRange>, port: u16| {
        wanted.is_none_or(|range| key.has_ports && range.contains(port))
    };
    rule.protocol().is_none_or(|wanted| u16::from(wanted.0) == key.protocol)
        && rule.source().contains(key.source())
        && rule.destination().contains(key.destination())
        && ports_match(rule.source_ports(), key.source_port)
        && ports_match(rule.destination_ports(), key.destination_port)
}
