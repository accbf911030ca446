//! The lookups of one batch of frames: which rule set evaluates which flow key, and the results.
//! This is the general path, for frames that are in no lane (`plain_lanes`).
//!
//! The rules are evaluated for many packets at once, so that the memory accesses of different
//! packets overlap. If each lookup has its own key and all have one rule set, the keys are
//! evaluated without copying; otherwise they are grouped by rule set.

use super::compiled_rules::RuleSetIndex;
use super::flow_cache::FlowCache;
use super::flow_key::FlowKey;
use super::frame::{Frame, LOOKUP_BATCH_LEN};
use super::headers;
use super::interface_lookup::FrameOwner;
use super::rules::Answer;
use super::table::{MirrorTable, Precheck};
use super::verdict::{MirrorOutcome, NotMirrored};

/// A frame at one of its interfaces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lookup {
    state: LookupState,
    /// Index of the frame in the batch.
    frame: u8,
    /// Index of the key in [`LookupBatch::keys`]. Meaningless if the lookup was decided without a
    /// key.
    key: u8,
}

/// What decides on a frame.
#[derive(Debug, Clone, Copy)]
enum LookupState {
    /// A rule set, with its answer once it is evaluated. The index contains the owner.
    Rules { index: RuleSetIndex, answer: Answer },
    /// The outcome is known: its index in [`LookupBatch::decided`]. There is no owner if no
    /// interface owns the frame.
    Decided { outcome: u32, owner: Option<FrameOwner> },
    /// The state of the previous lookup applies, and replaces this one when that is evaluated.
    SameAsPrevious,
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
        match self.state {
            LookupState::Rules { index, .. } => Some(index.owner()),
            LookupState::Decided { owner, .. } => owner,
            LookupState::SameAsPrevious => None,
        }
    }

    /// The rule set that evaluates the frame; `None` if it is decided without rules.
    #[inline(always)]
    const fn rule_set(&self) -> Option<RuleSetIndex> {
        match self.state {
            LookupState::Rules { index, .. } => Some(index),
            LookupState::Decided { .. } | LookupState::SameAsPrevious => None,
        }
    }
}

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
    answers: Vec<Answer>,
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
            answers: vec![Answer::NONE; lookups],
            cache: None,
        }
    }

    /// Allocates memory for frames with more owners, if `max_owners` is higher than before.
    pub(super) fn grow(&mut self, max_owners: usize) {
        let lookups = self.answers.len().max(LOOKUP_BATCH_LEN * max_owners);
        self.answers.resize(lookups, Answer::NONE);
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
            Precheck::Rules(rules) => {
                self.push(index, LookupState::Rules { index: rules, answer: Answer::NONE });
            }
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
        self.push(frame, LookupState::Decided { outcome: place, owner });
    }

    /// Adds a lookup with the outcome of the previous one. Returns false if there is no previous
    /// lookup, or if each segment needs its own decision.
    #[inline]
    pub(super) fn add_same(&mut self, table: &MirrorTable, frame: usize) -> bool {
        let Some(front) = self.lookups.last().copied() else { return false };
        if self.key(&front).is_some_and(|key| table.needs_decision_per_segment(key)) {
            return false;
        }
        let state = match front.state {
            decided @ LookupState::Decided { .. } => decided,
            LookupState::Rules { .. } | LookupState::SameAsPrevious => LookupState::SameAsPrevious,
        };
        self.lookups.push(Lookup { state, frame: narrow(frame), key: front.key });
        true
    }

    #[inline(always)]
    fn push(&mut self, frame: usize, state: LookupState) {
        let key = narrow(self.key_count.saturating_sub(1));
        self.lookups.push(Lookup { state, frame: narrow(frame), key });
    }

    /// Evaluates all lookups.
    #[inline]
    pub(super) fn evaluate(&mut self, table: &MirrorTable) {
        let Some(index) = self.only_rule_set() else {
            return self.evaluate_by_rule_set(table);
        };
        let keys = self.keys.get(..self.key_count).unwrap_or_default();
        classify(&mut self.cache, (table, index), keys, &mut self.answers);
        for (lookup, answer) in self.lookups.iter_mut().zip(&self.answers) {
            lookup.state = LookupState::Rules { index, answer: *answer };
        }
    }

    /// Writes the answers of a rule set for keys that are in no lookup, those of a lane. Uses the
    /// flow cache.
    #[inline]
    pub(super) fn classify(
        &mut self,
        table: &MirrorTable,
        index: RuleSetIndex,
        keys: &[FlowKey],
        answers: &mut [Answer],
    ) {
        classify(&mut self.cache, (table, index), keys, answers);
    }

    /// The rule set that evaluates all lookups, if each has a key of its own: each frame has one
    /// owner, and all have one address family and direction.
    #[inline]
    fn only_rule_set(&self) -> Option<RuleSetIndex> {
        let index = self.lookups.first()?.rule_set()?;
        let is_only = self.lookups.len() == self.key_count
            && self.lookups.iter().all(|lookup| lookup.rule_set() == Some(index));
        is_only.then_some(index)
    }

    fn evaluate_by_rule_set(&mut self, table: &MirrorTable) {
        let mut next = self.lookups.iter().filter_map(Lookup::rule_set).min();
        while let Some(index) = next {
            self.grouped_keys.clear();
            let own = self.lookups.iter().filter(|lookup| lookup.rule_set() == Some(index));
            for lookup in own {
                self.grouped_keys.extend(self.keys.get(usize::from(lookup.key)));
            }
            classify(&mut self.cache, (table, index), &self.grouped_keys, &mut self.answers);
            let mut answers = self.answers.iter();
            // The next rule set is the one with the next higher index.
            next = None;
            for lookup in &mut self.lookups {
                let Some(own) = lookup.rule_set() else { continue };
                if own == index {
                    let answer = answers.next().copied().unwrap_or(Answer::NONE);
                    lookup.state = LookupState::Rules { index, answer };
                } else if own > index && next.is_none_or(|next| own < next) {
                    next = Some(own);
                }
            }
        }
        let mut front = LookupState::SameAsPrevious;
        for lookup in &mut self.lookups {
            if matches!(lookup.state, LookupState::SameAsPrevious) {
                lookup.state = front;
            }
            front = lookup.state;
        }
    }

    /// All lookups.
    #[inline]
    pub(super) fn lookups(&self) -> &[Lookup] {
        &self.lookups
    }

    /// The key of a lookup. If the lookup was decided without a key, it is that of another frame,
    /// or an empty one; such a lookup is never mirrored.
    #[inline(always)]
    pub(super) fn key(&self, lookup: &Lookup) -> Option<&FlowKey> {
        self.keys.get(usize::from(lookup.key))
    }

    /// The outcome of a lookup.
    #[inline(always)]
    pub(super) fn outcome(&self, table: &MirrorTable, lookup: &Lookup) -> MirrorOutcome {
        let outcome = match lookup.state {
            LookupState::Rules { index, answer } => table
                .rule_set(index)
                .and_then(|rules| rules.session_match(answer))
                .map(MirrorOutcome::Mirrored),
            LookupState::Decided { outcome, .. } => {
                usize::try_from(outcome).ok().and_then(|place| self.decided.get(place).copied())
            }
            LookupState::SameAsPrevious => None,
        };
        outcome.unwrap_or(MirrorOutcome::NotMirrored(NotMirrored::NoSessionMatched))
    }
}

/// Writes the answer of a rule set for each key, from the cache if the rule set is slow.
#[inline]
fn classify(
    cache: &mut Option<FlowCache>,
    (table, index): (&MirrorTable, RuleSetIndex),
    keys: &[FlowKey],
    answers: &mut [Answer],
) {
    let Some(set) = table.rule_set(index) else { return };
    match cache {
        Some(cache) if set.is_expensive() => {
            cache.classify(cache_stamp(table, index), set, keys, answers);
        }
        _ => set.classify(keys, answers),
    }
}

/// Identifies a rule set of a table in the flow cache.
#[inline]
fn cache_stamp(table: &MirrorTable, index: RuleSetIndex) -> u64 {
    table.number() << 28 | u64::from(index.number())
}

#[inline(always)]
fn narrow(index: usize) -> u8 {
    // A batch has fewer frames than 256.
    u8::try_from(index).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_has_sixteen_bytes() {
        assert_eq!(size_of::<Lookup>(), 16);
    }
}
