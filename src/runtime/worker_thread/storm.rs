//! Detects copies that return to the interface and are mirrored again and again.

use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use super::WorkerThread;
use crate::io::clock::Stopwatch;
use crate::model::Direction;
use crate::runtime::storm_detector::{StormAction, WorkerSample};

/// How often a pause checks whether the ring is half full.
const PAUSE_STEP: Duration = Duration::from_millis(1);

impl WorkerThread {
    /// Suspends sending if copies return to the interface and are mirrored again and again.
    pub(super) fn watch_for_storm(&mut self) {
        // Programs in the kernel cannot be paused.
        if self.programs.is_some() {
            return;
        }
        let sample = self.sample();
        let StormAction::Pause(half) = self.storm.observe(sample) else { return };
        let first_half = self.pause(half);
        let middle = self.sample();
        if first_half.is_break() || self.pause(half).is_break() {
            let end = self.sample();
            return self.storm.cancel_pause(end);
        }
        let end = self.sample();
        if let Some(length) = self.storm.end_pause(middle, end) {
            let targets = self.sink.inner_mut().suspend(length).join(", ");
            self.warnings.push(format!(
                "copies to {targets} come back to this interface and are mirrored again and again: \
                 sending to them is suspended for {} s",
                length.as_secs()
            ));
            self.publish_status();
        }
    }

    /// Reads no frames for this time. Ends early when the ring is half full, so that it does not
    /// overflow.
    pub(super) fn pause(&mut self, length: Duration) -> ControlFlow<()> {
        let stopwatch = Stopwatch::start();
        while let Some(left) = length.checked_sub(stopwatch.elapsed()).filter(|one| !one.is_zero())
        {
            if self.source.as_mut().is_some_and(|source| source.is_half_full()) {
                return ControlFlow::Break(());
            }
            thread::park_timeout(left.min(PAUSE_STEP));
        }
        ControlFlow::Continue(())
    }

    fn sample(&mut self) -> WorkerSample {
        self.count_lost();
        let counters = self.worker.counters();
        WorkerSample {
            at: self.running.elapsed(),
            frames: self.accounting.total().frames,
            copies: counters.mirrored(),
            egress_copies: counters.direction(Direction::Egress).mirrored,
            is_tunnelled: self.sink.inner().is_tunnelled(),
        }
    }
}
