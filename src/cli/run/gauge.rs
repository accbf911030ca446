//! Reads from a worker's counters, about ten times a second, what came of late.

use std::time::Duration;

use crate::cli::clock::Stopwatch;
use crate::dataplane::Counters;
use crate::io::live::Load;

const A_WHILE: Duration = Duration::from_millis(100);

/// What stood on the counters when they were last read.
pub(super) struct Gauge {
    since: Stopwatch,
    received: u64,
    mirrored: u64,
}

impl Gauge {
    pub(super) fn start() -> Self {
        Self { since: Stopwatch::start(), received: 0, mirrored: 0 }
    }

    /// What was counted since, when a while is over.
    #[inline]
    pub(super) fn read(&mut self, counters: &Counters) -> Option<Load> {
        let elapsed = self.since.elapsed();
        (elapsed >= A_WHILE).then(|| self.read_on(counters, elapsed))
    }

    #[cold]
    fn read_on(&mut self, counters: &Counters, elapsed: Duration) -> Load {
        let (received, mirrored) = (counters.received, counters.mirrored());
        let load = Load {
            elapsed_ns: u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX),
            frames: received.saturating_sub(self.received),
            mirrored: mirrored.saturating_sub(self.mirrored),
        };
        *self = Self { since: Stopwatch::start(), received, mirrored };
        load
    }
}
