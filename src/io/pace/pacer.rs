//! Computes due times with exact integer arithmetic. It has no clock: the caller passes the time.

use std::time::Duration;

use super::recorded_time::RecordedTime;
use super::speed::Speed;
use crate::model::Ratio;

const SECOND_NS: u64 = 1_000_000_000;

/// How long before its due time a copy may leave at a rate, in ns. A sleep lasts about 60 us too
/// long, so copies leave in small groups; 0.5 ms keeps well within the guaranteed 1 ms.
pub const RATE_AHEAD_NS: u64 = 500_000;

/// The same for recorded gaps, in ns: about the time by which a sleep is too long.
pub const RECORDED_AHEAD_NS: u64 = 50_000;

/// At a rate, a delay longer than this, in ns, is not made up for: a source that pauses for an hour
/// is not followed by an hour of copies at full speed.
const MAX_CATCH_UP_NS: u64 = SECOND_NS;

/// Computes when each copy is due. All times are nanoseconds of the caller's clock.
///
/// At a rate, copy number k (from 0) is due after the time that k copies, or the bits of the k
/// copies before it, take. This is computed from the start in integers, so it does not drift.
/// Example: at 3 packets/s copy 10,000 is due after 3,333,333,333,333 ns. As recorded, a copy is
/// due as long after the start of the pass as its frame is after the first frame, divided by the
/// speed: at 2x, a frame 10 ms after the first is due after 5 ms.
#[derive(Debug, Clone)]
pub struct Pacer {
    speed: Speed,
    start_ns: Option<u64>,
    last_due_ns: u64,
    counted: u64,
    recorded_time: RecordedTime,
}

impl Pacer {
    /// A pacer that starts with the first call of [`Self::due_ns`] or [`Self::observe`].
    #[must_use]
    pub fn new(speed: Speed) -> Self {
        let recorded_time = RecordedTime::default();
        Self { speed, start_ns: None, last_due_ns: 0, counted: 0, recorded_time }
    }

    /// The same pacer, but no recorded gap between two frames takes longer than `max_gap` at its
    /// speed. For a pacer that has not started.
    #[must_use]
    pub fn with_max_gap(mut self, max_gap: Duration) -> Self {
        if let Speed::Recorded(times) = self.speed {
            let max_gap_ns = u64::try_from(max_gap.as_nanos()).unwrap_or(u64::MAX);
            let recorded_ns = times.multiply(max_gap_ns);
            self.recorded_time = RecordedTime::with_max_gap(Some(recorded_ns));
        }
        self
    }

    /// The speed.
    #[must_use]
    pub const fn speed(&self) -> Speed {
        self.speed
    }

    /// How long before its due time a copy may leave.
    #[must_use]
    pub const fn ahead_ns(&self) -> u64 {
        match self.speed {
            Speed::Max => u64::MAX,
            Speed::Recorded(_) => RECORDED_AHEAD_NS,
            Speed::PacketsPerSecond(_) | Speed::BitsPerSecond(_) => RATE_AHEAD_NS,
        }
    }

    /// Begins a new pass over the capture, or another capture: the next frame is due when the last
    /// one was. Rates continue unchanged.
    pub fn begin_pass(&mut self) {
        self.recorded_time.restart();
        if let (Some(start_ns), Speed::Recorded(_)) = (&mut self.start_ns, self.speed) {
            *start_ns = self.last_due_ns.max(*start_ns);
        }
    }

    /// Records a frame, mirrored or not: recorded time runs from the first frame to the last.
    pub fn observe(&mut self, now_ns: u64, timestamp_ns: u64) {
        if let Speed::Recorded(times) = self.speed {
            let due_ns = self.recorded_due(times, now_ns, timestamp_ns);
            self.last_due_ns = self.last_due_ns.max(due_ns);
        }
    }

    /// Returns when the next copy is due; a repeated call returns the same. `timestamp_ns` is that
    /// of its frame, 0 if it has none.
    pub fn due_ns(&mut self, now_ns: u64, timestamp_ns: u64) -> u64 {
        match self.speed {
            Speed::Max => now_ns,
            Speed::Recorded(times) => self.recorded_due(times, now_ns, timestamp_ns),
            Speed::PacketsPerSecond(rate) | Speed::BitsPerSecond(rate) => {
                self.rate_due(rate, now_ns)
            }
        }
    }

    /// Counts a copy of `len` bytes as sent.
    pub fn count(&mut self, len: usize) {
        let units = match self.speed {
            Speed::BitsPerSecond(_) => u64::try_from(len).unwrap_or(u64::MAX).saturating_mul(8),
            _ => 1,
        };
        self.counted = self.counted.saturating_add(units);
    }

    fn rate_due(&mut self, rate: Ratio, now_ns: u64) -> u64 {
        let taken_ns = rate.divide(u128::from(self.counted) * u128::from(SECOND_NS));
        let start_ns = self.start_ns.get_or_insert(now_ns);
        let behind_ns = now_ns.saturating_sub(start_ns.saturating_add(taken_ns));
        *start_ns = start_ns.saturating_add(behind_ns.saturating_sub(MAX_CATCH_UP_NS));
        start_ns.saturating_add(taken_ns)
    }

    /// A frame without a timestamp, or with one before the first, is due at once.
    fn recorded_due(&mut self, times: Ratio, now_ns: u64, timestamp_ns: u64) -> u64 {
        let start_ns = *self.start_ns.get_or_insert(now_ns);
        if timestamp_ns == 0 {
            return start_ns;
        }
        let recorded_ns = self.recorded_time.observe(timestamp_ns);
        start_ns.saturating_add(times.divide(u128::from(recorded_ns)))
    }
}
