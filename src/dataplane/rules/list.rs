//! The rules that a packet of one interface, direction and family may meet, in one list.
//!
//! Session behind session in the order in which they are asked, rule behind rule by number. A
//! place in this list is what every engine answers with.

use crate::dataplane::flow_key::FlowKey;
use crate::dataplane::verdict::SessionMatch;
use crate::model::{Direction, Filter, FilterRule, RuleAction};

use std::sync::Arc;

/// In place of an answer: no session accepts the packet.
pub(super) const NO_MATCH: u32 = u32::MAX;

/// A rule with what it stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListedRule<'a> {
    pub(super) rule: &'a FilterRule,
    pub(super) matched: SessionMatch,
    /// Where in the list the rules of the next session begin.
    pub(super) session_end: u32,
}

impl ListedRule<'_> {
    pub(super) fn accepts(&self) -> bool {
        self.rule.action() == RuleAction::Accept
    }
}

/// All rules of all sessions, as one list.
#[derive(Debug, Default)]
pub(super) struct RuleList<'a> {
    rules: Vec<ListedRule<'a>>,
}

impl<'a> RuleList<'a> {
    /// The rules of one direction and family of each session's filter, in the order of asking.
    ///
    /// Rejecting rules behind the last accepting one of their session are left out: a packet that
    /// gets there goes to the next session whether they match or not.
    pub(super) fn new(filters: &'a [Arc<Filter>], direction: Direction, is_ipv4: bool) -> Self {
        let mut list = Self::default();
        for (session, filter) in (0..).zip(filters) {
            list.add_session(session, rules_of(filter, direction, is_ipv4));
        }
        list
    }

    /// All of these rules, as those of one session.
    pub(super) fn of_rules(rules: impl Iterator<Item = &'a FilterRule>) -> Self {
        let mut list = Self::default();
        list.add(0, (0..).zip(rules));
        list.close(0);
        list
    }

    fn add_session(&mut self, session: u32, rules: impl Iterator<Item = (u32, &'a FilterRule)>) {
        let start = self.rules.len();
        self.add(session, rules);
        let own = self.rules.get(start..).unwrap_or_default();
        let kept = own.iter().rposition(ListedRule::accepts).map_or(0, |last| last + 1);
        self.rules.truncate(start + kept);
        self.close(start);
    }

    fn add(&mut self, session: u32, rules: impl Iterator<Item = (u32, &'a FilterRule)>) {
        self.rules.extend(rules.map(|(index, rule)| ListedRule {
            rule,
            matched: SessionMatch { session, rule: index },
            session_end: 0,
        }));
    }

    /// The session whose rules begin at `start` ends here.
    fn close(&mut self, start: usize) {
        let end = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        for place in self.rules.iter_mut().skip(start) {
            place.session_end = end;
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.rules.len()
    }

    pub(super) fn rules(&self) -> &[ListedRule<'a>] {
        &self.rules
    }

    /// The rules of each session.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &[ListedRule<'a>]> {
        self.rules.chunk_by(|a, b| a.session_end == b.session_end)
    }

    /// Of places that match, in ascending order, the one that decides: the first match of the
    /// first session whose first match accepts.
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

/// The rules of one direction and family with their index among all rules of the filter.
pub(super) fn rules_of(
    filter: &Filter,
    direction: Direction,
    is_ipv4: bool,
) -> impl Iterator<Item = (u32, &FilterRule)> {
    let numbered = (0_u32..).zip(filter.all_rules());
    numbered
        .filter(move |(_, rule)| rule.direction() == direction)
        .filter(move |(_, rule)| rule.source().is_ipv4() == is_ipv4)
}

/// Whether a rule matches, by plain comparison of each of its fields.
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
