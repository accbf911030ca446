//! When it pays that the kernel drops what nobody wants.
//!
//! Frames dropped there are not counted, so it is done only while they are many. And as nobody
//! sees them, all of them are let through for a moment now and then, to hear whether they still
//! come: the longer it lasts, the more seldom.
//!
//! ```text
//! open --(many, few mirrored)--> dropping --(time over)--> looking --(still so)--> dropping
//!   ^-----------------------------(few, or most mirrored)----'
//! ```

use super::Load;

/// More frames a second than this are many.
const MANY: u64 = 50_000;

/// Fewer frames a second than this are few.
const FEW: u64 = 10_000;

const FIRST_STRETCH_NS: u64 = 1_000_000_000;
const LONGEST_STRETCH_NS: u64 = 10_000_000_000;

/// Where it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Switch {
    /// All comes through.
    #[default]
    Open,
    /// What nobody wants is dropped, for so long still out of so long.
    Dropping { left_ns: u64, stretch_ns: u64 },
    /// All comes through for a moment; then it may be dropped again for so long.
    Looking { stretch_ns: u64 },
}

impl Switch {
    /// What comes next, after some time with such a load.
    pub(super) fn after(self, load: &Load) -> Self {
        match self {
            Self::Open if load.frames_a_second() > MANY && load.is_mostly_unwanted() => {
                Self::dropping(FIRST_STRETCH_NS)
            }
            Self::Open => Self::Open,
            Self::Dropping { left_ns, stretch_ns } => {
                match left_ns.saturating_sub(load.elapsed_ns) {
                    0 => Self::Looking { stretch_ns },
                    left_ns => Self::Dropping { left_ns, stretch_ns },
                }
            }
            Self::Looking { .. } if load.frames_a_second() < FEW || !load.is_mostly_unwanted() => {
                Self::Open
            }
            Self::Looking { stretch_ns } => {
                Self::dropping(stretch_ns.saturating_mul(2).min(LONGEST_STRETCH_NS))
            }
        }
    }

    /// Whether frames are dropped just now.
    pub(super) const fn drops(self) -> bool {
        matches!(self, Self::Dropping { .. })
    }

    /// Whether it is on, be it that all comes through for a moment.
    pub(super) fn is_on(self) -> bool {
        self != Self::Open
    }

    const fn dropping(stretch_ns: u64) -> Self {
        Self::Dropping { left_ns: stretch_ns, stretch_ns }
    }
}

impl Load {
    fn frames_a_second(&self) -> u64 {
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

    fn load(frames: u64, mirrored: u64) -> Load {
        Load { elapsed_ns: TENTH_NS, frames, mirrored }
    }

    #[test]
    fn dropping_starts_when_many_frames_arrive_and_few_are_mirrored() {
        for (frames, mirrored, on) in
            [(5_001, 0, true), (5_000, 0, false), (8_000, 3_999, true), (8_000, 4_000, false)]
        {
            let switch = Switch::Open.after(&load(frames, mirrored));
            assert_eq!((switch.drops(), switch.is_on()), (on, on), "{frames} {mirrored}");
        }
    }

    #[test]
    fn the_probe_interval_grows_while_the_load_lasts() {
        let mut switch = Switch::Open;
        let mut dropped = Vec::new();
        for _ in 0..6 {
            switch = switch.after(&load(10_000, 0));
            let mut tenths = 0;
            while switch.drops() {
                // What is mirrored still comes through meanwhile, and says nothing.
                switch = switch.after(&load(10, 10));
                tenths += 1;
                assert!(switch.is_on());
            }
            dropped.push(tenths);
        }
        assert_eq!(dropped, [10, 20, 40, 80, 100, 100]);
    }

    #[test]
    fn a_probe_stops_dropping_when_few_frames_arrive_or_most_are_mirrored() {
        let looking = Switch::Looking { stretch_ns: FIRST_STRETCH_NS };
        assert_eq!(looking.after(&load(999, 0)), Switch::Open);
        assert_eq!(looking.after(&load(20_000, 10_000)), Switch::Open);
        assert!(looking.after(&load(1_000, 0)).drops());
    }
}
