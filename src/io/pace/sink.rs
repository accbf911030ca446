//! A sink that delays copies until they are due.

use std::io;
use std::ops::Range;
use std::time::Duration;

use super::scheduler::{DepartureScheduler, PacedCopy};
use super::{Clock, MonotonicClock, Pacer, Speed};
use crate::dataplane::{Burst, Copies, DropCause, Drops, MirroredCopy, Sink, Verdict};
use crate::io::StopFlag;

/// Divides each burst into groups and passes each group to the inner sink when it is due.
///
/// Once the stop flag is set, the sink does not wait: copies that have not left are dropped as
/// [`DropCause::Interrupted`]. At [`Speed::Max`] whole bursts are passed on.
#[derive(Debug)]
pub struct PacedSink<S, C = MonotonicClock> {
    inner: S,
    scheduler: DepartureScheduler<C>,
    group_drops: Drops,
}

impl<S> PacedSink<S> {
    /// Paces `inner` by the system's monotonic clock.
    #[must_use]
    pub fn new(inner: S, speed: Speed, stop: StopFlag) -> Self {
        Self::with_clock(inner, MonotonicClock::start(), speed, stop)
    }
}

impl<S, C> PacedSink<S, C> {
    /// Paces `inner` by any clock.
    pub fn with_clock(inner: S, clock: C, speed: Speed, stop: StopFlag) -> Self {
        let scheduler = DepartureScheduler { clock, pacer: Pacer::new(speed), stop };
        Self { inner, scheduler, group_drops: Drops::default() }
    }

    /// The same sink, but no recorded gap takes longer than `max_gap`. See [`Pacer::with_max_gap`].
    #[must_use]
    pub fn with_max_gap(mut self, max_gap: Duration) -> Self {
        self.scheduler.pacer = self.scheduler.pacer.with_max_gap(max_gap);
        self
    }

    /// Begins a new pass over the capture, or another capture. See [`Pacer::begin_pass`].
    pub fn begin_pass(&mut self) {
        self.scheduler.pacer.begin_pass();
    }

    /// The inner sink.
    #[must_use]
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    /// The inner sink, after the last burst.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The inner sink, mutable.
    #[must_use]
    pub const fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }
}

impl<S: Sink, C> PacedSink<S, C> {
    fn send_group(
        &mut self,
        copies: &Copies<'_>,
        range: Range<usize>,
        drops: &mut Drops,
    ) -> io::Result<()> {
        self.group_drops.clear();
        let offset = range.start;
        let sent = self.inner.send(&copies.slice(range), &mut self.group_drops);
        for (index, cause) in self.group_drops.lost() {
            drops.push(offset + index, *cause);
        }
        for (index, inner_len) in self.group_drops.cuts() {
            drops.cut(offset + index, *inner_len);
        }
        sent
    }
}

impl<S: Sink, C: Clock> Sink for PacedSink<S, C> {
    fn send(&mut self, copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()> {
        if self.scheduler.pacer.speed() == Speed::Max {
            return self.inner.send(copies, drops);
        }
        let mut first = 0;
        while first < copies.len() {
            let rest = copies.slice(first..copies.len());
            let Some(group_len) =
                self.scheduler.await_group((0..rest.len()).map(|i| paced_copy(&rest, i)))
            else {
                (first..copies.len()).for_each(|index| drops.push(index, DropCause::Interrupted));
                return Ok(());
            };
            self.send_group(copies, first..first + group_len, drops)?;
            first += group_len;
        }
        Ok(())
    }

    fn wants_verdicts(&self) -> bool {
        matches!(self.scheduler.pacer.speed(), Speed::Recorded(_)) || self.inner.wants_verdicts()
    }

    fn observe_verdicts(&mut self, burst: &Burst<'_>, verdicts: &[Verdict]) -> io::Result<()> {
        if matches!(self.scheduler.pacer.speed(), Speed::Recorded(_)) {
            let now_ns = self.scheduler.clock.now_ns();
            burst.iter().for_each(|frame| self.scheduler.pacer.observe(now_ns, frame.timestamp_ns));
        }
        self.inner.observe_verdicts(burst, verdicts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn paced_copy(copies: &Copies<'_>, index: usize) -> PacedCopy {
    let copy = copies.get(index);
    PacedCopy {
        timestamp_ns: copy.map_or(0, |copy| copy.frame().timestamp_ns),
        len: copy.as_ref().map_or(0, MirroredCopy::len),
    }
}
