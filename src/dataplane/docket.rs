//! A part of a burst on its way through the rules: who asks which, and what is answered.
//!
//! Rules are asked for many packets at once: their look-ups then do not wait for each other.

use super::flow_cache::FlowCache;
use super::flow_key::FlowKey;
use super::frame::Frame;
use super::headers;
use super::membership::Owner;
use super::rules::RuleSet;
use super::table::{MirrorTable, Question};
use super::verdict::{NotMirrored, Outcome};
use crate::model::Direction;

/// How many frames are decided together. Enough to hide the memory's delay, few enough for all
/// that is noted of them to stay in the first-level cache.
pub(super) const PART_LEN: usize = 64;

/// A frame at one of its interfaces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    /// The rules to be asked, [`DECIDED`] or [`SAME`].
    rules: u32,
    /// What the rules answered; of what was decided without them, its place in that list.
    answer: u32,
    interface: u32,
    direction: Direction,
    /// Index of the frame in its part of the burst.
    frame: u8,
    /// Index of its key.
    key: u8,
}

impl Case {
    /// Index of the frame in its part of the burst.
    #[inline(always)]
    pub(super) fn frame(&self) -> usize {
        usize::from(self.frame)
    }

    #[inline(always)]
    pub(super) const fn owner(&self) -> Owner {
        (self.interface, self.direction)
    }
}

/// In place of rules: it is decided already.
const DECIDED: u32 = u32::MAX;

/// In place of rules: what is decided of the case in front holds for this one.
const SAME: u32 = u32::MAX - 1;

/// Cases, and what is needed to decide them.
#[derive(Debug, Default)]
pub(super) struct Docket {
    /// Places for keys, of which the first so many are noted.
    keys: Vec<FlowKey>,
    noted: usize,
    cases: Vec<Case>,
    /// What was decided without asking rules.
    decided: Vec<Outcome>,
    /// The keys that go to one set of rules, and what it answers.
    asked: Vec<FlowKey>,
    answers: Vec<u32>,
    /// Where some rules are dear.
    cache: Option<FlowCache>,
}

impl Docket {
    /// Room for a part of a burst, of whose frames each has so many owners at the most.
    pub(super) fn new(most_owners: usize) -> Self {
        let cases = PART_LEN * most_owners;
        Self {
            keys: vec![FlowKey::EMPTY; PART_LEN],
            noted: 0,
            cases: Vec::with_capacity(cases),
            decided: Vec::with_capacity(cases),
            asked: Vec::with_capacity(cases),
            answers: vec![0; cases],
            cache: None,
        }
    }

    /// Keeps answers where the table has rules that are worth it.
    pub(super) fn prepare(&mut self, table: &MirrorTable) {
        if table.is_dear() {
            self.cache.get_or_insert_with(FlowCache::new);
        } else {
            self.cache = None;
        }
    }

    pub(super) fn clear(&mut self) {
        self.noted = 0;
        self.cases.clear();
        self.decided.clear();
    }

    /// Notes the key of a frame for the cases that follow.
    #[inline(always)]
    pub(super) fn note(&mut self, frame: &[u8]) -> Result<&FlowKey, NotMirrored> {
        let Some(key) = self.keys.get_mut(self.noted) else { return Err(NotMirrored::Unparsable) };
        headers::read(key, frame)?;
        self.noted += 1;
        Ok(key)
    }

    /// Notes a key that is known.
    pub(super) fn note_known(&mut self, known: FlowKey) {
        if let Some(key) = self.keys.get_mut(self.noted) {
            *key = known;
            self.noted += 1;
        }
    }

    /// A case about the key that was noted last, which is that of the frame.
    #[inline(always)]
    pub(super) fn file(
        &mut self,
        table: &MirrorTable,
        (index, frame): (usize, &Frame<'_>),
        owner: Owner,
    ) {
        let Some(key) = self.keys.get(self.noted.wrapping_sub(1)) else { return };
        match table.question(owner, key, frame) {
            Question::Rules(rules) => self.push(index, owner, rules, 0),
            Question::Settled(outcome) => self.file_decided(index, owner, outcome),
        }
    }

    /// A case about the key that was noted last, if it needs one, which is decided.
    #[inline]
    pub(super) fn file_decided(&mut self, frame: usize, owner: Owner, outcome: Outcome) {
        let place = u32::try_from(self.decided.len()).unwrap_or(u32::MAX);
        self.decided.push(outcome);
        self.push(frame, owner, DECIDED, place);
    }

    /// A case of which the same is true as of the one in front; false where there is none, or
    /// where each segment is decided.
    #[inline]
    pub(super) fn file_same(&mut self, table: &MirrorTable, frame: usize) -> bool {
        let Some(front) = self.cases.last().copied() else { return false };
        if self.key(&front).is_some_and(|key| table.decides_each_segment(key)) {
            return false;
        }
        let rules = if front.rules == DECIDED { DECIDED } else { SAME };
        self.cases.push(Case { frame: narrow(frame), rules, ..front });
        true
    }

    #[inline(always)]
    fn push(&mut self, frame: usize, (interface, direction): Owner, rules: u32, answer: u32) {
        let key = narrow(self.noted.saturating_sub(1));
        self.cases.push(Case { rules, answer, interface, direction, frame: narrow(frame), key });
    }

    /// Asks the rules.
    #[inline]
    pub(super) fn decide(&mut self, table: &MirrorTable) {
        let Some(rules) = self.next_rules() else { return };
        let is_plain =
            self.cases.len() == self.noted && self.cases.iter().all(|case| case.rules == rules);
        if is_plain {
            // Most often: every frame has one owner, and all are of one family and direction.
            let Some(set) = table.rule_set(rules) else { return };
            let keys = self.keys.get(..self.noted).unwrap_or_default();
            match &mut self.cache {
                Some(cache) if set.is_dear() => {
                    cache.classify(stamp(table, rules), set, keys, &mut self.answers);
                }
                _ => set.classify(keys, &mut self.answers),
            }
            for (case, answer) in self.cases.iter_mut().zip(&self.answers) {
                case.answer = *answer;
            }
            return;
        }
        self.decide_by_set(table, rules);
    }

    fn decide_by_set(&mut self, table: &MirrorTable, first: u32) {
        let mut next = Some(first);
        while let Some(rules) = next {
            self.asked.clear();
            for case in self.cases.iter().filter(|case| case.rules == rules) {
                self.asked.extend(self.keys.get(usize::from(case.key)));
            }
            let Some(set) = table.rule_set(rules) else { return };
            match &mut self.cache {
                Some(cache) if set.is_dear() => {
                    cache.classify(stamp(table, rules), set, &self.asked, &mut self.answers);
                }
                _ => set.classify(&self.asked, &mut self.answers),
            }
            let mut answers = self.answers.iter();
            // The next rules are those of the first case that has others, behind these.
            next = None;
            for case in &mut self.cases {
                if case.rules == rules {
                    case.answer = answers.next().copied().unwrap_or(RuleSet::NOBODY);
                } else if case.rules > rules && case.rules < next.unwrap_or(SAME) {
                    next = Some(case.rules);
                }
            }
        }
        let mut front = (DECIDED, 0);
        for case in &mut self.cases {
            if case.rules == SAME {
                (case.rules, case.answer) = front;
            }
            front = (case.rules, case.answer);
        }
    }

    /// The lowest number of rules that are to be asked.
    fn next_rules(&self) -> Option<u32> {
        self.cases.iter().map(|case| case.rules).min().filter(|rules| *rules < SAME)
    }

    /// All cases.
    #[inline]
    pub(super) fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// The key of a case; one that was decided without may have none.
    #[inline(always)]
    pub(super) fn key(&self, case: &Case) -> Option<&FlowKey> {
        self.keys.get(usize::from(case.key))
    }

    /// How a case ended.
    #[inline(always)]
    pub(super) fn outcome(&self, table: &MirrorTable, case: &Case) -> Outcome {
        if case.rules == DECIDED {
            let place = usize::try_from(case.answer).unwrap_or(usize::MAX);
            let decided = self.decided.get(place).copied();
            return decided.unwrap_or(Outcome::NotMirrored(NotMirrored::NoSessionMatched));
        }
        let taken = table.rule_set(case.rules).and_then(|rules| rules.taken(case.answer));
        taken.map_or(Outcome::NotMirrored(NotMirrored::NoSessionMatched), Outcome::Mirrored)
    }
}

/// Which rules of which table.
#[inline]
fn stamp(table: &MirrorTable, rules: u32) -> u64 {
    table.number() << 28 | u64::from(rules)
}

#[inline(always)]
fn narrow(index: usize) -> u8 {
    // A part of a burst has fewer frames.
    u8::try_from(index).unwrap_or(u8::MAX)
}
