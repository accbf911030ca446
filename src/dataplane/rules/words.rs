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

use super::NOBODY;
use super::field_words::{AddressWords, PortWords, ProtocolWords};
use super::list::{Place, RuleList};
use crate::dataplane::flow_key::FlowKey;
use crate::model::FilterRule;

/// Rules as rows of words.
#[derive(Debug, Default)]
pub(super) struct Words {
    words: Vec<Word>,
}

/// A rule and its place in the list.
type Entry<'a> = (u32, Place<'a>);

impl Words {
    pub(super) fn new(list: &RuleList<'_>) -> Self {
        let mut words = Vec::new();
        let mut layout = Layout::default();
        let mut start = 0;
        for session in list.sessions() {
            let entries: Vec<Entry<'_>> = (start..).zip(session.iter().copied()).collect();
            start += u32::try_from(session.len()).unwrap_or(u32::MAX);
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

    /// Puts the place of the rule that decides on each key into `answers`, or [`NOBODY`].
    #[inline]
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [u32]) {
        if let [word] = self.words.as_slice() {
            for (key, answer) in keys.iter().zip(answers) {
                let accepted = word.first_matches(key, false) & word.accepts;
                *answer =
                    if accepted == 0 { NOBODY } else { word.place(accepted.trailing_zeros()) };
            }
            return;
        }
        for (key, answer) in keys.iter().zip(answers) {
            *answer = self.first_accept(key);
        }
    }

    /// Whether any rule matches, whatever it does.
    #[inline]
    pub(super) fn has_match(&self, key: &FlowKey) -> bool {
        self.words.iter().any(|word| word.first_matches(key, false) != 0)
    }

    fn first_accept(&self, key: &FlowKey) -> u32 {
        let mut carry = false;
        for word in &self.words {
            let first = word.first_matches(key, carry);
            let accepted = first & word.accepts;
            if accepted != 0 {
                return word.place(accepted.trailing_zeros());
            }
            carry = word.carries(first, carry);
        }
        NOBODY
    }

    /// How many words a packet may be asked by.
    pub(super) const fn depth(&self) -> usize {
        self.words.len()
    }

    /// In bytes.
    pub(super) fn memory(&self) -> usize {
        self.words.iter().map(Word::memory).sum()
    }
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

    /// The rules with their bits.
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
    /// The place of each bit in the list.
    places: [u32; 64],
}

impl Word {
    fn new(layout: &Layout<'_>) -> Self {
        let mut places = [NOBODY; 64];
        let mut accepts = 0;
        let mut all = 0;
        for (bit, (at, place)) in layout.entries() {
            all |= 1 << bit;
            if place.accepts() {
                accepts |= 1 << bit;
            }
            if let Some(known) = usize::try_from(bit).ok().and_then(|bit| places.get_mut(bit)) {
                *known = at;
            }
        }
        let rules: Vec<(u64, &FilterRule)> =
            layout.entries().map(|(bit, (_, place))| (1 << bit, place.rule)).collect();
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
            places,
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
    fn place(&self, bit: u32) -> u32 {
        let bit = usize::try_from(bit & 63).unwrap_or_default();
        self.places.get(bit).copied().unwrap_or(NOBODY)
    }

    fn memory(&self) -> usize {
        size_of::<Self>()
            + self.addresses.memory()
            + self.protocols.memory()
            + [&self.source_ports, &self.destination_ports]
                .into_iter()
                .flatten()
                .map(PortWords::memory)
                .sum::<usize>()
    }
}
