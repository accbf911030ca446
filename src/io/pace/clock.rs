//! The clock for pacing. It is a trait, so that tests run without real time.

use std::time::{Duration, Instant};

/// A monotonic clock that can wait.
pub trait Clock {
    /// Nanoseconds since a moment that is fixed for the life of the clock.
    fn now_ns(&self) -> u64;

    /// Waits at least `duration_ns` nanoseconds.
    fn sleep_ns(&self, duration_ns: u64);
}

/// The system's monotonic clock: it starts at zero and ignores changes of the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct MonotonicClock {
    start: Instant,
}

impl MonotonicClock {
    /// A clock that starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the monotonic clock")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for MonotonicClock {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "the only place that sleeps")]
    fn sleep_ns(&self, duration_ns: u64) {
        std::thread::sleep(Duration::from_nanos(duration_ns));
    }
}
