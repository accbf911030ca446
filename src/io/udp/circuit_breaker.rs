//! The circuit breaker: after the egress queue refused a copy, copies are dropped without an
//! attempt for a pause, so that production traffic has the queue for itself. Pauses double from 0.5
//! ms to 64 ms while refusals continue: 0.5, 1, 2, ... 64, 64 ms. After 100 ms without a refusal
//! the next pause is 0.5 ms again. A queue that never refuses the new packet but drops another one,
//! such as fq_codel, does not open the circuit breaker.

/// The first pause in ns; each pause of the same congestion is twice as long as the previous one.
const FIRST_NS: u64 = 500_000;

/// The longest pause in ns.
const LONGEST_NS: u64 = 64_000_000;

/// How long in ns after a pause a refusal counts as the same congestion.
const CALM_NS: u64 = 100_000_000;

/// Opens when the queue refuses a copy, and closes after a pause.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    until_ns: u64,
    pause_ns: u64,
}

impl CircuitBreaker {
    /// Whether it is open now: copies are dropped.
    pub(super) const fn is_open(&self, now_ns: u64) -> bool {
        now_ns < self.until_ns
    }

    /// Records that the queue refused a copy.
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
