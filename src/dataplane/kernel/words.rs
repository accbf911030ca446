//! The assignment of rules to bits of 64-bit words.
//!
//! Groups that are small share a word: as in `rules::bit_vector`, a guard bit is above the bits of
//! each group, and one subtraction finds the first match of every group. A group with more than 64
//! rules has words of its own, without guards: the lowest bit of its first word that is not zero is
//! its first match.
//!
//! Words are evaluated in *runs* of at most seven, because a program has registers for seven words.
//! A group is never divided between a run and the next, unless it is longer than a run: after a
//! match that rejects, evaluation continues at the end of the group, with a word of the same run or
//! with the next run.

use super::outcome::KernelOutcome;
use super::rule_fields::{Group, GroupRule, RuleFields};

/// The number of bits of a word.
const BITS: usize = 64;

/// The number of words in a run.
pub(super) const RUN_LEN: usize = 7;

/// Multiplied by a power of two, this de Bruijn sequence gives six upper bits that are different
/// for each power.
pub(super) const DE_BRUIJN: u64 = 0x03f7_9d71_b4cb_0a89;

/// A word of rules.
#[derive(Debug, Default)]
pub(super) struct Word {
    /// The rules with their bits.
    pub(super) rules: Vec<(u64, RuleFields)>,
    /// The bits of the rules that accept.
    pub(super) accepts: u64,
    /// The bit after each group, unless the group has all 64 bits.
    pub(super) guards: u64,
    /// The lowest bit of each group.
    pub(super) lows: u64,
    /// The outcomes of accepting rules, by [`slot`].
    pub(super) outcomes: Vec<(usize, KernelOutcome)>,
    /// The index of the word after the last group of this word.
    pub(super) group_end: usize,
    /// Whether the word begins a run.
    pub(super) begins_run: bool,
    /// The number of bits in use, with the guards.
    len: usize,
}

/// The words of all groups, in evaluation order.
pub(super) fn words(groups: &[Group]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut run_len = RUN_LEN;
    for group in groups {
        if let Some(word) = words.last_mut().filter(|word| word.len + group.len() < BITS) {
            word.add_group(group);
            continue;
        }
        let parts = group.chunks(BITS);
        let (count, end) = (parts.len(), words.len() + parts.len());
        if run_len + count > RUN_LEN {
            run_len = 0;
        }
        for part in parts {
            let begins_run = run_len.is_multiple_of(RUN_LEN);
            let mut word = Word { begins_run, group_end: end, ..Word::default() };
            word.add_group(part);
            if count > 1 {
                word.len = BITS;
            }
            words.push(word);
            run_len += 1;
        }
    }
    words
}

/// A number from 0 to 63 that is different for each bit of a word.
pub(super) fn slot(bit: u64) -> usize {
    usize::try_from(bit.wrapping_mul(DE_BRUIJN) >> 58).unwrap_or_default()
}

impl Word {
    /// The bits of all rules.
    pub(super) fn all(&self) -> u64 {
        self.rules.iter().fold(0, |all, (bit, _)| all | bit)
    }

    /// Whether some rules reject.
    pub(super) fn has_rejects(&self) -> bool {
        self.all() != self.accepts
    }

    /// Whether the word has more than one group.
    pub(super) const fn has_groups(&self) -> bool {
        self.lows.count_ones() > 1
    }

    /// Adds a group, which must fit.
    fn add_group(&mut self, group: &[GroupRule]) {
        self.lows |= bit(self.len);
        for rule in group {
            let bit = bit(self.len);
            self.rules.push((bit, rule.fields));
            if let Some(outcome) = rule.outcome {
                self.accepts |= bit;
                self.outcomes.push((slot(bit), outcome));
            }
            self.len += 1;
        }
        self.guards |= bit(self.len);
        self.len += 1;
    }
}

/// The bit at this place; zero if a word has no such bit.
fn bit(place: usize) -> u64 {
    u32::try_from(place).ok().and_then(|place| 1_u64.checked_shl(place)).unwrap_or_default()
}
