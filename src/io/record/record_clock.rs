//! Timestamps of pcap records: seconds, and a fraction of a second.
//!
//! Successive records are mostly of the same second, which a subtraction finds; only the first
//! record of a second needs a division.

use super::format::{Precision, RECORD_HEADER_LEN};

const SECOND_NS: u64 = 1_000_000_000;

/// Divides timestamps into seconds and nanoseconds, and remembers the last second.
#[derive(Debug, Default)]
pub(super) struct RecordClock {
    /// The start of the last second, in nanoseconds since 1970.
    second_start_ns: u64,
    /// The same second, in seconds since 1970.
    seconds: u32,
}

/// The time of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordTime {
    seconds: u32,
    nanoseconds: u32,
}

impl RecordClock {
    /// The time of a record. A timestamp after 2106 gets the last second of the format.
    #[inline(always)]
    pub(super) fn time(&mut self, timestamp_ns: u64) -> RecordTime {
        let mut since = timestamp_ns.wrapping_sub(self.second_start_ns);
        if since >= SECOND_NS {
            since = self.change_second(timestamp_ns);
        }
        let nanoseconds = u32::try_from(since).unwrap_or_default();
        RecordTime { seconds: self.seconds, nanoseconds }
    }

    /// Remembers another second. Returns the nanoseconds since its start.
    #[cold]
    #[inline(never)]
    fn change_second(&mut self, timestamp_ns: u64) -> u64 {
        let since = timestamp_ns % SECOND_NS;
        self.second_start_ns = timestamp_ns - since;
        self.seconds = u32::try_from(timestamp_ns / SECOND_NS).unwrap_or(u32::MAX);
        since
    }
}

impl RecordTime {
    /// Whether it is a whole number of microseconds.
    #[inline(always)]
    pub(super) const fn is_whole_microseconds(self) -> bool {
        self.nanoseconds.is_multiple_of(1_000)
    }

    /// The header of a record whose captured length and wire length are `len` bytes.
    #[inline(always)]
    pub(super) fn record_header(self, len: usize, precision: Precision) -> [u8; RECORD_HEADER_LEN] {
        let fraction = match precision {
            Precision::Micro => self.nanoseconds / 1_000,
            Precision::Nano => self.nanoseconds,
        };
        let len = u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
        let mut header = [0; RECORD_HEADER_LEN];
        header[0..4].copy_from_slice(&self.seconds.to_le_bytes());
        header[4..8].copy_from_slice(&fraction.to_le_bytes());
        header[8..12].copy_from_slice(&len);
        header[12..16].copy_from_slice(&len);
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_do_not_depend_on_the_previous_time() {
        let last = u64::from(u32::MAX) * SECOND_NS;
        let mut clock = RecordClock::default();
        for timestamp_ns in
            [5, 0, SECOND_NS - 1, SECOND_NS, 3, 7 * SECOND_NS + 9, last, last - 1, last + 1, 4]
        {
            assert_eq!(clock.time(timestamp_ns), RecordClock::default().time(timestamp_ns));
            let time = clock.time(timestamp_ns);
            let whole = u64::from(time.seconds) * SECOND_NS + u64::from(time.nanoseconds);
            assert_eq!(whole, timestamp_ns);
        }
    }

    #[test]
    fn a_time_after_2106_gets_the_last_second() {
        let mut clock = RecordClock::default();
        for timestamp_ns in [u64::MAX, u64::MAX - 1] {
            let time = clock.time(timestamp_ns);
            assert_eq!(time.seconds, u32::MAX);
            assert_eq!(u64::from(time.nanoseconds), timestamp_ns % SECOND_NS);
        }
    }
}
