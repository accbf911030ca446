//! Chooses the tier of an interface by its traffic: the ring where super-frames dominate, otherwise
//! the kernel tier.
//!
//! The ring evaluates a super-frame once, on another processor; the kernel tier copies each of its
//! segments on the processor of the connection. What belongs here: the thresholds and the time that
//! the traffic must exceed them. What does not: reading counters and clocks.

use std::time::Duration;

use super::tier::ActiveTier;

/// Above this share of segments of super-frames, in percent, an interface moves to the ring.
const RING_SHARE: u64 = 60;
/// Below this rate, in frames per second, it does not: single connections use little of a processor.
const RING_RATE: u64 = 20_000;
/// How long share and rate must be that high.
const RING_AFTER: Duration = Duration::from_secs(3);

/// Below this share of segments of super-frames, in percent, an interface moves to the kernel tier.
const KERNEL_SHARE: u64 = 30;
/// Below this rate, in frames per second, it moves to the kernel tier at any share.
const KERNEL_RATE: u64 = 5_000;
/// How long share or rate must be that low.
const KERNEL_AFTER: Duration = Duration::from_secs(10);

/// The least time between two moves of an interface.
const MIN_STAY: Duration = Duration::from_secs(10);

/// Frames since the start of an interface; a super-frame counts as its segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TrafficCounts {
    /// All received frames.
    pub(super) frames: u64,
    /// Those of them that are segments of super-frames.
    pub(super) super_frame_segments: u64,
}

impl TrafficCounts {
    pub(super) const fn add(&mut self, other: Self) {
        self.frames += other.frames;
        self.super_frame_segments += other.super_frame_segments;
    }

    const fn since(self, earlier: Self) -> Self {
        Self {
            frames: self.frames.saturating_sub(earlier.frames),
            super_frame_segments: self
                .super_frame_segments
                .saturating_sub(earlier.super_frame_segments),
        }
    }
}

/// What is known of the traffic of an interface.
#[derive(Debug, Default)]
pub(super) struct TierPolicy {
    counts: TrafficCounts,
    tier: ActiveTier,
    /// How long the interface has been in its tier.
    stayed: Duration,
    /// How long the traffic has been that of the other tier.
    held: Duration,
}

impl TierPolicy {
    /// Adds the counts at the end of an interval in which the interface was in `tier`. Returns the
    /// tier to which the interface should move.
    pub(super) fn observe(
        &mut self,
        tier: ActiveTier,
        interval: Duration,
        counts: TrafficCounts,
    ) -> Option<ActiveTier> {
        let new = counts.since(std::mem::replace(&mut self.counts, counts));
        if std::mem::replace(&mut self.tier, tier) != tier {
            // The interval belongs to both tiers.
            (self.stayed, self.held) = (Duration::ZERO, Duration::ZERO);
            return None;
        }
        self.stayed += interval;
        let (other, needed) = match tier {
            ActiveTier::Kernel => (ActiveTier::Ring, RING_AFTER),
            ActiveTier::Ring => (ActiveTier::Kernel, KERNEL_AFTER),
        };
        let suits_other = match tier {
            ActiveTier::Kernel => suits_ring(new, interval),
            ActiveTier::Ring => suits_kernel(new, interval),
        };
        self.held = if suits_other { self.held + interval } else { Duration::ZERO };
        (self.held >= needed && self.stayed >= MIN_STAY).then_some(other)
    }
}

fn suits_ring(new: TrafficCounts, interval: Duration) -> bool {
    is_share_above(new, RING_SHARE) && rate(new.frames, interval) > u128::from(RING_RATE)
}

fn suits_kernel(new: TrafficCounts, interval: Duration) -> bool {
    rate(new.frames, interval) < u128::from(KERNEL_RATE) || !is_share_above(new, KERNEL_SHARE)
}

const fn is_share_above(new: TrafficCounts, percent: u64) -> bool {
    new.super_frame_segments.saturating_mul(100) > new.frames.saturating_mul(percent)
}

/// Frames per second.
fn rate(frames: u64, interval: Duration) -> u128 {
    u128::from(frames) * 1_000 / interval.as_millis().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ActiveTier::{Kernel, Ring};

    const SECOND: Duration = Duration::from_secs(1);

    /// A policy and the sums of its traffic.
    #[derive(Default)]
    struct Observed {
        policy: TierPolicy,
        counts: TrafficCounts,
    }

    impl Observed {
        /// One second of traffic with this share of segments of super-frames, in percent.
        fn second(&mut self, tier: ActiveTier, frames: u64, percent: u64) -> Option<ActiveTier> {
            self.counts.add(TrafficCounts { frames, super_frame_segments: frames * percent / 100 });
            self.policy.observe(tier, SECOND, self.counts)
        }

        /// The second of the first move, up to 60.
        fn moves_after(&mut self, tier: ActiveTier, frames: u64, percent: u64) -> Option<usize> {
            (1..=60).find(|_| self.second(tier, frames, percent).is_some())
        }

        fn settled(tier: ActiveTier) -> Self {
            let mut observed = Self::default();
            for _ in 0..20 {
                let percent = if tier == Ring { 100 } else { 0 };
                assert_eq!(observed.second(tier, 50_000, percent), None);
            }
            observed
        }
    }

    #[test]
    fn super_frames_at_a_high_rate_move_an_interface_to_the_ring_after_three_seconds() {
        assert_eq!(Observed::settled(Kernel).moves_after(Kernel, 50_000, 90), Some(3));
        assert_eq!(Observed::settled(Kernel).moves_after(Kernel, 20_000, 90), None, "rate");
        assert_eq!(Observed::settled(Kernel).moves_after(Kernel, 50_000, 60), None, "share");
    }

    #[test]
    fn few_super_frames_or_a_low_rate_move_it_back_after_ten_seconds() {
        assert_eq!(Observed::settled(Ring).moves_after(Ring, 50_000, 30), Some(10));
        assert_eq!(Observed::settled(Ring).moves_after(Ring, 4_999, 100), Some(10));
        assert_eq!(Observed::settled(Ring).moves_after(Ring, 0, 0), Some(10));
        assert_eq!(Observed::settled(Ring).moves_after(Ring, 5_000, 31), None);
    }

    #[test]
    fn traffic_between_the_thresholds_keeps_the_tier() {
        for percent in [31, 45, 60] {
            for tier in ActiveTier::ALL {
                assert_eq!(Observed::settled(tier).moves_after(tier, 50_000, percent), None);
            }
        }
    }

    #[test]
    fn an_interruption_starts_the_time_again() {
        let mut observed = Observed::settled(Kernel);
        for _ in 0..10 {
            assert_eq!(observed.second(Kernel, 50_000, 90), None);
            assert_eq!(observed.second(Kernel, 50_000, 90), None);
            assert_eq!(observed.second(Kernel, 50_000, 10), None);
        }
    }

    #[test]
    fn an_interface_moves_at_most_once_in_ten_seconds() {
        let mut observed = Observed::settled(Ring);
        // The first interval in the other tier is not used.
        assert_eq!(observed.second(Kernel, 50_000, 100), None);
        assert_eq!(observed.moves_after(Kernel, 50_000, 100), Some(10));
        assert_eq!(observed.second(Ring, 50_000, 0), None);
        assert_eq!(observed.moves_after(Ring, 50_000, 0), Some(10));
    }

    #[test]
    fn counts_that_decrease_are_no_traffic() {
        let mut observed = Observed::settled(Kernel);
        let counts = TrafficCounts::default();
        assert_eq!(observed.policy.observe(Kernel, SECOND, counts), None);
        assert_eq!(observed.policy.observe(Kernel, Duration::ZERO, counts), None);
    }
}
