//! The only loop: replay, explanations, tests, benches and live capture all drive it.
//!
//! A step takes one burst from the source through parsing, decision and encapsulation to the
//! sink. All it needs is allocated when the worker is made.

use std::io;
use std::sync::Arc;

use super::copy::{Copies, CopyRef};
use super::counters::Counters;
use super::door::{DropCause, Drops, Sink, Source};
use super::flow_hash::flow_hash;
use super::flow_key::FlowKey;
use super::frame::{BURST_LEN, Burst, Frame, Medium};
use super::membership::Owner;
use super::table::MirrorTable;
use super::verdict::{NotMirrored, Outcome, Taken, Verdict};
use crate::model::Direction;

/// Which door broke.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The source; the frames before it are mirrored and counted.
    #[error(transparent)]
    Source(io::Error),
    /// The sink; the copies of the burst are counted as dropped.
    #[error(transparent)]
    Sink(io::Error),
}

/// Drives frames through a mirror table.
#[derive(Debug)]
pub struct Worker {
    table: Arc<MirrorTable>,
    counters: Counters,
    forced: Option<Direction>,
    owners: Vec<Owner>,
    verdicts: Vec<Verdict>,
    copies: Vec<CopyRef>,
    drops: Drops,
}

impl Worker {
    /// A worker with all counters at zero.
    #[must_use]
    pub fn new(table: Arc<MirrorTable>) -> Self {
        let most_owners = table.membership().most_owners();
        let pairs = BURST_LEN * most_owners;
        let mut drops = Drops::default();
        drops.reserve(pairs);
        Self {
            counters: Counters::new(table.sessions().len()),
            forced: None,
            owners: Vec::with_capacity(most_owners),
            verdicts: Vec::with_capacity(pairs),
            copies: Vec::with_capacity(pairs),
            drops,
            table,
        }
    }

    /// The same worker, with every frame in one direction whatever its addresses say.
    #[must_use]
    pub const fn forced_direction(mut self, direction: Option<Direction>) -> Self {
        self.forced = direction;
        self
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The table in force.
    #[must_use]
    pub const fn table(&self) -> &Arc<MirrorTable> {
        &self.table
    }

    /// Takes one burst from `source` to `sink`; false at the end of the source.
    ///
    /// # Errors
    /// [`StepError`] where a door broke.
    pub fn step(
        &mut self,
        source: &mut dyn Source,
        sink: &mut dyn Sink,
    ) -> Result<bool, StepError> {
        let mut burst = Burst::new();
        source.fill(&mut burst).map_err(StepError::Source)?;
        if burst.is_empty() {
            return Ok(false);
        }
        self.verdicts.clear();
        self.copies.clear();
        self.drops.clear();
        for (index, frame) in (0..).zip(&burst) {
            self.take(index, frame);
        }
        let sent = self.hand_over(&burst, sink);
        if sent.is_err() {
            self.drops.push_rest(self.copies.len(), DropCause::OutputFailed);
        }
        self.count(&burst);
        sent.map_err(StepError::Sink).map(|()| true)
    }

    /// Takes everything that `source` has to `sink`, and flushes it.
    ///
    /// # Errors
    /// [`StepError`] where a door broke. The sink is flushed where it was the source's.
    pub fn run(&mut self, source: &mut dyn Source, sink: &mut dyn Sink) -> Result<(), StepError> {
        let end = loop {
            match self.step(source, sink) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(broken @ StepError::Source(_)) => break Err(broken),
                Err(broken @ StepError::Sink(_)) => return Err(broken),
            }
        };
        sink.flush().map_err(StepError::Sink)?;
        end
    }

    fn hand_over(&mut self, burst: &Burst<'_>, sink: &mut dyn Sink) -> io::Result<()> {
        sink.witness(burst, &self.verdicts)?;
        if self.copies.is_empty() {
            return Ok(());
        }
        let copies = Copies { table: &self.table, frames: burst, copies: &self.copies };
        sink.send(&copies, &mut self.drops)
    }

    #[inline]
    fn take(&mut self, index: u16, frame: &Frame<'_>) {
        if frame.medium == Medium::Unsupported {
            return self.leave(index, NotMirrored::UnsupportedLinkType);
        }
        let key = FlowKey::parse(frame.bytes);
        let mut owners = std::mem::take(&mut self.owners);
        self.table.membership().owners(frame, key.as_ref().ok(), &mut owners);
        if owners.is_empty() {
            self.leave(index, NotMirrored::NoNetworkInterface);
        }
        for owner in &owners {
            self.judge(index, frame, &key, *owner);
        }
        self.owners = owners;
    }

    /// Decides what becomes of a frame at one of its interfaces.
    #[inline]
    fn judge(
        &mut self,
        index: u16,
        frame: &Frame<'_>,
        key: &Result<FlowKey, NotMirrored>,
        owner: Owner,
    ) {
        let (interface, direction) = owner;
        let direction = self.forced.unwrap_or(direction);
        let outcome = match key {
            Ok(key) => self.table.decide(interface, direction, key),
            Err(reason) => Outcome::NotMirrored(*reason),
        };
        self.verdicts.push(Verdict { frame: index, direction, interface, outcome });
        if let (Outcome::Mirrored(taken), Ok(key)) = (outcome, key) {
            self.copy(index, frame, key, taken);
        }
    }

    /// The frame belongs to no interface.
    #[cold]
    fn leave(&mut self, frame: u16, reason: NotMirrored) {
        self.verdicts.push(Verdict {
            frame,
            direction: Direction::Ingress,
            interface: Verdict::NO_INTERFACE,
            outcome: Outcome::NotMirrored(reason),
        });
    }

    #[inline]
    fn copy(&mut self, index: u16, frame: &Frame<'_>, key: &FlowKey, taken: Taken) {
        let Some(wrap) = self.table.wrap_of(taken.session) else {
            return;
        };
        let captured_len = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
        let inner_len = captured_len.min(wrap.most_inner_len);
        self.copies.push(CopyRef {
            inner_len,
            session: taken.session,
            rule: taken.rule,
            frame: index,
            flow_hash: flow_hash(key),
        });
    }

    fn count(&mut self, burst: &Burst<'_>) {
        let counters = &mut self.counters;
        counters.frames += u64::try_from(burst.len()).unwrap_or_default();
        counters.received += u64::try_from(self.verdicts.len()).unwrap_or_default();
        for verdict in &self.verdicts {
            if let Outcome::NotMirrored(reason) = verdict.outcome {
                counters.stay_behind(reason);
            }
        }
        for copy in &self.copies {
            tally(counters, burst, copy, u64::wrapping_add);
        }
        for (index, cause) in self.drops.lost() {
            if let Some(copy) = self.copies.get(*index) {
                tally(counters, burst, copy, u64::wrapping_sub);
                counters.drop_copy(*cause);
            }
        }
    }
}

/// Adds a copy to the counters of its session, or takes it away again.
#[inline]
fn tally(
    counters: &mut Counters,
    burst: &Burst<'_>,
    copy: &CopyRef,
    change: impl Fn(u64, u64) -> u64,
) {
    let Some(session) =
        usize::try_from(copy.session).ok().and_then(|index| counters.sessions.get_mut(index))
    else {
        return;
    };
    let captured = burst.get(usize::from(copy.frame)).map_or(0, |frame| frame.bytes.len());
    let inner_len = u64::from(copy.inner_len);
    let truncated = u64::try_from(captured).is_ok_and(|captured| inner_len < captured);
    session.mirrored = change(session.mirrored, 1);
    session.mirrored_bytes = change(session.mirrored_bytes, inner_len);
    session.truncated = change(session.truncated, u64::from(truncated));
}
