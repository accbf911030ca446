//! Growing the forest.

use std::collections::HashMap;

use super::bits::{CutLimits, choose_bits, wildcard_bits};
use super::block::{Block, LANES};
use super::ternary::{Rule, Ternary};
use super::trees::{Branch, ChildRef, Node, Trees};
use crate::dataplane::rules::list::NO_MATCH;

/// Trees at the most; the last one takes all that is left.
const MAX_TREES: usize = 10;

/// Bits that a cut asks about at the most.
const MAX_BITS: usize = 48;

/// Branches of a cut at the most.
const MAX_BRANCHES: usize = 1 << 20;

/// Cuts one below the other at the most.
const MAX_CUTS: usize = 8;

/// How much memory nodes, branches and blocks take for each rule that there is, in bytes; about
/// twelve copies of it, or less with what stands between them. Beyond that leaves grow longer.
const fn max_bytes<const A: usize>() -> usize {
    if A == 2 { 320 } else { 400 }
}

/// What even few rules may take, in bytes.
const MIN_BYTES: usize = 128 << 10;

/// How many bits of a root a rule may be wild in: what is tried for so many rules. The more, the
/// fewer trees and the more copies; which is better only the forest tells.
pub(super) const fn wildcard_limits(rules: usize) -> &'static [u32] {
    match rules {
        0..20_000 => &[2, 3, 4, 6],
        _ => &[2, 4],
    }
}

/// Rules on their way into the leaves.
struct ForestBuilder<'a, const A: usize, const N: usize> {
    trees: &'a mut Trees<A, N>,
    rules: &'a [Rule<A>],
    ternaries: Vec<Ternary<N>>,
    /// Leaves that hold the same rules are one.
    leaves: HashMap<Vec<u32>, u32>,
    /// How much more memory may be taken.
    bytes_left: usize,
}

/// What a part of a tree has: the way into it, and how far down it goes.
type Subtree = (Branch, usize);

/// The rules of a branch, and its marks.
type Cell = (Vec<u32>, u64);

impl<const A: usize, const N: usize> Trees<A, N> {
    pub(super) fn build(&mut self, rules: &[Rule<A>], max_wildcard_bits: u32) {
        let mut builder = ForestBuilder {
            ternaries: rules.iter().map(Rule::ternary).collect(),
            rules,
            leaves: HashMap::new(),
            bytes_left: max_bytes::<A>() * rules.len() + MIN_BYTES,
            trees: self,
        };
        builder.build_trees(max_wildcard_bits);
        self.roots.sort_by_key(|root| root.best);
    }
}

impl<const A: usize, const N: usize> ForestBuilder<'_, A, N> {
    fn build_trees(&mut self, max_wildcard_bits: u32) {
        let count = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        let mut left: Vec<u32> = (0..count).collect();
        for tree in 1..=MAX_TREES {
            if left.is_empty() {
                return;
            }
            let is_last = tree == MAX_TREES || left.len() <= 2 * LANES;
            let limits = CutLimits {
                max_bits: MAX_BITS,
                max_wildcard_bits: if is_last { u32::MAX } else { max_wildcard_bits },
                max_copies: 5,
                max_sampled: 8192,
            };
            left = self.build_tree(left, limits);
        }
    }

    /// One tree; the rules that do not stand in it.
    fn build_tree(&mut self, rules: Vec<u32>, limits: CutLimits) -> Vec<u32> {
        let masks = choose_bits(&self.ternaries, &rules, limits);
        let (own, other): (Vec<u32>, Vec<u32>) = rules.iter().partition(|rule| {
            self.ternary(**rule)
                .is_some_and(|rule| wildcard_bits(rule, &masks) <= limits.max_wildcard_bits)
        });
        // What the other trees need of what is there, by their rules.
        let kept = proportional_share(self.bytes_left, other.len(), rules.len());
        let (root, depth) = self.build_cut(&own, masks, 0, kept);
        self.trees.depth += depth;
        self.trees.roots.push(root);
        other
    }

    fn ternary(&self, rule: u32) -> Option<&Ternary<N>> {
        self.ternaries.get(usize::try_from(rule).ok()?)
    }

    /// How many rules the cells of a cut hold together.
    fn copies(&self, rules: &[u32], masks: &[u64; N]) -> usize {
        let wild = rules.iter().filter_map(|rule| Some(wildcard_bits(self.ternary(*rule)?, masks)));
        wild.fold(0, |sum, wild| {
            sum.saturating_add(1_usize.checked_shl(wild).unwrap_or(usize::MAX))
        })
    }

    /// A part of a tree: a leaf where the rules are few or cannot be told apart. Of the memory,
    /// `kept` is for others.
    fn build_subtree(&mut self, rules: &[u32], cuts: usize, kept: usize) -> Subtree {
        if rules.len() <= LANES || cuts >= MAX_CUTS || self.bytes_left <= kept {
            return self.build_leaf(rules);
        }
        let limits = CutLimits {
            max_bits: MAX_BITS,
            max_wildcard_bits: u32::MAX,
            max_copies: 4,
            max_sampled: 256,
        };
        let masks = choose_bits(&self.ternaries, rules, limits);
        if self.copies(rules, &masks) > 4 * rules.len() {
            return self.build_leaf(rules);
        }
        self.build_cut(rules, masks, cuts, kept)
    }

    fn build_cut(&mut self, rules: &[u32], masks: [u64; N], cuts: usize, kept: usize) -> Subtree {
        if masks == [0; N] || rules.is_empty() {
            return self.build_leaf(rules);
        }
        // About as many branches as rules stand in them.
        let copies = self.copies(rules, &masks);
        let branches = copies.next_power_of_two().clamp(2, MAX_BRANCHES);
        let bytes = size_of::<Node<N>>() + branches * size_of::<Branch>();
        let of_leaves = copies.saturating_mul(size_of::<Block<A>>() / LANES);
        if bytes.saturating_add(of_leaves) > self.bytes_left.saturating_sub(kept) {
            return self.build_leaf(rules);
        }
        self.bytes_left -= bytes;
        let node = self.trees.nodes.len();
        let first = self.trees.branches.len();
        let marking = self.marking(rules, &masks);
        let cut = Node { masks, marking, first: narrow(first), shift: 64 - branches.ilog2() };
        let cells = self.distribute(rules, &cut, branches);
        self.trees.nodes.push(cut);
        let empty = Branch { next: ChildRef::leaf(0), best: NO_MATCH, marks: 0 };
        self.trees.branches.resize(first + cells.len(), empty);
        let (mut deepest, mut best) = (0, NO_MATCH);
        let mut later: usize = cells.iter().map(|(cell, _)| cell.len()).sum();
        for (place, (cell, marks)) in (first..).zip(cells) {
            let all = later;
            later -= cell.len();
            // What one part leaves is for those behind it, each by its rules.
            let here = self.bytes_left.saturating_sub(kept);
            let (branch, depth) =
                self.build_subtree(&cell, cuts + 1, kept + proportional_share(here, later, all));
            if let Some(place) = self.trees.branches.get_mut(place) {
                *place = Branch { marks, ..branch };
            }
            deepest = depth.max(deepest);
            best = branch.best.min(best);
        }
        (Branch { next: ChildRef::node(narrow(node)), best, marks: u64::MAX }, deepest + 1)
    }

    /// The bits that nearly all rules care about, but for those that the cut asks about.
    fn marking(&self, rules: &[u32], masks: &[u64; N]) -> [u64; N] {
        let mut cares = [[0_usize; 64]; N];
        for rule in rules {
            let Some(ternary) = self.ternary(*rule) else { continue };
            for (cares, word) in cares.iter_mut().zip(ternary.cares) {
                for (bit, count) in (0..).zip(cares) {
                    *count += usize::from(word >> bit & 1 == 1);
                }
            }
        }
        let nearly_all = rules.len() - rules.len() / 10;
        let mut marking = [0; N];
        for ((marking, cares), mask) in marking.iter_mut().zip(cares).zip(masks) {
            for (bit, count) in (0..).zip(cares) {
                if count >= nearly_all && mask >> bit & 1 == 0 {
                    *marking |= 1 << bit;
                }
            }
        }
        marking
    }

    /// The rules of each branch and their marks; a rule that is wild in a bit stands in those of
    /// both values, and has all marks where these need that bit.
    fn distribute(&self, rules: &[u32], cut: &Node<N>, branches: usize) -> Vec<Cell> {
        let mut cells: Vec<Cell> = vec![(Vec::new(), 0); branches];
        for rule in rules {
            let Some(ternary) = self.ternary(*rule) else { continue };
            // The bits of a mark that it does not care about could be anything.
            let other_marks = if wildcard_bits(ternary, &cut.marking) == 0 { 0 } else { u64::MAX };
            for words in expansions(ternary, &cut.masks) {
                let (branch, mark) = cut.branch(&words);
                let Some((cell, marks)) = cells.get_mut(branch) else { continue };
                *marks |= mark | other_marks;
                if cell.last() != Some(rule) {
                    cell.push(*rule);
                }
            }
        }
        cells
    }

    fn build_leaf(&mut self, rules: &[u32]) -> Subtree {
        let Some(best) = rules.first() else {
            return (Branch { next: ChildRef::leaf(0), best: NO_MATCH, marks: u64::MAX }, 0);
        };
        let blocks = rules.len().div_ceil(LANES);
        if let Some(known) = self.leaves.get(rules) {
            return (Branch { next: ChildRef::leaf(*known), best: *best, marks: u64::MAX }, blocks);
        }
        let first = narrow(self.trees.blocks.len());
        let mut left = rules.len();
        for lanes in rules.chunks(LANES) {
            left -= lanes.len();
            let own = lanes.iter().filter_map(|rule| self.rules.get(usize::try_from(*rule).ok()?));
            self.trees.blocks.push(Block::new(own, left > 0));
        }
        self.bytes_left = self.bytes_left.saturating_sub(blocks * size_of::<Block<A>>());
        self.leaves.insert(rules.to_vec(), first);
        (Branch { next: ChildRef::leaf(first), best: *best, marks: u64::MAX }, blocks)
    }
}

/// All packets that a rule allows, as far as the masks tell them apart: every way to fill in the
/// bits that it is wild in.
fn expansions<const N: usize>(
    rule: &Ternary<N>,
    masks: &[u64; N],
) -> impl Iterator<Item = [u64; N]> {
    let mut wild = [0; N];
    let words = wild.iter_mut().zip(rule.cares).zip(masks);
    words.for_each(|((wild, cares), mask)| *wild = mask & !cares);
    let mut next = Some(rule.values);
    let values = rule.values;
    std::iter::from_fn(move || {
        let now = next?;
        next = next_expansion(now, &wild, &values);
        Some(now)
    })
}

/// Counts one up in the wild bits alone; nothing behind the last.
fn next_expansion<const N: usize>(
    mut now: [u64; N],
    wild: &[u64; N],
    values: &[u64; N],
) -> Option<[u64; N]> {
    for ((word, wild), value) in now.iter_mut().zip(wild).zip(values) {
        let filled = (*word & wild).wrapping_sub(*wild) & wild;
        *word = value & !wild | filled;
        if filled != 0 {
            return Some(now);
        }
    }
    None
}

/// Of so much, what so many of all have.
fn proportional_share(bytes: usize, some: usize, all: usize) -> usize {
    let most = bytes.saturating_mul(some);
    most.checked_div(all).unwrap_or(0)
}

fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
