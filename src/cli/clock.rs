//! The clock of the command line: how long a run took.

use std::time::{Duration, Instant, SystemTime};

/// Begins with the first call and never goes back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "the door through which a run's time comes in")]
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Seconds since 1970.
pub(super) fn unix_seconds() -> u64 {
    now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "the door through which the date comes in")]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}
