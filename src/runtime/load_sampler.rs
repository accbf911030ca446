//! Samples the counters of a worker about ten times a second to compute its load.

use std::time::Duration;

use crate::dataplane::Counters;
use crate::io::clock::Stopwatch;
use crate::io::live::TrafficSample;

/// The shortest time between two samples.
const INTERVAL: Duration = Duration::from_millis(100);

/// The counters at the last sample.
pub(super) struct LoadSampler {
    since: Stopwatch,
    received: u64,
    mirrored: u64,
}

impl LoadSampler {
    pub(super) fn start() -> Self {
        Self { since: Stopwatch::start(), received: 0, mirrored: 0 }
    }

    /// The load since the last sample; none before the interval is over.
    #[inline]
    pub(super) fn sample(&mut self, counters: &Counters) -> Option<TrafficSample> {
        let elapsed = self.since.elapsed();
        (elapsed >= INTERVAL).then(|| self.sample_now(counters, elapsed))
    }

    #[cold]
    fn sample_now(&mut self, counters: &Counters, elapsed: Duration) -> TrafficSample {
        let (received, mirrored) = (counters.received, counters.mirrored());
        let load = TrafficSample {
            elapsed_ns: u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX),
            frames: received.saturating_sub(self.received),
            mirrored: mirrored.saturating_sub(self.mirrored),
        };
        *self = Self { since: Stopwatch::start(), received, mirrored };
        load
    }
}
