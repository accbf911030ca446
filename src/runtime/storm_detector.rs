//! Detects a loop of copies that cannot be recognised in the frames themselves.
//!
//! If copies leave through a VPN whose packets pass the mirrored interface, each copy returns
//! encrypted and is mirrored again, without end. Such frames look like any others, but they stop as
//! soon as no copies are sent. So when frames arrive continuously, the worker pauses for 20 ms, at
//! every fourth attempt for 80 ms, and checks whether they still arrive. The ring stores the frames
//! of the pause. The pause ends early when half of the ring is in use, so that it does not overflow;
//! frames that fill it have not stopped.
//!
//! ```text
//! frames in 10 ms   31 30 33 29 | pause: 12 0 | 30 31 32 33 | 11 0 | 31 30 29 32 | 13 0   a loop
//!                   31 30 33 29 | pause: 30 31 | ...                            other traffic
//! ```
//!
//! It is a storm if the frames stop during three pauses in a row. Traffic in bursts is not
//! examined, because it also stops without a pause.

use std::time::Duration;

/// Frames are counted in windows of this length.
const WINDOW: Duration = Duration::from_millis(10);

/// The number of windows in a row with at least [`MIN_FRAMES`] before each pause.
const WINDOWS_BEFORE_PAUSE: usize = 8;

/// The minimum number of frames in each window: 1000 frames/s. Slower traffic is not a storm.
const MIN_FRAMES: u64 = 10;

/// Frames have stopped if fewer than 1/10 of those of a normal window arrive during a pause.
const SILENCE_DIVISOR: u64 = 10;

/// The number of pauses in a row during which frames stop that make a storm.
const SILENCED_PAUSES: u32 = 3;

/// The time to the next attempt after a pause during which frames did not stop; it doubles each
/// time.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(64);

/// How long sending is suspended after the first storm; it doubles with each further storm.
const FIRST_SUSPENSION: Duration = Duration::from_secs(10);
const MAX_SUSPENSION: Duration = Duration::from_secs(300);

/// The next action of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StormAction {
    /// Continue.
    Continue,
    /// Read no frames for twice this time, and count the frames that arrive in the second half. End
    /// the pause with [`StormDetector::cancel_pause`] if the ring is half full.
    Pause(Duration),
}

/// The counts of a worker since its start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WorkerSample {
    /// The time of the sample since the start of the worker.
    pub(super) at: Duration,
    /// Frames that arrived at the ring.
    pub(super) frames: u64,
    /// Copies of all frames, and copies of egress frames.
    pub(super) copies: u64,
    pub(super) egress_copies: u64,
    /// Whether copies leave through a tunnel.
    pub(super) is_tunnelled: bool,
}

/// Watches the frames of one worker.
#[derive(Debug)]
pub(super) struct StormDetector {
    last: WorkerSample,
    /// The fewest frames in a window since the last pause, and the number of windows.
    fewest: u64,
    windows: usize,
    silenced: u32,
    attempts: u32,
    /// The earliest time of the next attempt.
    next_attempt: Duration,
    backoff: Duration,
    next_suspension: Duration,
}

impl StormDetector {
    pub(super) fn new() -> Self {
        Self {
            last: WorkerSample::default(),
            fewest: u64::MAX,
            windows: 0,
            silenced: 0,
            attempts: 0,
            next_attempt: Duration::ZERO,
            backoff: Duration::ZERO,
            next_suspension: FIRST_SUSPENSION,
        }
    }

    /// Whether the current window is over, so that [`StormDetector::observe`] must be called.
    #[inline]
    pub(super) fn is_due(&self, at: Duration) -> bool {
        at.saturating_sub(self.last.at) >= WINDOW
    }

    /// Evaluates a window.
    pub(super) fn observe(&mut self, now: WorkerSample) -> StormAction {
        let before = std::mem::replace(&mut self.last, now);
        let elapsed = now.at.saturating_sub(before.at);
        let frames = now.frames.saturating_sub(before.frames);
        let copies = now.copies.saturating_sub(before.copies);
        let egress = now.egress_copies.saturating_sub(before.egress_copies);
        // Copies in a loop leave by the interface again, as packets of the VPN.
        let is_suspect = now.is_tunnelled || egress * 10 >= copies * 9;
        // If the worker was delayed, the sample is the sum of several windows.
        let per_window = u128::from(frames) * WINDOW.as_nanos() / elapsed.as_nanos().max(1);
        let frames = u64::try_from(per_window).unwrap_or(u64::MAX);
        let is_continuous = elapsed < 5 * WINDOW && frames >= MIN_FRAMES && copies > 0;
        if !is_suspect || !is_continuous {
            self.reset();
            return StormAction::Continue;
        }
        self.fewest = self.fewest.min(frames);
        self.windows += 1;
        let wanted =
            if self.silenced > 0 { WINDOWS_BEFORE_PAUSE / 2 } else { WINDOWS_BEFORE_PAUSE };
        if self.windows < wanted || now.at < self.next_attempt {
            return StormAction::Continue;
        }
        // A loop with a longer delay needs a longer pause, so every fourth one is longer.
        StormAction::Pause(if self.attempts % 4 == 3 { 4 * WINDOW } else { WINDOW })
    }

    /// Evaluates a pause from its samples in the middle and at the end. Returns how long sending
    /// must be suspended, if this is a storm.
    pub(super) fn end_pause(
        &mut self,
        middle: WorkerSample,
        end: WorkerSample,
    ) -> Option<Duration> {
        let half = end.at.saturating_sub(middle.at);
        let windows = u64::try_from(half.as_nanos() / WINDOW.as_nanos()).unwrap_or(1);
        let expected = self.fewest.saturating_mul(windows.max(1));
        let frames = end.frames.saturating_sub(middle.frames);
        let is_silent = frames.saturating_mul(SILENCE_DIVISOR) < expected;
        let silenced = if is_silent { self.silenced + 1 } else { 0 };
        self.reset();
        // Frames that arrived during the pause do not belong to the next window.
        self.last = end;
        if !is_silent {
            self.back_off(end.at);
            return None;
        }
        if silenced < SILENCED_PAUSES {
            self.silenced = silenced;
            return None;
        }
        self.backoff = Duration::ZERO;
        let length = self.next_suspension;
        self.next_suspension = (length * 2).min(MAX_SUSPENSION);
        Some(length)
    }

    /// Ends a pause early because many frames arrived: they did not stop.
    pub(super) fn cancel_pause(&mut self, end: WorkerSample) {
        self.reset();
        self.last = end;
        self.back_off(end.at);
    }

    fn back_off(&mut self, at: Duration) {
        self.attempts = self.attempts.wrapping_add(1);
        self.backoff = (self.backoff * 2).clamp(FIRST_BACKOFF, MAX_BACKOFF);
        self.next_attempt = at + self.backoff;
    }

    const fn reset(&mut self) {
        self.fewest = u64::MAX;
        self.windows = 0;
        self.silenced = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds windows with `frames` mirrored frames each until a pause is requested.
    fn feed(
        detector: &mut StormDetector,
        sample: &mut WorkerSample,
        frames: u64,
        windows: usize,
    ) -> bool {
        for _ in 0..windows {
            sample.at += WINDOW;
            sample.frames += frames;
            sample.copies += frames;
            assert!(detector.is_due(sample.at));
            if detector.observe(*sample) != StormAction::Continue {
                return true;
            }
        }
        false
    }

    /// A pause in whose second half `frames` frames arrive.
    fn pause(
        detector: &mut StormDetector,
        sample: &mut WorkerSample,
        frames: u64,
    ) -> Option<Duration> {
        sample.at += WINDOW;
        sample.frames += 5;
        let middle = *sample;
        sample.at += WINDOW;
        sample.frames += frames;
        detector.end_pause(middle, *sample)
    }

    fn tunnelled() -> WorkerSample {
        WorkerSample { is_tunnelled: true, ..WorkerSample::default() }
    }

    #[test]
    fn traffic_that_stops_during_three_pauses_is_a_storm() {
        let (mut detector, mut sample) = (StormDetector::new(), tunnelled());
        assert!(feed(&mut detector, &mut sample, 30, WINDOWS_BEFORE_PAUSE));
        assert_eq!(pause(&mut detector, &mut sample, 0), None);
        assert!(feed(&mut detector, &mut sample, 30, WINDOWS_BEFORE_PAUSE / 2));
        assert_eq!(pause(&mut detector, &mut sample, 2), None);
        assert!(feed(&mut detector, &mut sample, 30, WINDOWS_BEFORE_PAUSE / 2));
        assert_eq!(pause(&mut detector, &mut sample, 0), Some(FIRST_SUSPENSION));
        // This takes less than half a second.
        assert!(sample.at < Duration::from_secs(1) / 2);
    }

    #[test]
    fn a_cancelled_pause_is_followed_by_a_backoff() {
        let (mut detector, mut sample) = (StormDetector::new(), tunnelled());
        assert!(feed(&mut detector, &mut sample, 30, WINDOWS_BEFORE_PAUSE));
        assert_eq!(pause(&mut detector, &mut sample, 0), None);
        assert!(feed(&mut detector, &mut sample, 30, WINDOWS_BEFORE_PAUSE / 2));
        detector.cancel_pause(sample);
        assert_eq!((detector.silenced, detector.backoff), (0, FIRST_BACKOFF));
        assert!(!feed(&mut detector, &mut sample, 30, WINDOWS_BEFORE_PAUSE));
    }

    #[test]
    fn traffic_that_continues_during_a_pause_doubles_the_backoff() {
        let (mut detector, mut sample) = (StormDetector::new(), tunnelled());
        for backoff in [1, 2, 4, 8, 16, 32, 64, 64] {
            assert!(feed(&mut detector, &mut sample, 30, 7_000));
            assert_eq!(pause(&mut detector, &mut sample, 29), None);
            assert_eq!(detector.backoff, Duration::from_secs(backoff));
            assert!(!feed(&mut detector, &mut sample, 30, WINDOWS_BEFORE_PAUSE));
        }
    }

    #[test]
    fn short_bursts_and_ingress_traffic_cause_no_pause() {
        let (mut detector, mut sample) = (StormDetector::new(), tunnelled());
        for _ in 0..50 {
            assert!(!feed(&mut detector, &mut sample, 500, WINDOWS_BEFORE_PAUSE - 1));
            assert!(!feed(&mut detector, &mut sample, 0, 1));
        }
        let (mut detector, mut sample) = (StormDetector::new(), WorkerSample::default());
        assert!(!feed(&mut detector, &mut sample, 500, 10 * WINDOWS_BEFORE_PAUSE));
    }
}
