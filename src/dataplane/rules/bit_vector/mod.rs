//! Bit vectors (Lakshman and Stiliadis, "High-Speed Policy-based Packet Forwarding Using Efficient
//! Multi-dimensional Range Matching", SIGCOMM 1998), over the rules of all sessions of one
//! interface, direction and address family.
//!
//! A word of 64 bits has one bit for each rule, with the sessions in evaluation order, and a guard
//! bit above the rules of each session:
//!
//! ```text
//! bit  0 1 2 3 4 5 6 7 8 ...
//!      a a a G b b b b G ...     three rules of session a, four of session b
//! ```
//!
//! For each value of a field, a table has a word with the rules that allow this value. The AND of
//! the words of all fields has the rules that match. Subtracting the lowest bit of each session
//! from (matches | guards) clears the lowest match of each session and sets the bits below it; the
//! guard keeps the borrow inside the session. So `matches & !(difference)` has the first match of
//! each session. The lowest of these that accepts is the answer: "the first session with a matching
//! filter is the one that mirrors the packets". Example with the sessions above, if rules 1 and 2
//! of `a` and rule 2 of `b` match:
//!
//! ```text
//! bit                  0 1 2 3 4 5 6 7 8
//! matches              0 1 1 0 0 0 1 0 0
//! | guards             0 1 1 1 0 0 1 0 1
//! - low bits (0, 4)    1 0 1 1 1 1 0 0 1
//! matches & !that      0 1 0 0 0 0 1 0 0     the first match of a and of b
//! & accepts, lowest                          the answer
//! ```
//!
//! Rules that do not fit into one word take several words, which are evaluated in order.
//!
//! If the processor has AVX2 or AVX-512, many packets are evaluated together (`planes`); a few
//! packets are evaluated one by one. Both ways give the same answers.

mod byte_vector;
mod fields;
mod nibbles;
mod planes;
#[cfg(test)]
mod tests;

use super::answer::Answer;
use super::list::{ListedRule, RuleList};
use crate::dataplane::flow_key::FlowKey;
use crate::model::FilterRule;
use byte_vector::ByteVector;
#[cfg(feature = "live")]
pub(in crate::dataplane) use fields::block_byte_range;
use fields::{AddressWords, PortWords, ProtocolWords};
use planes::{LanePairs, Planes, Transposer, WordTables};

/// Rules in words, one bit for each rule.
#[derive(Debug)]
pub(super) struct BitVector {
    words: Vec<RuleWord>,
    transposer: Transposer,
    tables: Vec<WordTables>,
}

/// A rule and its index in the list.
type IndexedRule<'a> = (u32, ListedRule<'a>);

impl BitVector {
    pub(super) fn new(list: &RuleList<'_>, is_ipv4: bool) -> Self {
        let rules: Vec<&FilterRule> = list.rules().iter().map(|place| place.rule).collect();
        let (transposer, nibbles) = Transposer::new(&rules, is_ipv4);
        let is_vectorized = transposer.fits_planes();
        let mut these = Self { words: Vec::new(), transposer, tables: Vec::new() };
        let mut add = |layout: &Layout<'_>| {
            let rules: Vec<(u64, &FilterRule)> =
                layout.entries().map(|(bit, (_, place))| (1 << bit, place.rule)).collect();
            these.words.push(RuleWord::new(layout, &rules));
            if is_vectorized {
                these.tables.push(WordTables::new(&rules, &nibbles));
            }
        };
        let mut layout = Layout::default();
        let mut start = 0;
        for session in list.sessions() {
            let entries: Vec<IndexedRule<'_>> = (start..).zip(session.iter().copied()).collect();
            start += u32::try_from(session.len()).unwrap_or(u32::MAX);
            let mut rest = entries.as_slice();
            let mut continues = false;
            while !rest.is_empty() {
                if layout.room() == 0 {
                    add(&std::mem::take(&mut layout));
                }
                let (now, later) = rest.split_at(rest.len().min(layout.room()));
                layout.add_session(now, continues);
                (rest, continues) = (later, true);
            }
        }
        if !layout.is_empty() {
            add(&layout);
        }
        these
    }

    /// Writes to `answers` the index of the rule that decides on each key, or [`Answer::NONE`].
    #[inline]
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [Answer]) {
        #[cfg(target_arch = "x86_64")]
        if keys.len() >= MIN_VECTORIZED_LEN && self.transposer.fits_planes() {
            if let Some(isa) = pulp::x86::V4::try_new() {
                return isa.vectorize(x86::VectorizedCall { isa, words: self, keys, answers });
            }
            if let Some(isa) = pulp::x86::V3::try_new() {
                return isa.vectorize(x86::VectorizedCall { isa, words: self, keys, answers });
            }
        }
        self.classify_scalar(keys, answers);
    }

    /// Evaluates batches of packets, word after word.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "only processors with AVX2 evaluate many packets together")
    )]
    #[inline(always)]
    fn classify_vectorized<B: ByteVector>(&self, isa: B, keys: &[FlowKey], answers: &mut [Answer]) {
        let mut planes = Planes::new();
        for (keys, answers) in keys.chunks(16 * B::LANES).zip(answers.chunks_mut(16 * B::LANES)) {
            if keys.len() < MIN_VECTORIZED_LEN {
                self.classify_scalar(keys, answers);
                continue;
            }
            self.transposer.transpose(isa, keys, &mut planes);
            if let ([word], [tables]) = (self.words.as_slice(), self.tables.as_slice()) {
                let mut pairs = LanePairs::default();
                for (pair, matches) in pairs.iter_mut().zip(tables.matches(isa, &planes)) {
                    *pair = isa.lanes(isa.first(matches, word.guards, word.low_bits, word.accepts));
                }
                for (answer, accepted) in answers.iter_mut().zip(planes::in_packet_order(&pairs)) {
                    *answer = word.place(accepted.trailing_zeros());
                }
                continue;
            }
            let mut carries = [false; planes::MAX_BATCH_LEN];
            answers.fill(Answer::NONE);
            for (word, tables) in self.words.iter().zip(&self.tables) {
                let mut pairs = LanePairs::default();
                for (pair, matches) in pairs.iter_mut().zip(tables.matches(isa, &planes)) {
                    *pair = isa.lanes(matches);
                }
                word.update_answers(&planes::in_packet_order(&pairs), &mut carries, answers);
            }
        }
    }

    fn classify_scalar(&self, keys: &[FlowKey], answers: &mut [Answer]) {
        if let [word] = self.words.as_slice() {
            for (key, answer) in keys.iter().zip(answers) {
                let accepted = word.first_matches(key, false) & word.accepts;
                *answer = word.place(accepted.trailing_zeros());
            }
            return;
        }
        for (key, answer) in keys.iter().zip(answers) {
            *answer = self.first_accept(key);
        }
    }

    /// Whether any rule matches, accepting or rejecting.
    #[inline]
    pub(super) fn has_match(&self, key: &FlowKey) -> bool {
        self.words.iter().any(|word| word.first_matches(key, false) != 0)
    }

    fn first_accept(&self, key: &FlowKey) -> Answer {
        let mut carry = false;
        for word in &self.words {
            let first = word.first_matches(key, carry);
            let accepted = first & word.accepts;
            if accepted != 0 {
                return word.place(accepted.trailing_zeros());
            }
            carry = word.carries(first, carry);
        }
        Answer::NONE
    }

    /// The largest number of words that one lookup evaluates.
    pub(super) const fn depth(&self) -> usize {
        self.words.len()
    }

    /// Memory in bytes.
    pub(super) fn memory(&self) -> usize {
        let tables = self.tables.iter().map(WordTables::memory);
        self.words.iter().map(RuleWord::memory).chain(tables).sum()
    }
}

/// With fewer packets, the scalar code is as fast.
const MIN_VECTORIZED_LEN: usize = 24;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Answer, BitVector, ByteVector, FlowKey};

    pub(super) struct VectorizedCall<'a, B> {
        pub(super) isa: B,
        pub(super) words: &'a BitVector,
        pub(super) keys: &'a [FlowKey],
        pub(super) answers: &'a mut [Answer],
    }

    impl<B: ByteVector> pulp::NullaryFnOnce for VectorizedCall<'_, B> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            self.words.classify_vectorized(self.isa, self.keys, self.answers);
        }
    }
}

/// The assignment of rules to the bits of a word, while the word is filled.
#[derive(Debug, Default)]
struct Layout<'a> {
    bits: Vec<Option<IndexedRule<'a>>>,
    low_bits: u64,
    guards: u64,
    continues: bool,
}

impl<'a> Layout<'a> {
    /// The number of rules of one more session that fit, with their guard.
    fn room(&self) -> usize {
        63_usize.saturating_sub(self.bits.len())
    }

    const fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }

    fn add_session(&mut self, entries: &[IndexedRule<'a>], continues: bool) {
        self.continues |= continues;
        self.low_bits |= 1 << self.bits.len();
        self.bits.extend(entries.iter().copied().map(Some));
        self.guards |= 1 << self.bits.len();
        self.bits.push(None);
    }

    /// The rules with their bits.
    fn entries(&self) -> impl Iterator<Item = (u32, IndexedRule<'a>)> {
        (0..).zip(&self.bits).filter_map(|(bit, entry)| entry.map(|entry| (bit, entry)))
    }
}

/// A word with up to 63 rules.
#[derive(Debug)]
struct RuleWord {
    addresses: AddressWords,
    protocols: ProtocolWords,
    source_ports: Option<PortWords>,
    destination_ports: Option<PortWords>,
    guards: u64,
    low_bits: u64,
    accepts: u64,
    /// The rules of the first session, if it began in the previous word; else zero.
    continued: u64,
    /// The bits of the last session and all higher bits.
    last_session: u64,
    /// The index in the list of each bit's rule; none after the last rule.
    places: [Answer; 128],
}

impl RuleWord {
    fn new(layout: &Layout<'_>, rules: &[(u64, &FilterRule)]) -> Self {
        let mut places = [Answer::NONE; 128];
        let mut accepts = 0;
        let mut all = 0;
        for (bit, (at, place)) in layout.entries() {
            all |= 1 << bit;
            if place.accepts() {
                accepts |= 1 << bit;
            }
            if let Some(known) = usize::try_from(bit).ok().and_then(|bit| places.get_mut(bit)) {
                *known = Answer::new(at);
            }
        }
        let first_guard = layout.guards & layout.guards.wrapping_neg();
        let highest_low = 1_u64 << (63 - layout.low_bits.leading_zeros().min(63));
        Self {
            addresses: AddressWords::new(all, rules),
            protocols: ProtocolWords::new(rules),
            source_ports: PortWords::new(rules, FilterRule::source_ports),
            destination_ports: PortWords::new(rules, FilterRule::destination_ports),
            guards: layout.guards,
            low_bits: layout.low_bits,
            accepts,
            continued: if layout.continues { first_guard.wrapping_sub(1) } else { 0 },
            last_session: !highest_low.wrapping_sub(1),
            places,
        }
    }

    /// The first match of each session. If `carry` is true, the first session of the word had its
    /// first match in an earlier word.
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
        self.first_of(matches)
    }

    /// The first match of each session, given all matches.
    #[inline(always)]
    const fn first_of(&self, matches: u64) -> u64 {
        matches & !(matches | self.guards).wrapping_sub(self.low_bits)
    }

    /// Sets the answers of packets that have none yet.
    #[inline(always)]
    fn update_answers(&self, matches: &[u64], carries: &mut [bool], answers: &mut [Answer]) {
        for ((answer, matches), carry) in answers.iter_mut().zip(matches).zip(carries) {
            let known = if *carry { self.continued } else { 0 };
            let first = self.first_of(matches & !known);
            let place = self.place((first & self.accepts).trailing_zeros());
            *answer = if *answer == Answer::NONE { place } else { *answer };
            *carry = self.carries(first, *carry);
        }
    }

    /// Whether the last session of this word has had its first match.
    #[inline]
    const fn carries(&self, first: u64, carry: bool) -> bool {
        let only_session = self.continued != 0 && self.last_session == u64::MAX;
        first & self.last_session != 0 || (carry && only_session)
    }

    #[inline]
    fn place(&self, bit: u32) -> Answer {
        let bit = usize::try_from(bit & 127).unwrap_or_default();
        self.places.get(bit).copied().unwrap_or(Answer::NONE)
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
