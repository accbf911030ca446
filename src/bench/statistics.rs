//! Statistics of measured times: of whole rounds, and of single packets.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds per packet, averaged over each round: the time of a round divided by its packets.
///
/// These are statistics over rounds. For the time of single packets, see [`LatencyStatistics`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TimingStatistics {
    /// The fastest round.
    pub min: f64,
    /// The median round.
    pub median: f64,
    /// The 99th percentile of the rounds; with fewer than 100 rounds, one of the slowest two.
    #[serde(default)]
    pub p99: f64,
}

/// Nanoseconds that a single packet takes when it is processed alone, in a burst of one.
///
/// Alone, a packet pays the whole cost of a burst, so that the median is above the average in full
/// bursts. The time of reading the clock is subtracted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LatencyStatistics {
    /// The median packet.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The 99.9th percentile.
    pub p99_9: u64,
    /// The slowest packet.
    pub max: u64,
}

impl TimingStatistics {
    /// From the time of each round, in each of which this number of packets is processed.
    pub(super) fn new(mut times: Vec<Duration>, packets: usize) -> Self {
        times.sort_unstable();
        let packets = f64::from(u32::try_from(packets).unwrap_or(u32::MAX)).max(1.0);
        let at = |percent: usize| {
            let index = (times.len().saturating_sub(1)) * percent / 100;
            let time = times.get(index).copied().unwrap_or_default();
            // The clock does not resolve less than a hundredth of a nanosecond per packet.
            (time.as_secs_f64() * 1e9 / packets * 100.0).round() / 100.0
        };
        Self { min: at(0), median: at(50), p99: at(99) }
    }

    /// Millions of packets per second in the fastest round.
    #[must_use]
    pub fn mpps(&self) -> f64 {
        (1e5 / self.min.max(0.01)).round() / 100.0
    }
}

impl LatencyStatistics {
    /// From the nanoseconds of each packet. A percentile is the value at the nearest rank: the
    /// smallest value that is not exceeded by that share of all values.
    pub(super) fn new(mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        let at = |per_mille: usize| {
            let rank = (times.len() * per_mille).div_ceil(1000);
            times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Self { p50: at(500), p99: at(990), p99_9: at(999), max: at(1000) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_statistics_are_averages_per_packet() {
        let times = (1..=100).map(Duration::from_micros).collect();
        let TimingStatistics { min, median, p99 } = TimingStatistics::new(times, 1000);
        assert_eq!([min, median, p99], [1.0, 50.0, 99.0]);
    }

    #[test]
    fn latency_percentiles_are_the_values_at_the_nearest_rank() {
        let all = LatencyStatistics::new((1..=2000).rev().collect());
        assert_eq!([all.p50, all.p99, all.p99_9, all.max], [1000, 1980, 1998, 2000]);
        let one = LatencyStatistics::new(vec![7]);
        assert_eq!([one.p50, one.p99, one.p99_9, one.max], [7; 4]);
        assert_eq!(LatencyStatistics::new(Vec::new()), LatencyStatistics::default());
    }
}
