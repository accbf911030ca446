//! A forest of decision trees, for any number of rules. Each rule is a string of bits that are
//! zero, one or wildcard.
//!
//! A node of a tree (a *cut*) selects some bits of the packet, anywhere in the addresses, ports and
//! protocol, that best separate its rules. The hash of these bits is the number of the branch. A
//! rule with a wildcard in a selected bit must be copied to the branches of both values; therefore
//! a rule with wildcards in more than a few of a root's bits goes to the next tree. A leaf has a
//! few rules, and eight rules are compared at once.
//!
//! Example: the rules 1: `00*`, 2: `01*`, 3: `*11` over three bits, with branches named by their
//! bits instead of a hash. A root that selects the first two bits puts rule 1 in branch 00 and rule
//! 2 in branch 01. Rule 3 is copied to the branches 01 and 11, or goes to a second tree that
//! selects the last two bits. The packet `011` reaches branch 01, which has the rules 2 and 3; rule
//! 2 is first.
//!
//! Two values in each branch save work. `best` is the first rule below the branch: if an earlier
//! rule was already found, the branch is skipped. `marks` summarises further bits of the rules
//! below: most packets that match none of them stop there.
//!
//! A batch of packets descends together, level by level, so that the cache misses of different
//! packets overlap. If the rule that is found rejects, the search starts again after the rules of
//! that session.

mod bit_counters;
mod bits;
mod block;
mod build;
mod cost;
mod isa;
mod terms;
mod ternary;
#[cfg(test)]
mod tests;
mod trees;
mod walk;

use ternary::Rule;
use trees::{MatchAction, Search, Trees};

use super::answer::Answer;
use super::list::RuleList;
use crate::dataplane::flow_key::FlowKey;

/// A forest for one address family.
#[derive(Debug)]
pub(super) enum CutForest {
    /// IPv4: two address words of 32 bits.
    V4(Trees<2, 2>),
    /// IPv6: eight address words of 32 bits.
    V6(Trees<8, 5>),
}

impl CutForest {
    /// Builds several forests and keeps the fastest.
    pub(super) fn new(list: &RuleList<'_>, is_ipv4: bool) -> Self {
        let tried = build::wildcard_limits(list.len());
        if is_ipv4 { Self::V4(Trees::new(list, tried)) } else { Self::V6(Trees::new(list, tried)) }
    }

    /// Builds one forest, which takes less time.
    pub(super) fn new_fast(list: &RuleList<'_>, is_ipv4: bool) -> Self {
        let tried = build::wildcard_limits(list.len()).get(..1).unwrap_or_default();
        if is_ipv4 { Self::V4(Trees::new(list, tried)) } else { Self::V6(Trees::new(list, tried)) }
    }

    /// Writes to `answers` the index of the rule that decides on each key, or [`Answer::NONE`].
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [Answer]) {
        match self {
            Self::V4(trees) => isa::dispatch(trees, Search::Decides, keys, answers),
            Self::V6(trees) => isa::dispatch(trees, Search::Decides, keys, answers),
        }
    }

    /// Writes to `answers` the index of the first rule that matches each key, at or after its index
    /// in `from`, or [`Answer::NONE`].
    pub(super) fn first_matches(&self, keys: &[FlowKey], from: &[u32], answers: &mut [Answer]) {
        match self {
            Self::V4(trees) => isa::dispatch(trees, Search::Matches(from), keys, answers),
            Self::V6(trees) => isa::dispatch(trees, Search::Matches(from), keys, answers),
        }
    }

    /// The largest number of nodes and blocks that one lookup reads.
    pub(super) const fn depth(&self) -> usize {
        match self {
            Self::V4(trees) => trees.depth,
            Self::V6(trees) => trees.depth,
        }
    }

    /// Memory in bytes.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::V4(trees) => trees.memory(),
            Self::V6(trees) => trees.memory(),
        }
    }
}

impl<const A: usize, const N: usize> Trees<A, N> {
    fn new(list: &RuleList<'_>, tried: &[u32]) -> Self {
        let rules: Vec<Rule<A>> =
            (0..).zip(list.rules()).map(|(at, place)| Rule::new(place.rule, at)).collect();
        let actions: Vec<MatchAction> = list
            .rules()
            .iter()
            .map(|place| match place.accepts() {
                true => MatchAction::Accepts,
                false => MatchAction::Rejects(place.session_end),
            })
            .collect();
        let grown = tried.iter().map(|max_wildcard_bits| {
            let mut trees = Self {
                roots: vec![],
                nodes: vec![],
                branches: vec![],
                blocks: vec![],
                actions: actions.clone(),
                depth: 0,
            };
            trees.build(&rules, *max_wildcard_bits);
            trees
        });
        // The forest with the lowest cost; of equal forests the smaller one.
        let best = grown.min_by_key(|trees| (trees.cost(&rules), trees.memory()));
        best.unwrap_or(Self {
            roots: vec![],
            nodes: vec![],
            branches: vec![],
            blocks: vec![],
            actions,
            depth: 0,
        })
    }
}
