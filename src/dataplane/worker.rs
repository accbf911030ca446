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
    /// Whether the sink of this step wants verdicts.
    is_witnessed: bool,
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
            is_witnessed: false,
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
        self.is_witnessed = sink.is_witness();
        for (index, frame) in (0..).zip(&burst) {
            self.take(index, frame);
        }
        let sent = self.hand_over(&burst, sink);
        if sent.is_err() {
            self.drops.push_rest(self.copies.len(), DropCause::OutputFailed);
        }
        self.settle(&burst);
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
        if self.is_witnessed {
            sink.witness(burst, &self.verdicts)?;
        }
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
        if let Some(owner) = self.table.membership().only_owner(frame) {
            return self.judge(index, frame, &key, owner);
        }
        self.take_as_owned(index, frame, &key);
    }

    /// A frame that belongs to the interfaces whose addresses it bears.
    #[inline]
    fn take_as_owned(&mut self, index: u16, frame: &Frame<'_>, key: &Result<FlowKey, NotMirrored>) {
        let mut owners = std::mem::take(&mut self.owners);
        self.table.membership().owners(frame, key.as_ref().ok(), &mut owners);
        if owners.is_empty() {
            self.leave(index, NotMirrored::NoNetworkInterface);
        }
        for owner in &owners {
            self.judge(index, frame, key, *owner);
        }
        self.owners = owners;
    }

    /// Decides what becomes of a frame at one of its interfaces.
    #[inline(always)]
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
        self.counters.received += 1;
        if self.is_witnessed {
            self.verdicts.push(Verdict { frame: index, direction, interface, outcome });
        }
        match (outcome, key) {
            (Outcome::Mirrored(taken), Ok(key)) => self.copy(index, frame, key, taken),
            (Outcome::NotMirrored(reason), _) => self.counters.stay_behind(reason),
            // Without a key nothing was decided by a session.
            (Outcome::Mirrored(_), Err(reason)) => self.counters.stay_behind(*reason),
        }
    }

    /// The frame belongs to no interface.
    #[cold]
    fn leave(&mut self, frame: u16, reason: NotMirrored) {
        self.counters.received += 1;
        self.counters.stay_behind(reason);
        if self.is_witnessed {
            self.verdicts.push(Verdict {
                frame,
                direction: Direction::Ingress,
                interface: Verdict::NO_INTERFACE,
                outcome: Outcome::NotMirrored(reason),
            });
        }
    }

    #[inline]
    fn copy(&mut self, index: u16, frame: &Frame<'_>, key: &FlowKey, taken: Taken) {
        let Some(wrap) = self.table.wrap_of(taken.session) else {
            return;
        };
        let captured_len = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
        let inner_len = captured_len.min(wrap.most_inner_len);
        let copy = CopyRef {
            inner_len,
            session: taken.session,
            rule: taken.rule,
            frame: index,
            flow_hash: flow_hash(key),
        };
        self.counters.add_copy(&copy, captured_len);
        self.copies.push(copy);
    }

    /// Counts the frames of the burst, and takes back what its sink lost.
    fn settle(&mut self, burst: &Burst<'_>) {
        self.counters.frames += u64::try_from(burst.len()).unwrap_or_default();
        for (index, cause) in self.drops.lost() {
            if let Some(copy) = self.copies.get(*index) {
                let frame = burst.get(usize::from(copy.frame));
                let captured_len = frame.and_then(|frame| u32::try_from(frame.bytes.len()).ok());
                self.counters.drop_copy(copy, captured_len.unwrap_or(u32::MAX), *cause);
            }
        }
    }
}
