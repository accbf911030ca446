//! Decides when the kernel drops frames that no session can mirror.
//!
//! Frames that the kernel drops are not counted, so the filter drops only under high load. To
//! measure the load, it accepts all frames for one sample (about 100 ms) at increasing intervals:
//! first after 1 second, then after 2, 4, 8 and always 10 seconds.
//!
//! Example: 200,000 frames/s are received and 1,000 of them are mirrored, so dropping starts. After
//! 1 s one sample accepts all frames. If it still shows 200,000 frames/s, dropping continues for 2
//! s. If it shows 5,000 frames/s, the filter is off.
//!
//! ```text
//! off --(> 50,000 frames/s, < half mirrored)--> dropping --(interval over)--> probing
//!  ^                                               ^---(load continues)----------'|
//!  '--------(probing: < 10,000 frames/s, or at least half mirrored)---------------'
//! ```

use super::TrafficSample;

/// Dropping starts above this rate, in frames/s.
const HIGH_RATE: u64 = 50_000;

/// Dropping ends below this rate, in frames/s.
const LOW_RATE: u64 = 10_000;

const FIRST_PERIOD_NS: u64 = 1_000_000_000;
const MAX_PERIOD_NS: u64 = 10_000_000_000;

/// The state of the automatic filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum AutoFilter {
    /// All frames are accepted.
    #[default]
    Off,
    /// Unwanted frames are dropped for `left_ns` more nanoseconds of an interval of `period_ns`.
    Dropping { left_ns: u64, period_ns: u64 },
    /// All frames are accepted for one sample. The last interval had `period_ns` nanoseconds.
    Probing { period_ns: u64 },
}

impl AutoFilter {
    /// The next state after a traffic sample.
    pub(super) fn advance(self, sample: &TrafficSample) -> Self {
        match self {
            Self::Off if sample.frames_per_second() > HIGH_RATE && sample.is_mostly_unwanted() => {
                Self::dropping(FIRST_PERIOD_NS)
            }
            Self::Off => Self::Off,
            Self::Dropping { left_ns, period_ns } => {
                match left_ns.saturating_sub(sample.elapsed_ns) {
                    0 => Self::Probing { period_ns },
                    left_ns => Self::Dropping { left_ns, period_ns },
                }
            }
            Self::Probing { .. }
                if sample.frames_per_second() < LOW_RATE || !sample.is_mostly_unwanted() =>
            {
                Self::Off
            }
            Self::Probing { period_ns } => {
                Self::dropping(period_ns.saturating_mul(2).min(MAX_PERIOD_NS))
            }
        }
    }

    /// Whether unwanted frames are dropped now.
    pub(super) const fn is_dropping(self) -> bool {
        matches!(self, Self::Dropping { .. })
    }

    /// Whether the filter is dropping or probing.
    pub(super) fn is_active(self) -> bool {
        self != Self::Off
    }

    const fn dropping(period_ns: u64) -> Self {
        Self::Dropping { left_ns: period_ns, period_ns }
    }
}

impl TrafficSample {
    fn frames_per_second(&self) -> u64 {
        let second = u128::from(self.frames) * 1_000_000_000;
        u64::try_from(second / u128::from(self.elapsed_ns.max(1))).unwrap_or(u64::MAX)
    }

    const fn is_mostly_unwanted(&self) -> bool {
        self.mirrored.saturating_mul(2) < self.frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENTH_NS: u64 = 100_000_000;

    fn sample(frames: u64, mirrored: u64) -> TrafficSample {
        TrafficSample { elapsed_ns: TENTH_NS, frames, mirrored }
    }

    #[test]
    fn dropping_starts_when_many_frames_arrive_and_few_are_mirrored() {
        for (frames, mirrored, on) in
            [(5_001, 0, true), (5_000, 0, false), (8_000, 3_999, true), (8_000, 4_000, false)]
        {
            let auto_filter = AutoFilter::Off.advance(&sample(frames, mirrored));
            assert_eq!(
                (auto_filter.is_dropping(), auto_filter.is_active()),
                (on, on),
                "{frames} {mirrored}"
            );
        }
    }

    #[test]
    fn the_probe_interval_grows_while_the_load_lasts() {
        let mut auto_filter = AutoFilter::Off;
        let mut dropped = Vec::new();
        for _ in 0..6 {
            auto_filter = auto_filter.advance(&sample(10_000, 0));
            let mut tenths = 0;
            while auto_filter.is_dropping() {
                // Mirrored frames are accepted meanwhile; these samples do not change the state.
                auto_filter = auto_filter.advance(&sample(10, 10));
                tenths += 1;
                assert!(auto_filter.is_active());
            }
            dropped.push(tenths);
        }
        assert_eq!(dropped, [10, 20, 40, 80, 100, 100]);
    }

    #[test]
    fn a_probe_stops_dropping_when_few_frames_arrive_or_most_are_mirrored() {
        let probing = AutoFilter::Probing { period_ns: FIRST_PERIOD_NS };
        assert_eq!(probing.advance(&sample(999, 0)), AutoFilter::Off);
        assert_eq!(probing.advance(&sample(20_000, 10_000)), AutoFilter::Off);
        assert!(probing.advance(&sample(1_000, 0)).is_dropping());
    }
}
