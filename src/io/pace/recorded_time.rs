//! The time of frames since the first one, in which long gaps are shortened.

use std::collections::VecDeque;

use crate::dataplane::MAX_BURST_LEN;

/// The end of a shortened gap: the timestamp of the frame after it, and that time without all gaps
/// up to it.
#[derive(Debug, Clone, Copy)]
struct GapEnd {
    timestamp_ns: u64,
    shortened_ns: u64,
}

/// Converts timestamps to the time since the first frame. A gap between two frames that is longer
/// than the limit takes only as long as the limit. Example with a limit of 1 s: frames at 0 s,
/// 10 s and 10.5 s become 0 s, 1 s and 1.5 s.
#[derive(Debug, Clone, Default)]
pub(super) struct RecordedTime {
    max_gap_ns: Option<u64>,
    /// The timestamp of the first frame.
    first_ns: Option<u64>,
    /// The highest timestamp.
    latest_ns: u64,
    /// The newest gap ends, in the order of their timestamps. A burst is observed as a whole before
    /// its copies leave, so as many are kept as it has frames.
    gap_ends: VecDeque<GapEnd>,
}

impl RecordedTime {
    pub(super) fn with_max_gap(max_gap_ns: Option<u64>) -> Self {
        Self { max_gap_ns, ..Self::default() }
    }

    /// Starts again with the next frame as the first.
    pub(super) fn restart(&mut self) {
        *self = Self::with_max_gap(self.max_gap_ns);
    }

    /// Records a frame, and returns its time since the first frame. A repeated call returns the
    /// same. A frame before the first has the time 0.
    pub(super) fn observe(&mut self, timestamp_ns: u64) -> u64 {
        let Some(first_ns) = self.first_ns else {
            (self.first_ns, self.latest_ns) = (Some(timestamp_ns), timestamp_ns);
            return 0;
        };
        let Some(max_gap_ns) = self.max_gap_ns else {
            return timestamp_ns.saturating_sub(first_ns);
        };
        if timestamp_ns.saturating_sub(self.latest_ns) > max_gap_ns {
            let shortened_ns = self.shortened(self.latest_ns, first_ns).saturating_add(max_gap_ns);
            if self.gap_ends.len() >= MAX_BURST_LEN {
                self.gap_ends.pop_front();
            }
            self.gap_ends.push_back(GapEnd { timestamp_ns, shortened_ns });
        }
        self.latest_ns = self.latest_ns.max(timestamp_ns);
        self.shortened(timestamp_ns, first_ns)
    }

    /// The time without gaps. A time within a gap is at most the end of the gap.
    fn shortened(&self, timestamp_ns: u64, first_ns: u64) -> u64 {
        let later = self.gap_ends.partition_point(|end| end.timestamp_ns <= timestamp_ns);
        let before = later.checked_sub(1).and_then(|at| self.gap_ends.get(at)).copied();
        let before = before.unwrap_or(GapEnd { timestamp_ns: first_ns, shortened_ns: 0 });
        let since_ns = timestamp_ns.saturating_sub(before.timestamp_ns);
        let shortened_ns = before.shortened_ns.saturating_add(since_ns);
        let limit_ns = self.gap_ends.get(later).map_or(u64::MAX, |end| end.shortened_ns);
        shortened_ns.min(limit_ns)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(max_gap_ns: Option<u64>, timestamps: &[u64]) -> Vec<u64> {
        let mut time = RecordedTime::with_max_gap(max_gap_ns);
        timestamps.iter().map(|timestamp| time.observe(*timestamp)).collect()
    }

    #[test]
    fn long_gaps_are_shortened() {
        let timestamps = [1_000, 1_010, 2_000, 2_005, 2_015, 9_000];
        assert_eq!(times(None, &timestamps), [0, 10, 1_000, 1_005, 1_015, 8_000]);
        assert_eq!(times(Some(10), &timestamps), [0, 10, 20, 25, 35, 45]);
        assert_eq!(times(Some(1_000), &timestamps), [0, 10, 1_000, 1_005, 1_015, 2_015]);
        // Back in time: not later than the frame after the gap.
        assert_eq!(times(Some(10), &[1_000, 2_000, 1_900, 1_004, 2_003]), [0, 10, 10, 4, 13]);
    }

    #[test]
    fn a_restart_begins_at_zero() {
        let mut time = RecordedTime::with_max_gap(Some(10));
        time.observe(5);
        assert_eq!(time.observe(500), 10);
        time.restart();
        assert_eq!((time.observe(7), time.observe(8), time.observe(80)), (0, 1, 11));
    }

    proptest! {
        /// A burst is observed first, and the copies of its frames ask again.
        #[test]
        fn a_burst_gives_the_same_times_as_single_frames(
            gaps in proptest::collection::vec(0_u64..100, 1..300),
            max_gap_ns in 1_u64..100,
        ) {
            let mut timestamp = 1_000;
            let timestamps: Vec<_> = gaps.iter().map(|gap| { timestamp += gap; timestamp }).collect();
            let mut expected = 0;
            let expected: Vec<_> = gaps.iter().enumerate().map(|(at, gap)| {
                expected += if at == 0 { 0 } else { *gap.min(&max_gap_ns) };
                expected
            }).collect();
            prop_assert_eq!(&times(Some(max_gap_ns), &timestamps), &expected);
            let mut time = RecordedTime::with_max_gap(Some(max_gap_ns));
            timestamps.iter().for_each(|one| { time.observe(*one); });
            let again: Vec<_> = timestamps.iter().map(|one| time.observe(*one)).collect();
            prop_assert_eq!(again, expected);
        }
    }
}
