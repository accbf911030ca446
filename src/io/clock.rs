//! Elapsed time and the time of day. All clocks of the program are read here.

use std::time::{Duration, Instant, SystemTime};

/// Measures the time since its start with a monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts the measurement.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "elapsed time enters the program here")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Seconds since 1970-01-01, UTC.
#[must_use]
pub fn unix_seconds() -> u64 {
    now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The time of day.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the time of day enters the program here")]
pub fn now() -> SystemTime {
    SystemTime::now()
}
