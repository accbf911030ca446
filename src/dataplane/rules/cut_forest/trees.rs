//! The parts of a forest: trees, nodes, branches, and what is searched for in them.

use super::block::Block;

/// How many packets walk together.
pub(super) const BATCH_LEN: usize = 64;

/// Trees over packets of `A` address words, which are `N` words of 64 bits with all else.
#[derive(Debug)]
pub(in crate::dataplane::rules) struct Trees<const A: usize, const N: usize> {
    /// The roots, by the first rule below them.
    pub(super) roots: Vec<Branch>,
    pub(super) nodes: Vec<Node<N>>,
    pub(super) branches: Vec<Branch>,
    pub(super) blocks: Vec<Block<A>>,
    pub(super) actions: Vec<MatchAction>,
    /// Nodes on the longest way down, of all trees together, and blocks at its end.
    pub(super) depth: usize,
}

/// What is searched for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Search<'a> {
    /// The rule that decides.
    Decides,
    /// The first rule that matches at or behind a place, which is one for each packet.
    Matches(&'a [u32]),
}

/// What an accept or reject rule makes of the search.
#[derive(Debug, Clone, Copy)]
pub(super) enum MatchAction {
    /// It ends here.
    Accepts,
    /// It goes on at the next session, which begins here.
    Rejects(u32),
}

/// A cut: the bits that tell the branches apart, and where these begin.
///
/// What shares a branch is told apart once more by a *mark*, one of 64.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<const N: usize> {
    pub(super) masks: [u64; N],
    /// Other bits that nearly all rules below care about; they make the mark.
    pub(super) marking: [u64; N],
    pub(super) first: u32,
    /// How far a hash of 64 bits is moved to be the number of a branch.
    pub(super) shift: u32,
}

impl<const N: usize> Node<N> {
    /// Which branch a packet with these words takes, and its mark, a bit. Bits that are not asked
    /// about do not matter.
    #[inline(always)]
    pub(super) fn branch(&self, words: &[u64; N]) -> (usize, u64) {
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
pub(super) struct Branch {
    /// A node, or the first block of a leaf.
    pub(super) next: ChildRef,
    /// The first rule below; [`NO_MATCH`](crate::dataplane::rules::list::NO_MATCH) where there is none.
    pub(super) best: u32,
    /// The marks of all packets that may match some rule below.
    pub(super) marks: u64,
}

/// A node has its highest bit set; else it is a leaf's first block.
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
    /// In bytes.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.nodes)
            + size_of_val(&*self.branches)
            + size_of_val(&*self.blocks)
            + size_of_val(&*self.actions)
    }
}
