//! Random rules and packets from pseudorandom numbers that are the same on every machine and in every
//! version, because measurements of two versions must use the same rules.

use crate::io::random::SplitMix64;

/// Draws the values that generated rules and packets consist of.
#[derive(Debug, Clone)]
pub(super) struct Random(SplitMix64);

/// Intervals of ranks, each twice as long as the one before: its first rank (from 1), which is also
/// its length, and its weight, which grows by the square root of two.
const RANKS: [(u64, u32); 9] =
    [(1, 10), (2, 14), (4, 20), (8, 28), (16, 40), (32, 57), (64, 80), (128, 113), (256, 160)];

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0.next_word()
    }

    /// From 0 to `end - 1`; 0 if `end` is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0.below(end)
    }

    /// An index of a list of this length.
    pub(super) fn index(&mut self, len: usize) -> usize {
        let end = u64::try_from(len).unwrap_or(u64::MAX);
        usize::try_from(self.below(end)).unwrap_or(0)
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// From 0 to below 1, in steps of 2^-32, which every floating-point unit represents exactly.
    pub(super) fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or(0)) / 4_294_967_296.0
    }

    pub(super) fn port(&mut self, low: u16, high: u16) -> u16 {
        let span = u64::from(high.saturating_sub(low)) + 1;
        low.saturating_add(u16::try_from(self.below(span)).unwrap_or(0))
    }

    pub(super) fn word128(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    /// A rank from 0 to `2^(doublings + 1) - 2`. Rank r is about `1/sqrt(r)` times as frequent as
    /// the first: Zipf's law in integers, interval by interval.
    pub(super) fn rank(&mut self, doublings: usize) -> u64 {
        let ranks = RANKS.get(..=doublings).unwrap_or(&RANKS);
        let low = self.pick(ranks).unwrap_or(1);
        low - 1 + self.below(low)
    }

    /// An element of the list, with a probability proportional to its weight.
    pub(super) fn pick<T: Copy>(&mut self, list: &[(T, u32)]) -> Option<T> {
        let total = list.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut left = self.below(total);
        for (one, weight) in list {
            match left.checked_sub(u64::from(*weight)) {
                None => return Some(*one),
                Some(less) => left = less,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_stay_within_their_range() {
        let mut random = Random::new(7);
        for _ in 0..1000 {
            assert!(random.below(3) < 3 && random.rank(4) < 31 && random.fraction() < 1.0);
            assert!((1000..=1001).contains(&random.port(1000, 1001)));
        }
        assert_eq!((random.below(0), random.pick::<u8>(&[])), (0, None));
    }

    #[test]
    fn low_ranks_are_drawn_more_often() {
        let mut random = Random::new(7);
        let ranks: Vec<u64> = (0..4000).map(|_| random.rank(7)).collect();
        let share = |rank| ranks.iter().filter(|one| **one == rank).count();
        assert!(share(0) > 70 && share(0) > share(30) && share(3) > share(200), "{}", share(0));
    }
}
