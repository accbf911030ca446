//! Chooses the bits of a cut.
//!
//! The algorithm is greedy: it adds the bit with the highest score. A cell is the set of rules that
//! agree with one value of the chosen bits. The score of a bit is the natural logarithm of the
//! factor by which it reduces the average number of rules in a packet's cell, divided by its cost.
//! A rule with a wildcard in a chosen bit is in two cells (cost: a copy); a rule with too many such
//! wildcards moves to another tree (cost: a move).
//!
//! Example: eight rules are in one cell. A bit that is zero in four rules and one in the other four
//! reduces the average from 8 to 4 without copies: the score is `ln(8 / 4) / 0.02` = 34.7. A bit
//! that is zero in two rules and a wildcard in six gives cells of eight and six rules, 7.1 on
//! average, and six copies: the score is `ln(8 / 7.1) / (0.02 + 0.5 * 6 / 8)` = 0.3.

use super::bit_counters::BitCounters;
use super::ternary::Ternary;

/// The limits of a cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct CutLimits {
    /// The largest number of bits.
    pub(super) max_bits: usize,
    /// The largest number of wildcards among them for a rule that stays in this tree.
    pub(super) max_wildcard_bits: u32,
    /// The largest average number of copies of a rule.
    pub(super) max_copies: usize,
    /// The largest number of rules that are examined; with more rules a sample is taken.
    pub(super) max_sampled: usize,
}

/// A bit: the index of its word and the index in the word.
type Bit = (usize, u32);

/// If a packet's cell has at most this number of rules on average, no more bits are chosen.
const TARGET_RULES: f64 = 5.0;

/// The cost of a bit without wildcards, relative to the cost of moving all rules to another tree.
const BIT_COST: f64 = 0.02;

/// The cost of copying a rule to two cells, relative to the cost of moving it to another tree.
const COPY_COST: f64 = 0.5;

/// The bits that best separate some rules.
pub(super) fn choose_bits<const N: usize>(
    ternaries: &[Ternary<N>],
    rules: &[u32],
    limits: CutLimits,
) -> [u64; N] {
    let step = rules.len().div_ceil(limits.max_sampled).max(1);
    let sample = rules.iter().step_by(step);
    let all: Vec<Ternary<N>> = sample.filter_map(|rule| at(ternaries, *rule)).collect();
    let scale = real(wide(step));
    let first = choose_among(&all, scale, limits);
    // Choose again without the rules that move to another tree.
    let stay: Vec<Ternary<N>> = all
        .iter()
        .copied()
        .filter(|rule| wildcard_bits(rule, &first) <= limits.max_wildcard_bits)
        .collect();
    if stay.len() == all.len() { first } else { choose_among(&stay, scale, limits) }
}

fn choose_among<const N: usize>(all: &[Ternary<N>], scale: f64, limits: CutLimits) -> [u64; N] {
    let max_held = all.len() * limits.max_copies;
    let mut chosen = [0; N];
    let mut cells = Cells::new(all, limits.max_wildcard_bits);
    for _ in 0..limits.max_bits {
        let mean = cells.mean_len();
        if mean * scale <= TARGET_RULES || cells.members.len() > max_held {
            break;
        }
        let Some((word, bit)) = cells.best_bit(&chosen, mean) else { break };
        if let Some(mask) = chosen.get_mut(word) {
            *mask |= 1 << bit;
        }
        cells.divide((word, bit));
    }
    chosen
}

fn at<const N: usize>(ternaries: &[Ternary<N>], rule: u32) -> Option<Ternary<N>> {
    ternaries.get(usize::try_from(rule).ok()?).copied()
}

fn real(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The rules of each value of the chosen bits.
struct Cells<'a, const N: usize> {
    rules: &'a [Ternary<N>],
    max_wildcard_bits: u32,
    /// By rule: the number of its wildcards in the chosen bits.
    wildcards: Vec<u32>,
    /// The indices of the rules of all cells, cell by cell. Only the rules that stay in the tree are
    /// in cells.
    members: Vec<u32>,
    /// The number of rules of each cell.
    lens: Vec<usize>,
}

/// The largest width of a counter of rules.
const COUNT_BITS: usize = 32;

/// For each bit of a word, the effect of cutting on it.
#[derive(Clone, Copy)]
struct CutEffects {
    /// The sum of the squares of the numbers of rules in the new cells.
    squares: BitCounters<64>,
    /// The number of rules in the new cells.
    held: BitCounters<COUNT_BITS>,
    /// The number of rules that move to another tree.
    left: BitCounters<COUNT_BITS>,
}

impl CutEffects {
    const NONE: Self =
        Self { squares: BitCounters::ZERO, held: BitCounters::ZERO, left: BitCounters::ZERO };
}

impl<'a, const N: usize> Cells<'a, N> {
    /// All rules in one cell.
    fn new(rules: &'a [Ternary<N>], max_wildcard_bits: u32) -> Self {
        let members = (0..).zip(rules).map(|(index, _)| index).collect();
        let wildcards = vec![0; rules.len()];
        Self { rules, max_wildcard_bits, wildcards, members, lens: vec![rules.len()] }
    }

    /// The average number of rules in the cell of a packet.
    fn mean_len(&self) -> f64 {
        let met: u64 = self.lens.iter().map(|len| wide(*len).pow(2)).sum();
        real(met) / real(wide(self.members.len())).max(1.0)
    }

    /// A rule, and whether it moves to another tree with one more wildcard.
    #[inline(always)]
    fn rule(&self, member: u32) -> Option<(&Ternary<N>, bool)> {
        let index = usize::try_from(member).ok()?;
        let is_full = *self.wildcards.get(index)? >= self.max_wildcard_bits;
        Some((self.rules.get(index)?, is_full))
    }

    /// The bit with the highest score, except the chosen bits; `None` if no bit is worthwhile.
    fn best_bit(&self, chosen: &[u64; N], mean: f64) -> Option<Bit> {
        let mut effects = [CutEffects::NONE; N];
        let mut members = self.members.as_slice();
        for len in &self.lens {
            let (cell, rest) = members.split_at_checked(*len)?;
            members = rest;
            self.add_cell(cell, &mut effects);
        }
        let words = effects.iter().enumerate().zip(chosen);
        let bits = words.flat_map(|((word, effects), chosen)| {
            let scores = (0_u32..).zip(effects.scores(self.members.len(), mean));
            let free = scores.filter(move |(bit, _)| chosen >> bit & 1 == 0);
            free.map(move |(bit, score)| (score, (word, bit)))
        });
        let (score, bit) = bits.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
        (score > 0.0).then_some(bit)
    }

    /// Adds the effects of dividing a cell by each bit.
    #[inline]
    fn add_cell(&self, cell: &[u32], effects: &mut [CutEffects; N]) {
        let mut counters = [[BitCounters::<COUNT_BITS>::ZERO; 2]; N];
        for (rule, is_full) in cell.iter().filter_map(|member| self.rule(*member)) {
            let words = counters.iter_mut().zip(rule.values).zip(rule.cares).zip(&mut *effects);
            for ((([zeros, ones], values), cares), effects) in words {
                // A wildcard is in both cells, or in none if the rule moves to another tree.
                let (kept, left) = if is_full { (cares, !cares) } else { (u64::MAX, 0) };
                zeros.add(!values & kept);
                ones.add((values | !cares) & kept);
                effects.left.add(left);
            }
        }
        let width = usize::try_from(cell.len().checked_ilog2().unwrap_or(0)).unwrap_or(0) + 1;
        for (effects, sides) in effects.iter_mut().zip(&counters) {
            for side in sides {
                effects.squares.add_squares(side, width);
                effects.held.add_all(side, width);
            }
        }
    }

    /// Divides each cell in two, without the rules that now have too many wildcards.
    fn divide(&mut self, (word, bit): Bit) {
        let is_set = |words: &[u64; N]| words.get(word).is_some_and(|word| word >> bit & 1 == 1);
        for (rule, wildcards) in self.rules.iter().zip(&mut self.wildcards) {
            *wildcards += u32::from(!is_set(&rule.cares));
        }
        let old = std::mem::take(&mut self.members);
        let mut members = Vec::with_capacity(old.len() + old.len() / 2);
        let mut lens = Vec::with_capacity(2 * self.lens.len());
        let mut left = old.as_slice();
        for len in &self.lens {
            let Some((cell, rest)) = left.split_at_checked(*len) else { break };
            left = rest;
            for side in [false, true] {
                let start = members.len();
                members.extend(cell.iter().copied().filter(|member| {
                    let index = usize::try_from(*member).unwrap_or(usize::MAX);
                    let wildcards = self.wildcards.get(index).copied().unwrap_or(u32::MAX);
                    let is_in = self
                        .rules
                        .get(index)
                        .is_some_and(|rule| !is_set(&rule.cares) || is_set(&rule.values) == side);
                    is_in && wildcards <= self.max_wildcard_bits
                }));
                if members.len() > start {
                    lens.push(members.len() - start);
                }
            }
        }
        (self.members, self.lens) = (members, lens);
    }
}

impl CutEffects {
    /// For each bit, the reduction of the average number of rules in a packet's cell, divided by
    /// the cost. `all` is the number of rules in the cells now, `mean` the average now.
    fn scores(&self, all: usize, mean: f64) -> impl Iterator<Item = f64> {
        let all = wide(all);
        let counts = [self.squares.counts(), self.held.counts(), self.left.counts()];
        let [squares, held, left] = counts.map(IntoIterator::into_iter);
        squares.zip(held).zip(left).map(move |((squares, held), left)| {
            let copied = held.saturating_sub(all.saturating_sub(left));
            let after = real(squares) / real(held).max(1.0);
            let gain = (mean / after.max(0.001)).ln();
            let moved = COPY_COST * real(copied) + real(left);
            let cost = BIT_COST + moved / real(all).max(1.0);
            if gain < 0.02 || held == 0 { 0.0 } else { gain / cost }
        })
    }
}

/// The number of wildcards of a rule in the chosen bits.
pub(super) fn wildcard_bits<const N: usize>(rule: &Ternary<N>, masks: &[u64; N]) -> u32 {
    rule.cares.iter().zip(masks).map(|(cares, mask)| (mask & !cares).count_ones()).sum()
}
