//! A forest of cut trees: rules as bits that are zero, one or wild, for sets of any size.
//!
//! A tree is cut by those bits of the packet that tell its rules best apart, wherever in the
//! addresses, ports and protocol they are; their hash is the number of the branch. A rule that is
//! wild in more than a few of a root's bits would have to stand in many places; it goes to the
//! next tree. A leaf holds a few rules, eight of which are compared at once. Each branch knows the
//! first rule below it, so a tree that cannot better what was found is not entered, and what the
//! rules below it say of further bits, so most packets that match none of them go no further.
//!
//! A burst walks together, level by level, so that the misses of different packets overlap. Where
//! the rule that is found rejects, the packet asks again for rules behind that session.

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

use super::list::RuleList;
use crate::dataplane::flow_key::FlowKey;

/// A forest for either family.
#[derive(Debug)]
pub(super) enum CutForest {
    /// Two address words of 32 bits.
    V4(Trees<2, 2>),
    /// Eight of them.
    V6(Trees<8, 5>),
}

impl CutForest {
    /// The best of some forests.
    pub(super) fn new(list: &RuleList<'_>, is_ipv4: bool) -> Self {
        let tried = build::wildcard_limits(list.len());
        if is_ipv4 { Self::V4(Trees::new(list, tried)) } else { Self::V6(Trees::new(list, tried)) }
    }

    /// The first that is grown.
    pub(super) fn new_fast(list: &RuleList<'_>, is_ipv4: bool) -> Self {
        let tried = build::wildcard_limits(list.len()).get(..1).unwrap_or_default();
        if is_ipv4 { Self::V4(Trees::new(list, tried)) } else { Self::V6(Trees::new(list, tried)) }
    }

    /// Puts the place of the rule that decides on each key into `answers`, or [`NO_MATCH`](super::list::NO_MATCH).
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [u32]) {
        match self {
            Self::V4(trees) => isa::dispatch(trees, Search::Decides, keys, answers),
            Self::V6(trees) => isa::dispatch(trees, Search::Decides, keys, answers),
        }
    }

    /// Puts the place of the first rule that matches each key, at or behind its place in `from`,
    /// into `answers`, or [`NO_MATCH`](super::list::NO_MATCH).
    pub(super) fn first_matches(&self, keys: &[FlowKey], from: &[u32], answers: &mut [u32]) {
        match self {
            Self::V4(trees) => isa::dispatch(trees, Search::Matches(from), keys, answers),
            Self::V6(trees) => isa::dispatch(trees, Search::Matches(from), keys, answers),
        }
    }

    /// The longest way through all trees: nodes and blocks.
    pub(super) const fn depth(&self) -> usize {
        match self {
            Self::V4(trees) => trees.depth,
            Self::V6(trees) => trees.depth,
        }
    }

    /// In bytes.
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
        // The one that is least work; the smaller one where that is the same.
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
