//! Releases the copies of a queue in groups when they are due.

use super::{Clock, Pacer, Speed};
use crate::io::StopFlag;

/// The longest single sleep in ns, which bounds the delay of a stop.
const MAX_SLEEP_NS: u64 = 50_000_000;

/// The properties of a copy that pacing depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct PacedCopy {
    /// The timestamp of its frame; 0 if it has none.
    pub(super) timestamp_ns: u64,
    /// Its length in bytes.
    pub(super) len: usize,
}

/// A pacer, the clock for waiting, and the flag that ends all waiting.
#[derive(Debug)]
pub(super) struct DepartureScheduler<C> {
    pub(super) clock: C,
    pub(super) pacer: Pacer,
    pub(super) stop: StopFlag,
}

impl<C: Clock> DepartureScheduler<C> {
    /// Waits until copies of the queue may leave and counts them as sent. Returns their number, at
    /// least one unless the queue is empty; `None` once the flag is set.
    pub(super) fn await_group<Q>(&mut self, queue: Q) -> Option<usize>
    where
        Q: Iterator<Item = PacedCopy> + Clone,
    {
        loop {
            if self.stop.is_set() {
                return None;
            }
            match self.due_now(queue.clone()) {
                Ok(group_len) => return Some(group_len),
                Err(due_ns) => self.sleep_until(due_ns),
            }
        }
    }

    /// The number of copies that may leave now, or the due time of the first if none may.
    fn due_now(&mut self, queue: impl Iterator<Item = PacedCopy>) -> Result<usize, u64> {
        let now_ns = self.clock.now_ns();
        let horizon_ns = now_ns.saturating_add(self.pacer.ahead_ns());
        let mut group_len = 0;
        for paced_copy in queue {
            let due_ns = self.pacer.due_ns(now_ns, paced_copy.timestamp_ns);
            if due_ns > horizon_ns {
                return if group_len == 0 { Err(due_ns) } else { Ok(group_len) };
            }
            self.pacer.count(paced_copy.len);
            group_len += 1;
        }
        Ok(group_len)
    }

    /// At a rate, sleeps until the first copy is due, so that copies due a little later leave with
    /// it. With recorded gaps, wakes up as early as the first copy may leave.
    fn sleep_until(&self, due_ns: u64) {
        let early_ns = match self.pacer.speed() {
            Speed::Recorded(_) => self.pacer.ahead_ns(),
            _ => 0,
        };
        let wait_ns = due_ns.saturating_sub(early_ns).saturating_sub(self.clock.now_ns());
        if wait_ns > 0 {
            self.clock.sleep_ns(wait_ns.min(MAX_SLEEP_NS));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    /// A clock that advances only in sleeps, each of which lasts too long.
    #[derive(Debug)]
    struct FakeClock {
        now_ns: Cell<u64>,
        overshoot_ns: u64,
        stop_at_ns: u64,
        stop: StopFlag,
    }

    impl Clock for FakeClock {
        fn now_ns(&self) -> u64 {
            self.now_ns.get()
        }

        fn sleep_ns(&self, duration_ns: u64) {
            assert!(duration_ns <= MAX_SLEEP_NS);
            self.now_ns.set(self.now_ns.get() + duration_ns + self.overshoot_ns);
            if self.now_ns.get() >= self.stop_at_ns {
                self.stop.set();
            }
        }
    }

    fn scheduler(speed: &str, overshoot_ns: u64) -> DepartureScheduler<FakeClock> {
        let stop = StopFlag::new();
        let clock = FakeClock {
            now_ns: Cell::new(7_000_000_000),
            overshoot_ns,
            stop_at_ns: u64::MAX,
            stop: stop.clone(),
        };
        DepartureScheduler { clock, pacer: Pacer::new(speed.parse().unwrap()), stop }
    }

    /// Sends bursts of 64 through the scheduler and returns when each copy left, relative to the
    /// start.
    fn departures(scheduler: &mut DepartureScheduler<FakeClock>, queue: &[PacedCopy]) -> Vec<u64> {
        let start_ns = scheduler.clock.now_ns();
        let mut left_at = Vec::new();
        for burst in queue.chunks(64) {
            let mut first = 0;
            while first < burst.len() {
                let Some(group_len) = scheduler.await_group(burst[first..].iter().copied()) else {
                    return left_at;
                };
                let now_ns = scheduler.clock.now_ns() - start_ns;
                left_at.extend(std::iter::repeat_n(now_ns, group_len));
                first += group_len;
            }
        }
        left_at
    }

    fn alike(count: usize, len: usize) -> Vec<PacedCopy> {
        vec![PacedCopy { timestamp_ns: 0, len }; count]
    }

    fn at(times: &[u64]) -> Vec<PacedCopy> {
        times.iter().map(|time| PacedCopy { timestamp_ns: *time, len: 100 }).collect()
    }

    proptest! {
        #[test]
        fn a_packet_rate_is_not_exceeded(
            pps in 1_u64..3_000_000,
            count in 2_usize..20_000,
            overshoot_ns in 0_u64..200_000,
        ) {
            let mut scheduler = scheduler(&format!("{pps}pps"), overshoot_ns);
            let left_at = departures(&mut scheduler, &alike(count, 100));
            prop_assert_eq!(left_at.len(), count);
            for (index, left_ns) in left_at.iter().enumerate() {
                let due_ns = u64::try_from(index).unwrap() * 1_000_000_000 / pps;
                prop_assert!(left_ns + MS > due_ns, "{} ns left at {}", due_ns, left_ns);
                prop_assert!(*left_ns <= due_ns + overshoot_ns.max(1), "late: {} at {}", due_ns, left_ns);
            }
        }

        #[test]
        fn a_bit_rate_is_not_exceeded_for_any_lengths(
            kbps in 10_u64..10_000_000,
            lens in proptest::collection::vec(50_usize..9_000, 2..2_000),
        ) {
            let copies = lens.iter().map(|len| PacedCopy { timestamp_ns: 0, len: *len });
            let queue: Vec<_> = copies.collect();
            let left_at = departures(&mut scheduler(&format!("{kbps}kbps"), 60_000), &queue);
            let mut bits = 0_u64;
            for (left_ns, len) in left_at.iter().zip(&lens) {
                let due_ns = bits * 1_000_000 / kbps;
                prop_assert!(left_ns + MS > due_ns && *left_ns <= due_ns + 60_000);
                bits += u64::try_from(*len).unwrap() * 8;
            }
        }

        #[test]
        fn recorded_gaps_are_kept_and_backward_times_do_not_wait(
            gaps_us in proptest::collection::vec(-2_000_i64..20_000, 1..500),
            tenths in 1_u64..100,
        ) {
            let mut time_ns = 1_700_000_000_000_000_000_u64;
            let times: Vec<_> = std::iter::once(time_ns).chain(gaps_us.iter().map(|gap| {
                time_ns = time_ns.checked_add_signed(gap * 1_000).unwrap();
                time_ns
            })).collect();
            let speed = format!("{}.{}x", tenths / 10, tenths % 10);
            let left_at = departures(&mut scheduler(&speed, 60_000), &at(&times));
            let mut latest_ns = 0;
            for (left_ns, time) in left_at.iter().zip(&times) {
                let due_ns = time.saturating_sub(times[0]) * 10 / tenths;
                latest_ns = due_ns.max(latest_ns);
                prop_assert!(left_ns + MS > due_ns);
                prop_assert!(*left_ns <= latest_ns + 60_000);
            }
        }
    }

    #[test]
    fn a_rate_does_not_drift_over_hours() {
        let mut scheduler = scheduler("0.3pps", 60_000);
        let left_at = departures(&mut scheduler, &alike(10_001, 100));
        let exact_ns = 10_000 * 10_000_000_000_u64 / 3;
        assert!(left_at[10_000].abs_diff(exact_ns) < MS);
    }

    #[test]
    fn a_short_delay_is_compensated_and_a_long_one_is_not() {
        let mut scheduler = scheduler("1kpps", 0);
        assert_eq!(departures(&mut scheduler, &alike(1, 100)), [0]);
        scheduler.clock.now_ns.set(scheduler.clock.now_ns() + 500 * MS);
        let caught_up = departures(&mut scheduler, &alike(1_000, 100));
        assert_eq!(caught_up.iter().filter(|left_ns| **left_ns == 0).count(), 500);
        scheduler.clock.now_ns.set(scheduler.clock.now_ns() + 3_600_000 * MS);
        let after_an_hour = departures(&mut scheduler, &alike(3_000, 100));
        assert!(after_an_hour.iter().filter(|left_ns| **left_ns == 0).count() <= 1_002);
    }

    #[test]
    fn each_pass_starts_where_the_last_ended() {
        let mut scheduler = scheduler("original", 0);
        let pass = at(&[5_000 * MS, 5_010 * MS, 5_030 * MS]);
        let start_ns = scheduler.clock.now_ns();
        for round in 0..3 {
            scheduler.pacer.begin_pass();
            for paced_copy in &pass {
                scheduler.pacer.observe(scheduler.clock.now_ns(), paced_copy.timestamp_ns);
            }
            departures(&mut scheduler, &pass);
            let taken_ns = scheduler.clock.now_ns() - start_ns;
            assert!(taken_ns.abs_diff((round + 1) * 30 * MS) < MS, "{taken_ns}");
        }
    }

    #[test]
    fn frames_that_are_not_mirrored_count_for_the_recorded_time() {
        let mut scheduler = scheduler("2x", 0);
        for time in [1_000 * MS, 1_100 * MS] {
            scheduler.pacer.observe(scheduler.clock.now_ns(), time);
        }
        let left_at = departures(&mut scheduler, &at(&[1_100 * MS]));
        assert!(left_at[0].abs_diff(50 * MS) < MS);
    }

    #[test]
    fn a_frame_without_a_time_does_not_wait() {
        let left_at = departures(&mut scheduler("original", 0), &at(&[0, 10 * MS, 0, 11 * MS]));
        assert!(left_at.iter().all(|left_ns| *left_ns <= MS), "{left_at:?}");
    }

    #[test]
    fn long_gaps_take_at_most_the_limit_at_each_speed() {
        for (speed, due_ms) in [("original", [0, 10, 510, 1_010]), ("2x", [0, 5, 505, 1_005])] {
            let mut scheduler = scheduler(speed, 0);
            scheduler.pacer = scheduler.pacer.with_max_gap(Duration::from_millis(500));
            let start_ms = 5_000;
            let recorded = [0, 10, 60_010, 3_600_000].map(|time| (start_ms + time) * MS);
            // The third frame is not mirrored.
            recorded.iter().for_each(|time| scheduler.pacer.observe(7_000_000_000, *time));
            let left_at = departures(&mut scheduler, &at(&[recorded[0], recorded[1], recorded[3]]));
            for (left_ns, due_ms) in left_at.iter().zip([due_ms[0], due_ms[1], due_ms[3]]) {
                assert!(left_ns.abs_diff(due_ms * MS) < MS, "{speed}: {left_ns} for {due_ms} ms");
            }
            assert_eq!(left_at.len(), 3);
        }
    }

    #[test]
    fn a_stop_interrupts_a_long_gap() {
        let mut scheduler = scheduler("original", 0);
        scheduler.clock.stop_at_ns = scheduler.clock.now_ns() + 120 * MS;
        let left_at = departures(&mut scheduler, &at(&[MS, 3_600_000 * MS]));
        assert_eq!(left_at, [0]);
        assert!(scheduler.clock.now_ns() <= 7_000_000_000 + 170 * MS);
    }
}
