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
    let first = choose_among(all.clone(), scale, limits);
    // Choose again without the rules that move to another tree.
    let stay: Vec<Ternary<N>> = all
        .iter()
        .copied()
        .filter(|rule| wildcard_bits(rule, &first) <= limits.max_wildcard_bits)
        .collect();
    if stay.len() == all.len() { first } else { choose_among(stay, scale, limits) }
}

fn choose_among<const N: usize>(all: Vec<Ternary<N>>, scale: f64, limits: CutLimits) -> [u64; N] {
    let max_held = all.len() * limits.max_copies;
    let mut chosen = [0; N];
    let mut cells = vec![all];
    for _ in 0..limits.max_bits {
        let met: u64 = cells.iter().map(|cell| wide(cell.len()).pow(2)).sum();
        let held: usize = cells.iter().map(Vec::len).sum();
        let mean = real(met) / real(wide(held)).max(1.0);
        if mean * scale <= TARGET_RULES || held > max_held {
            break;
        }
        let Some((word, bit)) = best(&cells, &chosen, mean, limits) else { break };
        if let Some(mask) = chosen.get_mut(word) {
            *mask |= 1 << bit;
        }
        cells = cut(cells, (word, bit), &chosen, limits.max_wildcard_bits);
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

/// For each bit of a word: the number of rules with a one, without a wildcard, and of rules that
/// would move to another tree.
#[derive(Debug, Clone, Copy)]
struct BitCounts {
    ones: [u32; 64],
    cares: [u32; 64],
    left: [u32; 64],
}

impl BitCounts {
    const NONE: Self = Self { ones: [0; 64], cares: [0; 64], left: [0; 64] };

    #[inline]
    fn add(&mut self, values: u64, cares: u64, is_full: bool) {
        let left = if is_full { !cares } else { 0 };
        let counts = self.ones.iter_mut().zip(&mut self.cares).zip(&mut self.left);
        for (bit, ((ones, care), leave)) in (0..).zip(counts) {
            *ones += u32::from(values >> bit & 1 == 1);
            *care += u32::from(cares >> bit & 1 == 1);
            *leave += u32::from(left >> bit & 1 == 1);
        }
    }

    fn put_into(&self, estimates: &mut [CutEstimate; 64], count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let counts = self.ones.iter().zip(&self.cares).zip(&self.left);
        for (estimate, ((ones, cares), left)) in estimates.iter_mut().zip(counts) {
            estimate.add(*ones, cares - ones, count - cares - left, *left);
        }
    }
}

/// The effect of one more bit on the rules.
#[derive(Debug, Clone, Copy, Default)]
struct CutEstimate {
    /// The sum of the squares of the sizes of the cells.
    met: u64,
    /// The number of rules in the cells.
    held: u64,
    /// The number of rules in two cells.
    copied: u64,
    /// The number of rules that move to another tree.
    left: u64,
}

impl CutEstimate {
    fn add(&mut self, ones: u32, zeros: u32, copied: u32, left: u32) {
        self.met += u64::from(zeros + copied).pow(2) + u64::from(ones + copied).pow(2);
        self.held += u64::from(zeros + ones + 2 * copied);
        self.copied += u64::from(copied);
        self.left += u64::from(left);
    }

    /// The reduction of the average number of rules in a packet's cell, divided by the cost.
    fn score(self, mean: f64) -> f64 {
        let after = real(self.met) / real(self.held).max(1.0);
        let gain = (mean / after.max(0.001)).ln();
        let all = real(self.held - self.copied + self.left).max(1.0);
        let cost = BIT_COST + (COPY_COST * real(self.copied) + real(self.left)) / all;
        if gain < 0.02 || self.held == 0 { 0.0 } else { gain / cost }
    }
}

/// The bit with the highest score.
fn best<const N: usize>(
    cells: &[Vec<Ternary<N>>],
    chosen: &[u64; N],
    mean: f64,
    limits: CutLimits,
) -> Option<Bit> {
    let mut estimates = [[CutEstimate::default(); 64]; N];
    for cell in cells {
        let mut all_bit_counts = [BitCounts::NONE; N];
        for rule in cell {
            let is_full = wildcard_bits(rule, chosen) >= limits.max_wildcard_bits;
            for ((bit_counts, values), cares) in
                all_bit_counts.iter_mut().zip(rule.values).zip(rule.cares)
            {
                bit_counts.add(values, cares, is_full);
            }
        }
        for (estimates, bit_counts) in estimates.iter_mut().zip(&all_bit_counts) {
            bit_counts.put_into(estimates, cell.len());
        }
    }
    let words = estimates.iter().enumerate().zip(chosen);
    let bits = words.flat_map(|((word, estimates), chosen)| {
        let free = (0_u32..).zip(estimates).filter(move |(bit, _)| chosen >> bit & 1 == 0);
        free.map(move |(bit, estimate)| (estimate.score(mean), (word, bit)))
    });
    let (score, bit) = bits.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (score > 0.0).then_some(bit)
}

/// Divides each cell in two, without the rules that now have too many wildcards.
fn cut<const N: usize>(
    cells: Vec<Vec<Ternary<N>>>,
    (word, bit): Bit,
    chosen: &[u64; N],
    max_wildcard_bits: u32,
) -> Vec<Vec<Ternary<N>>> {
    let mut halves = Vec::with_capacity(2 * cells.len());
    for cell in cells {
        let (mut zeros, mut ones) = (Vec::new(), Vec::new());
        for rule in cell {
            if wildcard_bits(&rule, chosen) > max_wildcard_bits {
                continue;
            }
            let is_set =
                |words: &[u64; N]| words.get(word).is_some_and(|word| word >> bit & 1 == 1);
            let cares = is_set(&rule.cares);
            if !cares || !is_set(&rule.values) {
                zeros.push(rule);
            }
            if !cares || is_set(&rule.values) {
                ones.push(rule);
            }
        }
        halves.extend([zeros, ones].into_iter().filter(|half| !half.is_empty()));
    }
    halves
}

/// The number of wildcards of a rule in the chosen bits.
pub(super) fn wildcard_bits<const N: usize>(rule: &Ternary<N>, masks: &[u64; N]) -> u32 {
    rule.cares.iter().zip(masks).map(|(cares, mask)| (mask & !cares).count_ones()).sum()
}
