//! The rules that a packet of one interface, direction and family may meet, in one list.
//!
//! Session behind session in the order in which they are asked, rule behind rule by number. A
//! place in this list is what every engine answers with.

use crate::dataplane::flow_key::FlowKey;
use crate::dataplane::verdict::Taken;
use crate::model::{Direction, Filter, FilterRule, RuleAction};

/// A filter in the place of its session.
#[derive(Debug, Clone, Copy)]
pub struct Seat<'a> {
    /// Index of the session in the mirror table.
    pub session: u32,
    /// Its filter.
    pub filter: &'a Filter,
}

/// A rule with what it stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) rule: &'a FilterRule,
    pub(super) taken: Taken,
    /// Where in the list the rules of the next session begin.
    pub(super) session_end: u32,
}

impl Place<'_> {
    pub(super) fn accepts(&self) -> bool {
        self.rule.action() == RuleAction::Accept
    }
}

/// All rules of all sessions, as one list.
#[derive(Debug, Default)]
pub(super) struct RuleList<'a> {
    places: Vec<Place<'a>>,
}

impl<'a> RuleList<'a> {
    /// The rules of one direction and family; `seats` are in the order of asking.
    ///
    /// Rejecting rules behind the last accepting one of their session are left out: a packet that
    /// gets there goes to the next session whether they match or not.
    pub(super) fn new(seats: &[Seat<'a>], direction: Direction, is_ipv4: bool) -> Self {
        let mut list = Self::default();
        for seat in seats {
            list.seat(*seat, direction, is_ipv4);
        }
        list
    }

    fn seat(&mut self, seat: Seat<'a>, direction: Direction, is_ipv4: bool) {
        let start = self.places.len();
        let numbered = (0_u32..).zip(seat.filter.all_rules());
        self.places.extend(
            numbered
                .filter(|(_, rule)| rule.direction() == direction)
                .filter(|(_, rule)| rule.source().is_ipv4() == is_ipv4)
                .map(|(index, rule)| Place {
                    rule,
                    taken: Taken { session: seat.session, rule: index },
                    session_end: 0,
                }),
        );
        let own = self.places.get(start..).unwrap_or_default();
        let kept = own.iter().rposition(Place::accepts).map_or(0, |last| last + 1);
        self.places.truncate(start + kept);
        let end = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        for place in self.places.iter_mut().skip(start) {
            place.session_end = end;
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn places(&self) -> &[Place<'a>] {
        &self.places
    }

    /// The rules of each session.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &[Place<'a>]> {
        self.places.chunk_by(|a, b| a.session_end == b.session_end)
    }

    /// Of places that match, in ascending order, the one that decides: the first match of the
    /// first session whose first match accepts.
    pub(super) fn first_accept(&self, matches: impl Iterator<Item = usize>) -> Option<usize> {
        let mut floor = 0;
        for place in matches {
            if place < floor {
                continue;
            }
            let found = self.places.get(place)?;
            if found.accepts() {
                return Some(place);
            }
            floor = usize::try_from(found.session_end).ok()?;
        }
        None
    }
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
