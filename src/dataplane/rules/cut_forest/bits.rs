//! Which bits a cut is made by.
//!
//! Bits are chosen one by one: the one that is worth most, by how much fewer rules a packet meets
//! then, for what it costs. A rule that is wild in a chosen bit stands in two cells; one that is
//! wild in too many leaves the tree for another.

use super::ternary::Ternary;

/// What a cut is allowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct CutLimits {
    /// How many bits it has at the most.
    pub(super) max_bits: usize,
    /// How many of them a rule may be wild in and still stand in this tree.
    pub(super) max_wildcard_bits: u32,
    /// How many rules all cells hold together at the most, for each rule that there is.
    pub(super) max_copies: usize,
    /// No more than so many rules stand for all.
    pub(super) max_sampled: usize,
}

/// A bit: its word and its place there.
type Bit = (usize, u32);

/// When so few rules are met on average, no more bits are sought.
const TARGET_RULES: f64 = 5.0;

/// What a bit costs that no rule is wild in, beside the rules that leave the tree for another.
const BIT_COST: f64 = 0.02;

/// What it costs that a rule stands in two cells, beside that it leaves.
const COPY_COST: f64 = 0.5;

/// The bits by which some rules are best told apart.
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
    // Once more without those that leave: they have no say in how the others are told apart.
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

/// For each bit of a word, how many rules have a one there, how many care, and how many leave.
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

/// What becomes of the rules if one more bit is asked about.
#[derive(Debug, Clone, Copy, Default)]
struct CutEstimate {
    /// The sum of the squares of the cells.
    met: u64,
    /// How many rules stand in the cells.
    held: u64,
    /// How many stand in two cells.
    copied: u64,
    /// How many leave.
    left: u64,
}

impl CutEstimate {
    fn add(&mut self, ones: u32, zeros: u32, copied: u32, left: u32) {
        self.met += u64::from(zeros + copied).pow(2) + u64::from(ones + copied).pow(2);
        self.held += u64::from(zeros + ones + 2 * copied);
        self.copied += u64::from(copied);
        self.left += u64::from(left);
    }

    /// By how much fewer rules are met, for what it costs.
    fn score(self, mean: f64) -> f64 {
        let after = real(self.met) / real(self.held).max(1.0);
        let gain = (mean / after.max(0.001)).ln();
        let all = real(self.held - self.copied + self.left).max(1.0);
        let cost = BIT_COST + (COPY_COST * real(self.copied) + real(self.left)) / all;
        if gain < 0.02 || self.held == 0 { 0.0 } else { gain / cost }
    }
}

/// The bit that is worth most.
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

/// Each cell in two, without the rules that are wild in too many bits by now.
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

/// In how many of the chosen bits a rule is wild.
pub(super) fn wildcard_bits<const N: usize>(rule: &Ternary<N>, masks: &[u64; N]) -> u32 {
    rule.cares.iter().zip(masks).map(|(cares, mask)| (mask & !cares).count_ones()).sum()
}
