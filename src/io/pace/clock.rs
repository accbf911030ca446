//! The clock that the program waits by.

use std::time::{Duration, Instant};

/// Time that only goes forward, and waiting for it.
pub trait Clock {
    /// Nanoseconds since some moment that stays the same for the life of the clock.
    fn now_ns(&self) -> u64;

    /// Waits at least so many nanoseconds.
    fn sleep_ns(&self, duration_ns: u64);
}

/// The real clock: it starts at zero and does not follow changes of the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct MonotonicClock {
    start: Instant,
}

impl MonotonicClock {
    /// A clock whose zero is now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door that time comes in through")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for MonotonicClock {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that waits")]
    fn sleep_ns(&self, duration_ns: u64) {
        std::thread::sleep(Duration::from_nanos(duration_ns));
    }
}
