//! The time of single packets. Averages over rounds do not show how much it varies.

use std::time::Duration;

use super::stage::Stage;
use super::stage_runner::StageRunner;
use super::statistics::LatencyStatistics;
use crate::dataplane::StepError;
use crate::io::clock::Stopwatch;

/// How often the clock is read to measure the time of reading it.
const CLOCK_READINGS: usize = 1001;

/// Sends `samples` packets through a stage one by one, and measures the time of each. The packets
/// are repeated if there are fewer.
///
/// Runs after the rounds and on one thread, so that reading the clock does not change the averages.
///
/// # Errors
/// [`StepError`] if the stage fails.
pub(super) fn measure(
    runner: &mut StageRunner<'_>,
    stage: Stage,
    samples: usize,
) -> Result<LatencyStatistics, StepError> {
    let clock_time = clock_time();
    let mut times = Vec::with_capacity(samples);
    for index in (0..runner.packets()).cycle().take(samples) {
        let stopwatch = Stopwatch::start();
        runner.run_packet(stage, index)?;
        times.push(nanoseconds(stopwatch.elapsed().saturating_sub(clock_time)));
    }
    Ok(LatencyStatistics::new(times))
}

/// The median time between two readings of the clock.
fn clock_time() -> Duration {
    let mut times = [Duration::ZERO; CLOCK_READINGS];
    times.fill_with(|| Stopwatch::start().elapsed());
    times.sort_unstable();
    times.get(CLOCK_READINGS / 2).copied().unwrap_or_default()
}

/// At most `u64::MAX` nanoseconds.
pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
