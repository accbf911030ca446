//! When it pays that the kernel drops what nobody wants.
//!
//! Frames dropped there are not counted, so it is done only while they are many. And as nobody
//! sees them, all of them are let through for a moment now and then, to hear whether they still
//! come: the longer it lasts, the more seldom.
//!
//! ```text
//! off --(many, few mirrored)--> dropping --(time over)--> probing --(still so)--> dropping
//!  ^-----------------------------(few, or most mirrored)----'
//! ```

use super::TrafficSample;

/// More frames a second than this are many.
const HIGH_RATE: u64 = 50_000;

/// Fewer frames a second than this are few.
const LOW_RATE: u64 = 10_000;

const FIRST_PERIOD_NS: u64 = 1_000_000_000;
const MAX_PERIOD_NS: u64 = 10_000_000_000;

/// Where it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum AutoFilter {
    /// All comes through.
    #[default]
    Off,
    /// What nobody wants is dropped, for so long still out of so long.
    Dropping { left_ns: u64, period_ns: u64 },
    /// All comes through for a moment; then it may be dropped again for so long.
    Probing { period_ns: u64 },
}

impl AutoFilter {
    /// What comes next, after some time with such a load.
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

    /// Whether frames are dropped just now.
    pub(super) const fn is_dropping(self) -> bool {
        matches!(self, Self::Dropping { .. })
    }

    /// Whether it is on, be it that all comes through for a moment.
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
                // What is mirrored still comes through meanwhile, and says nothing.
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
