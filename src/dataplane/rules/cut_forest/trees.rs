//! The parts of a forest: trees, nodes and branches, and the searches in them.

use super::block::Block;

/// The number of packets that are searched together.
pub(super) const BATCH_LEN: usize = 64;

/// Trees for packets with `A` address words of 32 bits, which are `N` words of 64 bits together
/// with ports and protocol.
#[derive(Debug)]
pub(in crate::dataplane::rules) struct Trees<const A: usize, const N: usize> {
    /// The roots, sorted by the first rule below them.
    pub(super) roots: Vec<Branch>,
    pub(super) nodes: Vec<Node<N>>,
    pub(super) branches: Vec<Branch>,
    pub(super) blocks: Vec<Block<A>>,
    pub(super) actions: Vec<MatchAction>,
    /// Nodes and blocks on the longest paths of all trees.
    pub(super) depth: usize,
}

/// The kind of a search.
#[derive(Debug, Clone, Copy)]
pub(super) enum Search<'a> {
    /// Search the rule that decides.
    Decides,
    /// Search the first rule that matches at or after an index, which is given for each packet.
    Matches(&'a [u32]),
}

/// The effect of a rule on the search.
#[derive(Debug, Clone, Copy)]
pub(super) enum MatchAction {
    /// The rule accepts: the search ends.
    Accepts,
    /// The rule rejects: the search continues at the next session, whose rules begin at this index.
    Rejects(u32),
}

/// A cut: the bits that select a branch, and the index of the first branch.
///
/// Packets in one branch are distinguished further by a *mark*, one of 64.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<const N: usize> {
    pub(super) masks: [u64; N],
    /// Other bits without wildcard in nearly all rules below; their hash is the mark.
    pub(super) marking: [u64; N],
    pub(super) first: u32,
    /// The right shift that makes the number of a branch from a 64-bit hash.
    pub(super) shift: u32,
}

impl<const N: usize> Node<N> {
    /// The branch of a packet with these words, and its mark as one bit. Bits outside the masks
    /// have no effect.
    #[inline(always)]
    pub(super) fn branch(&self, words: &[u64; N]) -> (usize, u64) {
        let index = usize::try_from(hash(words, &self.masks) >> self.shift).unwrap_or_default();
        (index, 1 << (hash(words, &self.marking) >> 58))
    }
}

/// A hash of the bits in the masks; its highest bits depend on all of them.
#[inline(always)]
fn hash<const N: usize>(words: &[u64; N], masks: &[u64; N]) -> u64 {
    let parts = words.iter().zip(masks).zip(FACTORS);
    parts.fold(0, |hash, ((word, mask), factor)| {
        (word & mask).wrapping_mul(factor).wrapping_add(hash)
    })
}

/// Random odd numbers.
const FACTORS: [u64; 5] = [
    0x9e37_79b9_7f4a_7c15,
    0xff51_afd7_ed55_8ccd,
    0xc4ce_b9fe_1a85_ec53,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
];

/// A branch to a node or a leaf.
#[derive(Debug, Clone, Copy)]
pub(super) struct Branch {
    /// A node, or the first block of a leaf.
    pub(super) next: ChildRef,
    /// Index of the first rule below; [`NO_MATCH`](crate::dataplane::rules::list::NO_MATCH) if
    /// there is none.
    pub(super) best: u32,
    /// The marks of all packets that can match a rule below.
    pub(super) marks: u64,
}

/// A node if the highest bit is set; otherwise a block of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChildRef(u32);

impl ChildRef {
    const NODE: u32 = 1 << 31;

    pub(super) const fn node(index: u32) -> Self {
        Self(index | Self::NODE)
    }

    pub(super) const fn leaf(first_block: u32) -> Self {
        Self(first_block & !Self::NODE)
    }

    #[inline]
    pub(super) const fn is_node(self) -> bool {
        self.0 & Self::NODE != 0
    }

    /// The next block of the same leaf.
    #[inline]
    pub(super) const fn next_block(self) -> Self {
        Self(self.0 + 1)
    }

    #[inline]
    pub(super) fn index(self) -> usize {
        usize::try_from(self.0 & !Self::NODE).unwrap_or_default()
    }
}

impl<const A: usize, const N: usize> Trees<A, N> {
    /// Memory in bytes.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.nodes)
            + size_of_val(&*self.branches)
            + size_of_val(&*self.blocks)
            + size_of_val(&*self.actions)
    }
}
