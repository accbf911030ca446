//! Decides for each copy which faults it gets.

use super::impairments::{Impairments, Probability, Reordering};
use crate::io::random::SplitMix64;

/// The faults of one copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CopyFaults {
    /// It is not passed on. The other faults then have no effect.
    pub(super) is_lost: bool,
    /// It is passed on twice.
    pub(super) is_duplicated: bool,
    /// The number of following copies after which it is passed on; 0 for at once.
    pub(super) delay: u16,
    /// The number of the bit of the inner frame that is flipped.
    pub(super) flipped_bit: Option<u64>,
}

/// Draws the faults of one copy after the other.
#[derive(Debug, Clone)]
pub(super) struct FaultSampler {
    impairments: Impairments,
    loss: SplitMix64,
    duplicate: SplitMix64,
    reorder: SplitMix64,
    corrupt: SplitMix64,
}

impl FaultSampler {
    pub(super) const fn new(impairments: Impairments, seed: u64) -> Self {
        let mut seeds = SplitMix64::new(seed);
        Self {
            impairments,
            loss: SplitMix64::new(seeds.next_word()),
            duplicate: SplitMix64::new(seeds.next_word()),
            reorder: SplitMix64::new(seeds.next_word()),
            corrupt: SplitMix64::new(seeds.next_word()),
        }
    }

    /// The faults of the next copy, whose inner frame has this number of bytes. Every kind draws,
    /// also for a copy that is lost, so that the kinds do not depend on each other.
    pub(super) fn sample(&mut self, inner_len: u32) -> CopyFaults {
        let Self { impairments, loss, duplicate, reorder, corrupt } = self;
        let distance = impairments.reorder.distance.clamp(1, Reordering::MAX_DISTANCE);
        let bits = u64::from(inner_len) * 8;
        let is_reordered = occurs(impairments.reorder.probability, reorder);
        let delay = if is_reordered { reorder.below(distance.into()) + 1 } else { 0 };
        let is_corrupted = occurs(impairments.corrupt, corrupt);
        let bit = if is_corrupted { corrupt.below(bits) } else { 0 };
        CopyFaults {
            is_lost: occurs(impairments.loss, loss),
            is_duplicated: occurs(impairments.duplicate, duplicate),
            delay: u16::try_from(delay).unwrap_or(u16::MAX),
            flipped_bit: (is_corrupted && bits > 0).then_some(bit),
        }
    }
}

/// Draws one number, also for the probabilities 0 and 1.
fn occurs(probability: Probability, random: &mut SplitMix64) -> bool {
    random.below(Probability::BILLION) < probability.billionths()
}

/// The seed of one of several workers: the same for the same `seed`, name of the interface and
/// number of the worker, and different from those of the others.
#[must_use]
pub fn seed_of(seed: u64, interface: &str, worker: u16) -> u64 {
    let mix = |word: u64, byte: u64| SplitMix64::new(word ^ byte).next_word();
    mix(interface.bytes().map(u64::from).fold(seed, mix), u64::from(worker))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str, seed: u64, count: usize) -> Vec<CopyFaults> {
        let mut sampler = FaultSampler::new(text.parse().unwrap(), seed);
        (0..count).map(|_| sampler.sample(100)).collect()
    }

    #[test]
    fn the_faults_of_a_seed_never_change() {
        let faults = drawn("loss=20%,duplicate=20%,reorder=20%:8,corrupt=20%", 7, 30);
        let numbered = || faults.iter().enumerate();
        let lost: Vec<_> = numbered().filter(|(_, one)| one.is_lost).map(|(at, _)| at).collect();
        let twice: Vec<_> =
            numbered().filter(|(_, one)| one.is_duplicated).map(|(at, _)| at).collect();
        let late: Vec<_> =
            numbered().filter(|(_, one)| one.delay > 0).map(|(at, one)| (at, one.delay)).collect();
        let flipped: Vec<_> =
            numbered().filter_map(|(at, one)| one.flipped_bit.map(|bit| (at, bit))).collect();
        // Computed with another implementation of SplitMix64.
        assert_eq!(lost, [5, 9, 12, 13, 20]);
        assert_eq!(twice, [7, 8, 9, 14, 17, 19, 26, 27]);
        assert_eq!(late, [(5, 3), (6, 5)]);
        assert_eq!(flipped, [(6, 146), (7, 737), (12, 316), (21, 577)]);
    }

    #[test]
    fn each_kind_has_its_share_and_does_not_change_the_others() {
        let copies = 200_000;
        let all = drawn("loss=1%,duplicate=0.1%,reorder=2%:8,corrupt=0.5%", 1, copies);
        let share = |is: &dyn Fn(&CopyFaults) -> bool| all.iter().filter(|one| is(one)).count();
        // Five standard deviations of the binomial distribution, for a fixed seed.
        for (count, expected, tolerance) in [
            (share(&|one| one.is_lost), 2_000, 223),
            (share(&|one| one.is_duplicated), 200, 71),
            (share(&|one| one.delay > 0), 4_000, 314),
            (share(&|one| one.flipped_bit.is_some()), 1_000, 158),
        ] {
            assert!(usize::abs_diff(count, expected) < tolerance, "{count} for {expected}");
        }
        for delay in 1..=8 {
            assert!(share(&|one| one.delay == delay) > 380, "{delay}");
        }
        assert!(all.iter().all(|one| one.delay <= 8 && one.flipped_bit.unwrap_or(0) < 800));
        let alone = drawn("loss=1%", 1, copies);
        assert!(alone.iter().map(|one| one.is_lost).eq(all.iter().map(|one| one.is_lost)));
        let other = drawn("loss=1%", 2, copies);
        assert!(alone != other);
    }

    #[test]
    fn none_and_all_are_exact() {
        let none = drawn("loss=0%,corrupt=0%", 3, 10_000);
        assert!(none.iter().all(|one| *one == CopyFaults::default()));
        let all = drawn("loss=100%,duplicate=100%,reorder=100%,corrupt=100%", 3, 10_000);
        let is_all = |one: &CopyFaults| {
            one.is_lost && one.is_duplicated && one.delay > 0 && one.flipped_bit.is_some()
        };
        assert!(all.iter().all(is_all));
        let mut sampler = FaultSampler::new("corrupt=100%".parse().unwrap(), 3);
        assert_eq!(sampler.sample(0).flipped_bit, None);
    }

    #[test]
    fn every_worker_has_its_own_seed() {
        let seeds = [(0, "eni-1", 0), (0, "eni-1", 1), (0, "eni-2", 0), (1, "eni-1", 0)];
        let seeds = seeds.map(|(seed, name, worker)| seed_of(seed, name, worker));
        let distinct: std::collections::BTreeSet<_> = seeds.into_iter().collect();
        assert_eq!(distinct.len(), 4);
        assert_eq!(seed_of(0, "eni-1", 0), seeds[0]);
    }
}
