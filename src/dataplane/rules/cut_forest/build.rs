//! Builds a forest within a limit of memory.

use std::collections::HashMap;

use super::bits::{CutLimits, choose_bits, wildcard_bits};
use super::block::{Block, LANES};
use super::ternary::{Rule, Ternary};
use super::trees::{Branch, ChildRef, Node, Trees};
use crate::dataplane::rules::list::NO_MATCH;

/// The largest number of trees; the last one takes all remaining rules.
const MAX_TREES: usize = 10;

/// The largest number of bits of a cut.
const MAX_BITS: usize = 48;

/// The largest number of branches of a cut.
const MAX_BRANCHES: usize = 1 << 20;

/// The largest depth of cuts.
const MAX_CUTS: usize = 8;

/// The memory limit of nodes, branches and blocks for each rule, in bytes: about twelve copies of
/// the rule, or fewer with nodes and branches. At the limit, leaves are not divided further.
const fn max_bytes<const A: usize>() -> usize {
    if A == 2 { 320 } else { 400 }
}

/// Memory in bytes that is added to the limit, for few rules.
const MIN_BYTES: usize = 128 << 10;

/// The limits that are tried, for this number of rules, on the wildcards of a rule in the bits of a
/// root. A higher limit gives fewer trees and more copies; the cost of the built forests decides.
pub(super) const fn wildcard_limits(rules: usize) -> &'static [u32] {
    match rules {
        0..20_000 => &[2, 3, 4, 6],
        _ => &[2, 4],
    }
}

/// The state of the builder.
struct ForestBuilder<'a, const A: usize, const N: usize> {
    trees: &'a mut Trees<A, N>,
    rules: &'a [Rule<A>],
    ternaries: Vec<Ternary<N>>,
    /// The leaf of each list of rules: equal leaves are stored once.
    leaves: HashMap<Vec<u32>, u32>,
    /// The remaining memory in bytes.
    bytes_left: usize,
}

/// A part of a tree: the branch to it, and its depth.
type Subtree = (Branch, usize);

/// The rules of a branch and its marks.
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

    /// Builds one tree and returns the rules that are not in it.
    fn build_tree(&mut self, rules: Vec<u32>, limits: CutLimits) -> Vec<u32> {
        let masks = choose_bits(&self.ternaries, &rules, limits);
        let (own, other): (Vec<u32>, Vec<u32>) = rules.iter().partition(|rule| {
            self.ternary(**rule)
                .is_some_and(|rule| wildcard_bits(rule, &masks) <= limits.max_wildcard_bits)
        });
        // The share of the memory for the other trees, in proportion to their rules.
        let kept = proportional_share(self.bytes_left, other.len(), rules.len());
        let (root, depth) = self.build_cut(&own, masks, 0, kept);
        self.trees.depth += depth;
        self.trees.roots.push(root);
        other
    }

    fn ternary(&self, rule: u32) -> Option<&Ternary<N>> {
        self.ternaries.get(usize::try_from(rule).ok()?)
    }

    /// The number of rules in all cells of a cut.
    fn copies(&self, rules: &[u32], masks: &[u64; N]) -> usize {
        let wild = rules.iter().filter_map(|rule| Some(wildcard_bits(self.ternary(*rule)?, masks)));
        wild.fold(0, |sum, wild| {
            sum.saturating_add(1_usize.checked_shl(wild).unwrap_or(usize::MAX))
        })
    }

    /// Builds a part of a tree: a leaf if the rules are few or cannot be separated, else a cut. It
    /// leaves `kept` bytes of memory.
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
        // About as many branches as copies of rules.
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
            // The later parts share the memory that is left, in proportion to their rules.
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

    /// The bits without wildcard in nearly all rules, except the bits of the cut.
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

    /// The rules of each branch and its marks. A rule with a wildcard in a bit of the cut is in the
    /// branches of both values; with a wildcard in a bit of the mark it has all marks.
    fn distribute(&self, rules: &[u32], cut: &Node<N>, branches: usize) -> Vec<Cell> {
        let mut cells: Vec<Cell> = vec![(Vec::new(), 0); branches];
        for rule in rules {
            let Some(ternary) = self.ternary(*rule) else { continue };
            // A wildcard in the bits of the mark allows any mark.
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

/// All values of the masked bits that a rule allows: each combination of values for its wildcards.
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

/// The next combination of the wildcard bits, in the order of counting; `None` after the last.
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

/// The share of `some` of `all` in `bytes`.
fn proportional_share(bytes: usize, some: usize, all: usize) -> usize {
    let most = bytes.saturating_mul(some);
    most.checked_div(all).unwrap_or(0)
}

fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
