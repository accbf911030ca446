//! The rules of all sessions of one interface, direction and address family, fused.
//!
//! A word of 64 bits holds one bit for each rule, session behind session in the order in which
//! they are asked, and a guard bit above the rules of each session:
//!
//! ```text
//! bit  0 1 2 3 4 5 6 7 8 ...
//!      a a a G b b b b G ...     three rules of session a, four of session b
//! ```
//!
//! For each value of a field a table says, in such a word, which rules allow it. The AND of the
//! words of all fields holds the rules that match. Subtracting the lowest bit of every session
//! from (matches | guards) borrows inside each session alone, which leaves the first match of
//! each session; the lowest of those that accept is the answer:
//! "the first session with a matching filter is the one that mirrors the packets".
//!
//! A set that does not fit into one word is a row of words, asked in order.

use super::field_words::{AddressWords, PortWords, ProtocolWords};
use super::flow_key::FlowKey;
use super::verdict::Taken;
use crate::model::{Direction, Filter, FilterRule, RuleAction};

/// What one session does with a packet by its rules alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The session and its first rule that matches.
    pub taken: Taken,
    /// What the rule says.
    pub action: RuleAction,
}

/// Compiled rules that answer: which session takes this packet, and by which rule?
#[derive(Debug, Default)]
pub(crate) struct RuleSet {
    words: Vec<Word>,
}

/// A filter in the place of its session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat<'a> {
    /// Index of the session in the mirror table.
    pub(crate) session: u32,
    /// Its filter.
    pub(crate) filter: &'a Filter,
}

/// A rule with what it stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) rule: &'a FilterRule,
    taken: Taken,
}

impl RuleSet {
    /// Fuses the rules of one direction and family; `seats` are in the order of asking.
    pub(crate) fn new(seats: &[Seat<'_>], direction: Direction, is_ipv4: bool) -> Self {
        let sessions = seats.iter().map(|seat| entries_of(*seat, direction, is_ipv4));
        let mut words = Vec::new();
        let mut layout = Layout::default();
        for entries in sessions {
            let mut rest = entries.as_slice();
            let mut continues = false;
            while !rest.is_empty() {
                if layout.room() == 0 {
                    words.push(Word::new(&std::mem::take(&mut layout)));
                }
                let (now, later) = rest.split_at(rest.len().min(layout.room()));
                layout.seat(now, continues);
                (rest, continues) = (later, true);
            }
        }
        if !layout.is_empty() {
            words.push(Word::new(&layout));
        }
        Self { words }
    }

    /// The first session that accepts, and its rule.
    #[inline(always)]
    pub(crate) fn first_accept(&self, key: &FlowKey) -> Option<Taken> {
        let mut carry = false;
        for word in &self.words {
            let first = word.first_matches(key, carry);
            let accepted = first & word.accepts;
            if accepted != 0 {
                return word.taken(accepted.trailing_zeros());
            }
            carry = word.carries(first, carry);
        }
        None
    }

    /// The first match of every session that has one, in order.
    pub(crate) fn decisions(&self, key: &FlowKey) -> Vec<Decision> {
        let mut decisions = Vec::new();
        let mut carry = false;
        for word in &self.words {
            let first = word.first_matches(key, carry);
            carry = word.carries(first, carry);
            let bits = (0..u64::BITS).filter(|bit| first >> bit & 1 == 1);
            decisions.extend(bits.filter_map(|bit| {
                let accepts = word.accepts >> bit & 1 == 1;
                let action = if accepts { RuleAction::Accept } else { RuleAction::Reject };
                word.taken(bit).map(|taken| Decision { taken, action })
            }));
        }
        decisions
    }
}

fn entries_of<'a>(seat: Seat<'a>, direction: Direction, is_ipv4: bool) -> Vec<Entry<'a>> {
    let numbered = (0_u32..).zip(seat.filter.all_rules());
    numbered
        .filter(|(_, rule)| rule.direction() == direction && rule.source().is_ipv4() == is_ipv4)
        .map(|(index, rule)| Entry { rule, taken: Taken { session: seat.session, rule: index } })
        .collect()
}

/// Which rule sits on which bit of a word that is being filled.
#[derive(Debug, Default)]
struct Layout<'a> {
    bits: Vec<Option<Entry<'a>>>,
    lows: u64,
    guards: u64,
    continues: bool,
}

impl<'a> Layout<'a> {
    /// How many rules of one more session fit beside their guard.
    fn room(&self) -> usize {
        63_usize.saturating_sub(self.bits.len())
    }

    const fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }

    fn seat(&mut self, entries: &[Entry<'a>], continues: bool) {
        self.continues |= continues;
        self.lows |= 1 << self.bits.len();
        self.bits.extend(entries.iter().copied().map(Some));
        self.guards |= 1 << self.bits.len();
        self.bits.push(None);
    }

    fn entries(&self) -> impl Iterator<Item = (u32, Entry<'a>)> {
        (0..).zip(&self.bits).filter_map(|(bit, entry)| entry.map(|entry| (bit, entry)))
    }
}

/// Up to 63 rules.
#[derive(Debug)]
struct Word {
    addresses: AddressWords,
    protocols: ProtocolWords,
    source_ports: Option<PortWords>,
    destination_ports: Option<PortWords>,
    guards: u64,
    lows: u64,
    accepts: u64,
    /// The rules of the first session, where they continue those of the word before; else none.
    continued: u64,
    /// The bits from the lowest of the last session on.
    last_session: u64,
    taken: [Taken; 64],
}

impl Word {
    fn new(layout: &Layout<'_>) -> Self {
        let nobody = Taken { session: u32::MAX, rule: u32::MAX };
        let mut taken = [nobody; 64];
        let mut accepts = 0;
        let mut all = 0;
        for (bit, entry) in layout.entries() {
            all |= 1 << bit;
            if entry.rule.action() == RuleAction::Accept {
                accepts |= 1 << bit;
            }
            if let Some(place) = usize::try_from(bit).ok().and_then(|bit| taken.get_mut(bit)) {
                *place = entry.taken;
            }
        }
        let rules: Vec<(u64, &FilterRule)> =
            layout.entries().map(|(bit, entry)| (1 << bit, entry.rule)).collect();
        let first_guard = layout.guards & layout.guards.wrapping_neg();
        let highest_low = 1_u64 << (63 - layout.lows.leading_zeros().min(63));
        Self {
            addresses: AddressWords::new(all, &rules),
            protocols: ProtocolWords::new(&rules),
            source_ports: PortWords::new(&rules, FilterRule::source_ports),
            destination_ports: PortWords::new(&rules, FilterRule::destination_ports),
            guards: layout.guards,
            lows: layout.lows,
            accepts,
            continued: if layout.continues { first_guard.wrapping_sub(1) } else { 0 },
            last_session: !highest_low.wrapping_sub(1),
            taken,
        }
    }

    /// The first match of each session. `carry` says that the session which the word begins with
    /// had its first match in a word before.
    #[inline(always)]
    fn first_matches(&self, key: &FlowKey, carry: bool) -> u64 {
        let mut matches = self.protocols.word(key) & self.addresses.word(key);
        if let Some(ports) = &self.source_ports {
            matches &= ports.word(key.has_ports, key.source_port);
        }
        if let Some(ports) = &self.destination_ports {
            matches &= ports.word(key.has_ports, key.destination_port);
        }
        if carry {
            matches &= !self.continued;
        }
        matches & !(matches | self.guards).wrapping_sub(self.lows)
    }

    /// Whether the last session of this word has had its first match by now.
    #[inline]
    const fn carries(&self, first: u64, carry: bool) -> bool {
        let only_session = self.continued != 0 && self.last_session == u64::MAX;
        first & self.last_session != 0 || (carry && only_session)
    }

    #[inline]
    fn taken(&self, bit: u32) -> Option<Taken> {
        self.taken.get(usize::try_from(bit & 63).unwrap_or_default()).copied()
    }
}
