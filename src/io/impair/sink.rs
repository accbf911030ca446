//! The sink that carries out the faults.

use std::io;
use std::sync::Arc;

use super::batch::{Batch, BatchCopy};
use super::counts::ImpairmentCounts;
use super::delayed::DelayedCopies;
use super::impairments::Impairments;
use super::sampler::{CopyFaults, FaultSampler};
use crate::dataplane::{Burst, Copies, DropCause, Drops, MirrorTable, MirroredCopy, Sink, Verdict};

/// Injects faults into the copies and passes them on to the inner sink.
///
/// Copy number k with a delay of d copies is passed on directly after copy number k + d, or after
/// its place if that copy is lost or delayed itself. Example: copies 0 to 3 arrive, and copy 1 is
/// delayed by 2. The inner sink receives 0, 2, 3, 1. A delayed copy has the timestamp of the copy
/// after which it is passed on. At most [`Reordering::MAX_DISTANCE`](super::Reordering) copies are
/// held, and [`Sink::flush`] passes them on.
///
/// The inner sink may receive copies of an earlier burst, so [`MirroredCopy::frame_index`] of a
/// delayed or corrupted copy is not the index of a frame in the current burst.
pub struct ImpairedSink<S> {
    inner: S,
    sampler: FaultSampler,
    counts: ImpairmentCounts,
    /// The number of the next copy.
    next_number: u64,
    delayed: DelayedCopies,
    /// The table of the delayed copies.
    table: Option<Arc<MirrorTable>>,
    /// The timestamp of the last copy.
    last_timestamp_ns: u64,
    batch: Batch,
}

impl<S> ImpairedSink<S> {
    /// Injects faults before `inner`. The same seed gives the same faults.
    #[must_use]
    pub fn new(inner: S, impairments: Impairments, seed: u64) -> Self {
        Self {
            inner,
            sampler: FaultSampler::new(impairments, seed),
            counts: ImpairmentCounts::default(),
            next_number: 0,
            delayed: DelayedCopies::default(),
            table: None,
            last_timestamp_ns: 0,
            batch: Batch::default(),
        }
    }

    /// The inner sink.
    #[must_use]
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    /// The inner sink, mutable.
    #[must_use]
    pub const fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner sink. Delayed copies are lost, unless the sink was flushed before.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The counters so far.
    #[must_use]
    pub const fn counts(&self) -> ImpairmentCounts {
        self.counts
    }

    /// The counters at the end. Copies that are still delayed count as not sent.
    #[must_use]
    pub fn final_counts(&self) -> ImpairmentCounts {
        let held: usize = self.delayed.iter().map(BatchCopy::times).sum();
        let held = u64::try_from(held).unwrap_or(u64::MAX);
        ImpairmentCounts { not_sent: self.counts.not_sent + held, ..self.counts }
    }

    /// Decides on a copy: discards it, holds it, or adds it to the batch.
    fn impair(&mut self, copies: &Copies<'_>, index: usize, copy: &MirroredCopy<'_>) {
        let inner_len = u32::try_from(copy.inner().len()).unwrap_or(u32::MAX);
        let faults = self.sampler.sample(inner_len);
        if faults.is_lost {
            self.counts.lost += 1;
            return;
        }
        let CopyFaults { is_duplicated, delay, flipped_bit, .. } = faults;
        self.counts.duplicated += u64::from(is_duplicated);
        self.counts.corrupted += u64::from(flipped_bit.is_some());
        self.counts.reordered += u64::from(delay > 0);
        let Some(mut passed_on) = BatchCopy::new(copies, index, is_duplicated) else { return };
        if delay > 0 || flipped_bit.is_some() {
            passed_on.detach(copy, flipped_bit);
        }
        match delay {
            0 => self.batch.push(passed_on),
            _ => self.delayed.hold(self.next_number, delay, passed_on),
        }
    }
}

impl<S: Sink> ImpairedSink<S> {
    /// Passes on all delayed copies at once: before the table changes, or when no copies follow.
    ///
    /// # Errors
    /// The error of the inner sink.
    pub fn release_delayed(&mut self) -> io::Result<()> {
        for mut copy in self.delayed.take_all() {
            copy.set_time(self.last_timestamp_ns);
            self.batch.push(copy);
        }
        let Some(table) = self.table.clone() else { return Ok(()) };
        let (not_sent, sent) =
            self.batch.send_to(&mut self.inner, (&table, &[]), &mut Drops::default());
        self.counts.not_sent += not_sent;
        sent
    }

    /// Delayed copies refer to the sessions of their table, so they cannot be sent with another.
    fn follow_table(&mut self, table: &Arc<MirrorTable>) -> io::Result<()> {
        if self.table.as_ref().is_some_and(|known| Arc::ptr_eq(known, table)) {
            return Ok(());
        }
        self.release_delayed()?;
        self.table = Some(Arc::clone(table));
        Ok(())
    }
}

impl<S: Sink> Sink for ImpairedSink<S> {
    fn send(&mut self, copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()> {
        self.follow_table(copies.shared_table)?;
        for index in 0..copies.len() {
            let Some(copy) = copies.get(index) else {
                drops.push(index, DropCause::SendFailed);
                continue;
            };
            self.last_timestamp_ns = copy.frame().timestamp_ns;
            self.impair(copies, index, &copy);
            while let Some(mut due) = self.delayed.take_due(self.next_number) {
                due.set_time(self.last_timestamp_ns);
                self.batch.push(due);
            }
            self.next_number += 1;
        }
        self.delayed.end_burst();
        let burst = (copies.shared_table, copies.frames);
        let (not_sent, sent) = self.batch.send_to(&mut self.inner, burst, drops);
        self.counts.not_sent += not_sent;
        sent
    }

    fn wants_verdicts(&self) -> bool {
        self.inner.wants_verdicts()
    }

    fn observe_verdicts(&mut self, burst: &Burst<'_>, verdicts: &[Verdict]) -> io::Result<()> {
        self.inner.observe_verdicts(burst, verdicts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.release_delayed()?;
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests;
