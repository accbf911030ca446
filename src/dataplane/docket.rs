//! A part of a burst on its way through the rules: who asks which, and what is answered.
//!
//! Rules are asked for many packets at once: their look-ups then do not wait for each other.

use super::flow_key::FlowKey;
use super::membership::Owner;
use super::table::{MirrorTable, Question};
use super::verdict::{NotMirrored, Outcome};

/// How many frames are decided together. Enough to hide the memory's delay, few enough for all
/// that is noted of them to stay in the first-level cache.
pub(super) const PART_LEN: usize = 64;

/// A frame at one of its interfaces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    /// Index of the frame in its part of the burst.
    pub(super) frame: usize,
    pub(super) owner: Owner,
    /// Index of its key.
    key: usize,
    /// The rules to be asked, [`NONE`] where there is nothing to ask, or [`SAME`].
    rules: u32,
    /// The end; of no meaning until the rules were asked.
    pub(super) outcome: Outcome,
}

/// In place of rules: it is decided already.
const NONE: u32 = u32::MAX;

/// In place of rules: what is decided of the case in front holds for this one.
const SAME: u32 = u32::MAX - 1;

/// Cases, and what is needed to decide them.
#[derive(Debug, Default)]
pub(super) struct Docket {
    keys: Vec<FlowKey>,
    cases: Vec<Case>,
    /// The keys that go to one set of rules, and what it answers.
    asked: Vec<FlowKey>,
    answers: Vec<u32>,
}

impl Docket {
    /// Room for a part of a burst, of whose frames each has so many owners at the most.
    pub(super) fn new(most_owners: usize) -> Self {
        let cases = PART_LEN * most_owners;
        Self {
            keys: Vec::with_capacity(PART_LEN),
            cases: Vec::with_capacity(cases),
            asked: Vec::with_capacity(cases),
            answers: vec![0; cases],
        }
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.cases.clear();
    }

    /// Notes a key for the cases that follow.
    #[inline(always)]
    pub(super) fn note(&mut self, key: FlowKey) {
        self.keys.push(key);
    }

    /// A case about the key that was noted last.
    #[inline(always)]
    pub(super) fn file(&mut self, table: &MirrorTable, frame: usize, owner: Owner) {
        let Some(key) = self.keys.last() else { return };
        let (rules, outcome) = match table.question(owner.0, owner.1, key) {
            Question::Rules(rules) => (rules, Outcome::NotMirrored(NotMirrored::NoSessionMatched)),
            Question::Settled(outcome) => (NONE, outcome),
        };
        self.cases.push(Case { frame, owner, key: self.keys.len() - 1, rules, outcome });
    }

    /// A case about the key that was noted last, which is decided.
    #[inline]
    pub(super) fn file_decided(&mut self, frame: usize, owner: Owner, outcome: Outcome) {
        let key = self.keys.len().saturating_sub(1);
        self.cases.push(Case { frame, owner, key, rules: NONE, outcome });
    }

    /// A case of which the same is true as of the one in front; false where there is none.
    #[inline]
    pub(super) fn file_same(&mut self, frame: usize) -> bool {
        let Some(front) = self.cases.last().copied() else { return false };
        self.cases.push(Case { frame, rules: SAME, ..front });
        true
    }

    /// Asks the rules.
    #[inline]
    pub(super) fn decide(&mut self, table: &MirrorTable) {
        let Some(rules) = self.next_rules() else { return };
        let is_plain = self.cases.len() == self.keys.len()
            && self.cases.iter().all(|case| case.rules == rules);
        if is_plain {
            // Most often: every frame has one owner, and all are of one family and direction.
            let Some(set) = table.rule_set(rules) else { return };
            set.classify(&self.keys, &mut self.answers);
            for (case, answer) in self.cases.iter_mut().zip(&self.answers) {
                case.outcome = outcome(set.taken(*answer));
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
                self.asked.extend(self.keys.get(case.key));
            }
            let Some(set) = table.rule_set(rules) else { return };
            set.classify(&self.asked, &mut self.answers);
            let cases = self.cases.iter_mut().filter(|case| case.rules == rules);
            for (case, answer) in cases.zip(&self.answers) {
                case.outcome = outcome(set.taken(*answer));
                case.rules = NONE;
            }
            next = self.next_rules();
        }
        let mut front = None;
        for case in &mut self.cases {
            if let (SAME, Some(same)) = (case.rules, front) {
                case.outcome = same;
            }
            front = Some(case.outcome);
        }
    }

    /// The rules of the first case that still has some to ask.
    fn next_rules(&self) -> Option<u32> {
        self.cases.iter().map(|case| case.rules).find(|rules| *rules < SAME)
    }

    /// All cases with their keys; a case that was not asked may have none.
    #[inline]
    pub(super) fn cases(&self) -> impl Iterator<Item = (&Case, Option<&FlowKey>)> {
        self.cases.iter().map(|case| (case, self.keys.get(case.key)))
    }

    /// The key and the end of the last case.
    pub(super) fn last(&self) -> Option<(FlowKey, Outcome)> {
        let case = self.cases.last()?;
        Some((self.keys.get(case.key).copied()?, case.outcome))
    }
}

#[inline(always)]
fn outcome(taken: Option<super::Taken>) -> Outcome {
    taken.map_or(Outcome::NotMirrored(NotMirrored::NoSessionMatched), Outcome::Mirrored)
}
