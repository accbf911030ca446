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
mod ternary;
#[cfg(test)]
mod tests;
mod walk;

use block::Block;
use ternary::Rule;

use super::NO_MATCH;
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

/// Trees over packets of `A` address words, which are `N` words of 64 bits with all else.
#[derive(Debug)]
pub(super) struct Trees<const A: usize, const N: usize> {
    /// The roots, by the first rule below them.
    roots: Vec<Branch>,
    nodes: Vec<Node<N>>,
    branches: Vec<Branch>,
    blocks: Vec<Block<A>>,
    actions: Vec<MatchAction>,
    /// Nodes on the longest way down, of all trees together, and blocks at its end.
    depth: usize,
}

/// What is searched for.
#[derive(Debug, Clone, Copy)]
enum Search<'a> {
    /// The rule that decides.
    Decides,
    /// The first rule that matches at or behind a place, which is one for each packet.
    Matches(&'a [u32]),
}

/// What an accept or reject rule makes of the search.
#[derive(Debug, Clone, Copy)]
enum MatchAction {
    /// It ends here.
    Accepts,
    /// It goes on at the next session, which begins here.
    Rejects(u32),
}

/// A cut: the bits that tell the branches apart, and where these begin.
///
/// What shares a branch is told apart once more by a *mark*, one of 64.
#[derive(Debug, Clone, Copy)]
struct Node<const N: usize> {
    masks: [u64; N],
    /// Other bits that nearly all rules below care about; they make the mark.
    marking: [u64; N],
    first: u32,
    /// How far a hash of 64 bits is moved to be the number of a branch.
    shift: u32,
}

impl<const N: usize> Node<N> {
    /// Which branch a packet with these words takes, and its mark, a bit. Bits that are not asked
    /// about do not matter.
    #[inline(always)]
    fn branch(&self, words: &[u64; N]) -> (usize, u64) {
        let index = usize::try_from(hash(words, &self.masks) >> self.shift).unwrap_or_default();
        (index, 1 << (hash(words, &self.marking) >> 58))
    }
}

/// Of the bits of the masks; its highest bits depend on all of them.
#[inline(always)]
fn hash<const N: usize>(words: &[u64; N], masks: &[u64; N]) -> u64 {
    let parts = words.iter().zip(masks).zip(FACTORS);
    parts.fold(0, |hash, ((word, mask), factor)| {
        (word & mask).wrapping_mul(factor).wrapping_add(hash)
    })
}

/// Odd, and otherwise random.
const FACTORS: [u64; 5] = [
    0x9e37_79b9_7f4a_7c15,
    0xff51_afd7_ed55_8ccd,
    0xc4ce_b9fe_1a85_ec53,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
];

/// A way down.
#[derive(Debug, Clone, Copy)]
struct Branch {
    /// A node, or the first block of a leaf.
    next: ChildRef,
    /// The first rule below; [`NO_MATCH`] where there is none.
    best: u32,
    /// The marks of all packets that may match some rule below.
    marks: u64,
}

/// A node has its highest bit set; else it is a leaf's first block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ChildRef(u32);

impl ChildRef {
    const NODE: u32 = 1 << 31;

    const fn node(index: u32) -> Self {
        Self(index | Self::NODE)
    }

    const fn leaf(first_block: u32) -> Self {
        Self(first_block & !Self::NODE)
    }

    #[inline]
    const fn is_node(self) -> bool {
        self.0 & Self::NODE != 0
    }

    /// The next block of the same leaf.
    #[inline]
    const fn next_block(self) -> Self {
        Self(self.0 + 1)
    }

    #[inline]
    fn index(self) -> usize {
        usize::try_from(self.0 & !Self::NODE).unwrap_or_default()
    }
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

    /// Puts the place of the rule that decides on each key into `answers`, or [`NO_MATCH`].
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [u32]) {
        match self {
            Self::V4(trees) => isa::dispatch(trees, Search::Decides, keys, answers),
            Self::V6(trees) => isa::dispatch(trees, Search::Decides, keys, answers),
        }
    }

    /// Puts the place of the first rule that matches each key, at or behind its place in `from`,
    /// into `answers`, or [`NO_MATCH`].
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

    fn memory(&self) -> usize {
        size_of_val(&*self.nodes)
            + size_of_val(&*self.branches)
            + size_of_val(&*self.blocks)
            + size_of_val(&*self.actions)
    }
}
