//! The lookups of one batch of frames: which rule set evaluates which flow key, and the results.
//!
//! The rules are evaluated for many packets at once, so that the memory accesses of different
//! packets overlap. The usual batch has one lookup for each frame and one rule set, and is
//! evaluated without copying the keys; otherwise the keys are grouped by rule set.

use super::flow_cache::FlowCache;
use super::flow_key::FlowKey;
use super::frame::{Frame, LOOKUP_BATCH_LEN};
use super::headers;
use super::interface_lookup::FrameOwner;
use super::rules::RuleSet;
use super::table::{MirrorTable, Precheck};
use super::verdict::{MirrorOutcome, NotMirrored};
use crate::model::Direction;

/// A frame at one of its interfaces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lookup {
    /// The number of the rule set, [`DECIDED`] or [`SAME_AS_PREVIOUS`].
    rules: u32,
    /// The answer of the rule set; if [`DECIDED`], the index in [`LookupBatch::decided`].
    answer: u32,
    /// Index of the interface; meaningless without a direction.
    interface: u32,
    /// `None` if no interface owns the frame.
    direction: Option<Direction>,
    /// Index of the frame in the batch.
    frame: u8,
    /// Index of the key.
    key: u8,
}

impl Lookup {
    /// Index of the frame in the batch.
    #[inline(always)]
    pub(super) fn frame(&self) -> usize {
        usize::from(self.frame)
    }

    /// The interface that owns the frame, if any, and the direction there.
    #[inline(always)]
    pub(super) fn owner(&self) -> Option<FrameOwner> {
        let interface = self.interface;
        self.direction.map(|direction| FrameOwner { interface, direction })
    }
}

/// Value of `rules`: the outcome is already known.
const DECIDED: u32 = u32::MAX;

/// Value of `rules`: the outcome of the previous lookup applies.
const SAME_AS_PREVIOUS: u32 = u32::MAX - 1;

/// Lookups with their keys and results.
#[derive(Debug, Default)]
pub(super) struct LookupBatch {
    /// The keys, of which the first `key_count` are in use.
    keys: Vec<FlowKey>,
    key_count: usize,
    lookups: Vec<Lookup>,
    /// The outcomes that are known without rules.
    decided: Vec<MirrorOutcome>,
    /// The keys of one rule set, and its answers.
    grouped_keys: Vec<FlowKey>,
    answers: Vec<u32>,
    /// Present if some rule sets are slow.
    cache: Option<FlowCache>,
}

impl LookupBatch {
    /// Allocates memory for a batch in which each frame has at most `max_owners` owners.
    pub(super) fn new(max_owners: usize) -> Self {
        let lookups = LOOKUP_BATCH_LEN * max_owners;
        Self {
            keys: vec![FlowKey::EMPTY; LOOKUP_BATCH_LEN],
            key_count: 0,
            lookups: Vec::with_capacity(lookups),
            decided: Vec::with_capacity(lookups),
            grouped_keys: Vec::with_capacity(lookups),
            answers: vec![0; lookups],
            cache: None,
        }
    }

    /// Creates the flow cache if the table has slow rule sets, and removes it otherwise.
    pub(super) fn prepare(&mut self, table: &MirrorTable) {
        if table.is_expensive() {
            self.cache.get_or_insert_with(FlowCache::new);
        } else {
            self.cache = None;
        }
    }

    pub(super) fn clear(&mut self) {
        self.key_count = 0;
        self.lookups.clear();
        self.decided.clear();
    }

    /// Parses the key of a frame and adds it for the following lookups.
    #[inline(always)]
    pub(super) fn add_key(&mut self, frame: &[u8]) -> Result<&FlowKey, NotMirrored> {
        let Some(key) = self.keys.get_mut(self.key_count) else {
            return Err(NotMirrored::Unparsable);
        };
        headers::parse(key, frame)?;
        self.key_count += 1;
        Ok(key)
    }

    /// Adds a known key.
    pub(super) fn add_known_key(&mut self, known: FlowKey) {
        if let Some(key) = self.keys.get_mut(self.key_count) {
            *key = known;
            self.key_count += 1;
        }
    }

    /// Adds a lookup of the last key, which must be the key of `frame`.
    #[inline(always)]
    pub(super) fn add(
        &mut self,
        table: &MirrorTable,
        (index, frame): (usize, &Frame<'_>),
        owner: FrameOwner,
    ) {
        let Some(key) = self.keys.get(self.key_count.wrapping_sub(1)) else { return };
        match table.precheck(owner, key, frame) {
            Precheck::Rules(rules) => self.push(index, Some(owner), rules, 0),
            Precheck::Decided(outcome) => self.add_decided(index, Some(owner), outcome),
        }
    }

    /// Adds a lookup with a known outcome. If it is mirrored, the last key must be that of the
    /// frame.
    #[inline]
    pub(super) fn add_decided(
        &mut self,
        frame: usize,
        owner: Option<FrameOwner>,
        outcome: MirrorOutcome,
    ) {
        let place = u32::try_from(self.decided.len()).unwrap_or(u32::MAX);
        self.decided.push(outcome);
        self.push(frame, owner, DECIDED, place);
    }

    /// Adds a lookup with the outcome of the previous one. Returns false if there is no previous
    /// lookup, or if each segment needs its own decision.
    #[inline]
    pub(super) fn add_same(&mut self, table: &MirrorTable, frame: usize) -> bool {
        let Some(front) = self.lookups.last().copied() else { return false };
        if self.key(&front).is_some_and(|key| table.needs_decision_per_segment(key)) {
            return false;
        }
        let rules = if front.rules == DECIDED { DECIDED } else { SAME_AS_PREVIOUS };
        self.lookups.push(Lookup { frame: narrow(frame), rules, ..front });
        true
    }

    #[inline(always)]
    fn push(&mut self, frame: usize, owner: Option<FrameOwner>, rules: u32, answer: u32) {
        let key = narrow(self.key_count.saturating_sub(1));
        self.lookups.push(Lookup {
            rules,
            answer,
            interface: owner.map_or(0, |owner| owner.interface),
            direction: owner.map(|owner| owner.direction),
            frame: narrow(frame),
            key,
        });
    }

    /// Evaluates all lookups.
    #[inline]
    pub(super) fn evaluate(&mut self, table: &MirrorTable) {
        let Some(rules) = self.next_rules() else { return };
        let is_plain = self.lookups.len() == self.key_count
            && self.lookups.iter().all(|lookup| lookup.rules == rules);
        if is_plain {
            // The usual case: each frame has one owner, and all have one address family and
            // direction.
            let keys = self.keys.get(..self.key_count).unwrap_or_default();
            classify(&mut self.cache, (table, rules), keys, &mut self.answers);
            for (lookup, answer) in self.lookups.iter_mut().zip(&self.answers) {
                lookup.answer = *answer;
            }
            return;
        }
        self.evaluate_by_rule_set(table, rules);
    }

    /// Writes the answers of a rule set for keys that are in no lookup.
    #[inline]
    pub(super) fn classify(
        &mut self,
        table: &MirrorTable,
        rules: u32,
        keys: &[FlowKey],
        answers: &mut [u32],
    ) {
        classify(&mut self.cache, (table, rules), keys, answers);
    }

    fn evaluate_by_rule_set(&mut self, table: &MirrorTable, first: u32) {
        let mut next = Some(first);
        while let Some(rules) = next {
            self.grouped_keys.clear();
            for lookup in self.lookups.iter().filter(|lookup| lookup.rules == rules) {
                self.grouped_keys.extend(self.keys.get(usize::from(lookup.key)));
            }
            classify(&mut self.cache, (table, rules), &self.grouped_keys, &mut self.answers);
            let mut answers = self.answers.iter();
            // The next rule set is the one with the next higher number.
            next = None;
            for lookup in &mut self.lookups {
                if lookup.rules == rules {
                    lookup.answer = answers.next().copied().unwrap_or(RuleSet::NO_MATCH);
                } else if lookup.rules > rules && lookup.rules < next.unwrap_or(SAME_AS_PREVIOUS) {
                    next = Some(lookup.rules);
                }
            }
        }
        let mut front = (DECIDED, 0);
        for lookup in &mut self.lookups {
            if lookup.rules == SAME_AS_PREVIOUS {
                (lookup.rules, lookup.answer) = front;
            }
            front = (lookup.rules, lookup.answer);
        }
    }

    /// The lowest number of a rule set that a lookup needs.
    fn next_rules(&self) -> Option<u32> {
        self.lookups
            .iter()
            .map(|lookup| lookup.rules)
            .min()
            .filter(|rules| *rules < SAME_AS_PREVIOUS)
    }

    /// All lookups.
    #[inline]
    pub(super) fn lookups(&self) -> &[Lookup] {
        &self.lookups
    }

    /// The key of a lookup; `None` if it was decided without a key.
    #[inline(always)]
    pub(super) fn key(&self, lookup: &Lookup) -> Option<&FlowKey> {
        self.keys.get(usize::from(lookup.key))
    }

    /// The outcome of a lookup.
    #[inline(always)]
    pub(super) fn outcome(&self, table: &MirrorTable, lookup: &Lookup) -> MirrorOutcome {
        if lookup.rules == DECIDED {
            let place = usize::try_from(lookup.answer).unwrap_or(usize::MAX);
            let decided = self.decided.get(place).copied();
            return decided.unwrap_or(MirrorOutcome::NotMirrored(NotMirrored::NoSessionMatched));
        }
        let matched =
            table.rule_set(lookup.rules).and_then(|rules| rules.session_match(lookup.answer));
        matched.map_or(
            MirrorOutcome::NotMirrored(NotMirrored::NoSessionMatched),
            MirrorOutcome::Mirrored,
        )
    }
}

/// Writes the answer of a rule set for each key, from the cache if the rule set is slow.
#[inline]
fn classify(
    cache: &mut Option<FlowCache>,
    (table, rules): (&MirrorTable, u32),
    keys: &[FlowKey],
    answers: &mut [u32],
) {
    let Some(set) = table.rule_set(rules) else { return };
    match cache {
        Some(cache) if set.is_expensive() => {
            cache.classify(cache_stamp(table, rules), set, keys, answers);
        }
        _ => set.classify(keys, answers),
    }
}

/// Identifies a rule set of a table in the flow cache.
#[inline]
fn cache_stamp(table: &MirrorTable, rules: u32) -> u64 {
    table.number() << 28 | u64::from(rules)
}

#[inline(always)]
fn narrow(index: usize) -> u8 {
    // A batch has fewer frames than 256.
    u8::try_from(index).unwrap_or(u8::MAX)
}
