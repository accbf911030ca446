//! Instructions and cache misses, as the processor counts them (perf_event_open(2)).
//!
//! Many virtual machines and containers have no such counters; the counts are absent then.

use perf_event::events::{Event, Hardware};
use perf_event::{Builder, Counter};
use serde::Serialize;

/// Counters of this thread in user mode. They need no privileges if `perf_event_paranoid` is at
/// most 2.
pub(super) struct PerfCounters {
    instructions: Option<Counter>,
    cache_misses: Option<Counter>,
}

/// Counts per packet; `None` if the machine has no such counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct PerfCounts {
    /// Instructions in user mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<f64>,
    /// Cache misses, of the level that the processor counts (usually the last).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_misses: Option<f64>,
}

impl PerfCounters {
    /// Opens the counters that the machine has.
    pub(super) fn open() -> Self {
        Self {
            instructions: counter(Hardware::INSTRUCTIONS),
            cache_misses: counter(Hardware::CACHE_MISSES),
        }
    }

    /// Counts while `work` runs and divides by `packets`. Without counters, `work` does not run.
    pub(super) fn measure<E>(
        &mut self,
        packets: usize,
        work: impl FnOnce() -> Result<(), E>,
    ) -> Result<PerfCounts, E> {
        if self.instructions.is_none() && self.cache_misses.is_none() {
            return Ok(PerfCounts::default());
        }
        let mut counters = [self.instructions.as_mut(), self.cache_misses.as_mut()];
        // A counter that cannot start stays at 0, which is omitted below.
        for counter in counters.iter_mut().flatten() {
            let _ = counter.reset().and_then(|()| counter.enable());
        }
        let done = work();
        for counter in counters.iter_mut().flatten() {
            let _ = counter.disable();
        }
        done?;
        let [instructions, cache_misses] = counters.map(|counter| {
            let count = counter?.read().ok().filter(|count| *count > 0)?;
            Some(per_packet(count, packets))
        });
        Ok(PerfCounts { instructions, cache_misses })
    }
}

fn counter<E: Event>(event: E) -> Option<Counter> {
    Builder::new(event).build().ok()
}

/// Rounded down to thousandths.
fn per_packet(count: u64, packets: usize) -> f64 {
    let thousandths = count.saturating_mul(1000) / u64::try_from(packets).unwrap_or(1).max(1);
    f64::from(u32::try_from(thousandths).unwrap_or(u32::MAX)) / 1000.0
}

#[cfg(test)]
mod tests {
    use perf_event::events::Software;

    use super::*;

    fn spin() -> Result<(), ()> {
        std::hint::black_box((0..100_000_u64).map(std::hint::black_box).sum::<u64>());
        Ok(())
    }

    #[test]
    fn counters_are_reported_per_packet() {
        let Some(clock) = counter(Software::TASK_CLOCK) else {
            println!("NOT RUN: this kernel gives no counters");
            return;
        };
        let mut events = PerfCounters { instructions: Some(clock), cache_misses: None };
        let counts = events.measure(10, spin).unwrap();
        assert!(counts.instructions.unwrap() > 0.0 && counts.cache_misses.is_none());
        assert!(events.measure(10, || Err(())).is_err());
    }

    #[test]
    fn missing_counters_give_empty_counts() {
        let mut none = PerfCounters { instructions: None, cache_misses: None };
        assert_eq!(none.measure(10, || Err(())), Ok(PerfCounts::default()));
        assert!(PerfCounters::open().measure(1, spin).is_ok());
    }

    #[test]
    fn per_packet_divides_by_the_packet_count() {
        assert_eq!((per_packet(1500, 1000), per_packet(7, 0)), (1.5, 7.0));
    }
}
