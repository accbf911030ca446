//! The circuit breaker: while the egress queue refuses copies, they are dropped without trying, so
//! that production traffic has the queue to itself.

/// How long the first pause is; each that follows at once is twice as long.
const FIRST_NS: u64 = 500_000;

/// The longest pause.
const LONGEST_NS: u64 = 64_000_000;

/// How long after a pause a refusal still counts as the same congestion.
const CALM_NS: u64 = 100_000_000;

/// Opens when the queue refuses, and closes again after a pause.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    until_ns: u64,
    pause_ns: u64,
}

impl CircuitBreaker {
    /// Whether it is open now: nothing may pass.
    pub(super) const fn is_open(&self, now_ns: u64) -> bool {
        now_ns < self.until_ns
    }

    /// The queue refused.
    pub(super) fn trip(&mut self, now_ns: u64) {
        let is_calm = now_ns > self.until_ns.saturating_add(CALM_NS);
        self.pause_ns = if is_calm || self.pause_ns == 0 {
            FIRST_NS
        } else {
            (self.pause_ns * 2).min(LONGEST_NS)
        };
        self.until_ns = now_ns.saturating_add(self.pause_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_each_trip_and_reset_after_a_quiet_time() {
        let mut breaker = CircuitBreaker::default();
        assert!(!breaker.is_open(0));
        let mut now = 1;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            breaker.trip(now);
            assert!(breaker.is_open(now));
            let begin = now;
            now = breaker.until_ns;
            assert!(!breaker.is_open(now));
            pauses.push(now - begin);
        }
        assert_eq!(pauses.first(), Some(&FIRST_NS));
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&LONGEST_NS));
        breaker.trip(now + CALM_NS + 1);
        assert_eq!(breaker.pause_ns, FIRST_NS);
    }
}
