//! The only packet loop: replay, live capture, explanations, tests and benches all call
//! [`Worker::step`], so they cannot differ.
//!
//! A step moves one burst from the source to the sink: it parses the frames, decides which session
//! mirrors each of them, records the copies, sends them and counts. All memory is allocated when
//! the worker is created.

use std::io;
use std::sync::Arc;

use super::counters::Counters;
use super::encap::copy::{Copies, CopyRef, CopyState};
use super::endpoints::{DropCause, Drops, Sink, Source};
use super::flow_hash::{flow_hash_bits, source_port_bits, tag_bits};
use super::flow_key::FlowKey;
use super::frame::{Burst, Frame, LOOKUP_BATCH_LEN, MAX_BURST_LEN, Medium};
use super::index::InterfaceIndex;
use super::interface_lookup::{FrameOwner, InterfaceLookup};
use super::lookup_batch::{Lookup, LookupBatch};
use super::table::MirrorTable;
use super::verdict::{MirrorOutcome, NotMirrored, SessionMatch, Verdict};
use crate::model::Direction;

/// The endpoint that failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The source failed. The frames before the failure are mirrored and counted.
    #[error(transparent)]
    Source(io::Error),
    /// The sink failed. The copies of the burst are counted as dropped.
    #[error(transparent)]
    Sink(io::Error),
}

/// Drives frames through a mirror table.
#[derive(Debug)]
pub struct Worker {
    table: Arc<MirrorTable>,
    counters: Counters,
    forced_direction: Option<Direction>,
    /// The interface that owns every frame, regardless of addresses.
    interface: Option<InterfaceIndex>,
    /// The decision on the last frame of the previous batch, for the segments that follow it.
    last_decision: Option<(FlowKey, MirrorOutcome)>,
    owners: Vec<FrameOwner>,
    batch: LookupBatch,
    verdicts: Vec<Verdict>,
    copies: Vec<CopyRef>,
    drops: Drops,
    /// Whether the sink of this step observes verdicts.
    wants_verdicts: bool,
}

impl Worker {
    /// A worker with all counters at zero.
    #[must_use]
    pub fn new(table: Arc<MirrorTable>) -> Self {
        let max_owners = table.interface_lookup().max_owners();
        let pairs = MAX_BURST_LEN * max_owners;
        let mut drops = Drops::default();
        drops.reserve(pairs);
        let mut batch = LookupBatch::new(max_owners);
        batch.prepare(&table);
        Self {
            counters: Counters::new(&table),
            forced_direction: None,
            interface: None,
            last_decision: None,
            owners: Vec::with_capacity(max_owners),
            batch,
            verdicts: Vec::with_capacity(pairs),
            copies: Vec::with_capacity(pairs),
            drops,
            wants_verdicts: false,
            table,
        }
    }

    /// The same worker, but every frame has this direction, regardless of its addresses.
    #[must_use]
    pub const fn with_direction(mut self, direction: Option<Direction>) -> Self {
        self.forced_direction = direction;
        self
    }

    /// The same worker, but every frame belongs to the interface at this index of the table,
    /// regardless of addresses, as in live capture. If the table has no such interface, no frame
    /// belongs to an interface.
    #[must_use]
    pub const fn with_interface(mut self, interface: InterfaceIndex) -> Self {
        self.interface = Some(interface);
        self
    }

    /// Replaces the table between two bursts. The counters of a session follow its id. `interface`
    /// is the index of the worker's interface in the new table.
    pub fn change_table(&mut self, table: Arc<MirrorTable>, interface: Option<InterfaceIndex>) {
        self.counters.move_to_table(&self.table, &table);
        self.interface = interface;
        self.last_decision = None;
        self.batch.prepare(&table);
        self.table = table;
    }

    /// Counts frames that were dropped before the source could lend them.
    pub fn count_dropped(&mut self, cause: DropCause, frames: u64) {
        self.counters.count_dropped(cause, frames);
    }

    /// Counts frames that were filtered out before the source could lend them.
    pub fn count_not_mirrored(&mut self, reason: NotMirrored, frames: u64) {
        self.counters.count_not_mirrored(reason, frames);
    }

    /// The counters.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The current table.
    #[must_use]
    pub const fn table(&self) -> &Arc<MirrorTable> {
        &self.table
    }

    /// Moves one burst from `source` to `sink`; returns false if the source lends no frames.
    ///
    /// # Errors
    /// [`StepError`] if an endpoint fails.
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
        self.wants_verdicts = sink.wants_verdicts();
        self.evaluate_burst(&burst);
        let sent = self.send_copies(&burst, sink);
        if sent.is_err() {
            self.drops.push_remaining(self.copies.len(), DropCause::OutputFailed);
        }
        self.finish_burst(&burst);
        sent.map_err(StepError::Sink).map(|()| true)
    }

    /// Moves all bursts from `source` to `sink`, then flushes the sink.
    ///
    /// # Errors
    /// [`StepError`] if an endpoint fails. The sink is flushed if it was the source.
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

    fn send_copies(&mut self, burst: &Burst<'_>, sink: &mut dyn Sink) -> io::Result<()> {
        if self.wants_verdicts {
            sink.observe_verdicts(burst, &self.verdicts)?;
        }
        if self.copies.is_empty() {
            return Ok(());
        }
        let copies = Copies { table: &self.table, frames: burst, copies: &self.copies };
        sink.send(&copies, &mut self.drops)
    }

    /// Decides on every frame of a burst, in batches.
    fn evaluate_burst(&mut self, burst: &Burst<'_>) {
        let mut batch = std::mem::take(&mut self.batch);
        for (part, frames) in burst.chunks(LOOKUP_BATCH_LEN).enumerate() {
            batch.clear();
            self.add_lookups(&mut batch, frames);
            batch.evaluate(&self.table);
            for lookup in batch.lookups() {
                if let Some(frame) = frames.get(lookup.frame()) {
                    self.record_outcome(part * LOOKUP_BATCH_LEN, frame, (&batch, lookup));
                }
            }
            if self.interface.is_some() {
                let last = batch.lookups().last();
                self.last_decision = last.and_then(|lookup| {
                    Some((*batch.key(lookup)?, batch.outcome(&self.table, lookup)))
                });
            }
        }
        self.batch = batch;
    }

    /// Adds the lookups of a batch. How frames find their interfaces is tested once for the batch.
    #[inline]
    fn add_lookups(&mut self, batch: &mut LookupBatch, frames: &[Frame<'_>]) {
        let frames = frames.iter().enumerate();
        if let Some(interface) = self.interface {
            return frames.for_each(|frame| self.add_own_lookup(batch, interface, frame));
        }
        if !self.table.interface_lookup().has_one_owner() {
            return frames.for_each(|frame| self.add_addressed_lookup(batch, frame));
        }
        for (index, frame) in frames {
            let owner = self.with_forced_direction(InterfaceLookup::single_owner(frame));
            match batch.add_key(frame.bytes) {
                _ if frame.medium == Medium::Unsupported => add_unsupported(batch, index),
                Ok(_) => batch.add(&self.table, (index, frame), owner),
                Err(reason) => {
                    batch.add_decided(index, Some(owner), MirrorOutcome::NotMirrored(reason));
                }
            }
        }
    }

    /// Adds a frame of the worker's interface. Its decision also applies to the segments after it.
    fn add_own_lookup(
        &self,
        batch: &mut LookupBatch,
        interface: InterfaceIndex,
        (index, frame): (usize, &Frame<'_>),
    ) {
        if frame.medium == Medium::Unsupported {
            return add_unsupported(batch, index);
        }
        if frame.is_next_segment && batch.add_same(&self.table, index) {
            return;
        }
        let direction = frame.direction.unwrap_or(Direction::Ingress);
        let owner = self.with_forced_direction(FrameOwner { interface, direction });
        let holds = |(key, _): &(FlowKey, MirrorOutcome)| {
            frame.is_next_segment && !self.table.needs_decision_per_segment(key)
        };
        if let Some((key, outcome)) = self.last_decision.filter(holds) {
            batch.add_known_key(key);
            return batch.add_decided(index, Some(owner), outcome);
        }
        match batch.add_key(frame.bytes) {
            Ok(_) => batch.add(&self.table, (index, frame), owner),
            Err(reason) => {
                batch.add_decided(index, Some(owner), MirrorOutcome::NotMirrored(reason));
            }
        }
    }

    /// Adds a frame for each interface that has one of its addresses.
    #[inline]
    fn add_addressed_lookup(
        &mut self,
        batch: &mut LookupBatch,
        (index, frame): (usize, &Frame<'_>),
    ) {
        if frame.medium == Medium::Unsupported {
            return add_unsupported(batch, index);
        }
        let key = batch.add_key(frame.bytes);
        let mut owners = std::mem::take(&mut self.owners);
        self.table.interface_lookup().owners(frame, key.ok(), &mut owners);
        let read = key.map(|_| ());
        if owners.is_empty() {
            add_unowned(batch, index, NotMirrored::NoNetworkInterface);
        }
        for owner in &owners {
            let owner = self.with_forced_direction(*owner);
            match read {
                Ok(()) => batch.add(&self.table, (index, frame), owner),
                Err(reason) => {
                    batch.add_decided(index, Some(owner), MirrorOutcome::NotMirrored(reason));
                }
            }
        }
        self.owners = owners;
    }

    #[inline]
    fn with_forced_direction(&self, owner: FrameOwner) -> FrameOwner {
        let direction = self.forced_direction.unwrap_or(owner.direction);
        FrameOwner { direction, ..owner }
    }

    /// Counts a frame that is not mirrored, or records its copy.
    #[inline(always)]
    fn record_outcome(
        &mut self,
        start: usize,
        frame: &Frame<'_>,
        (batch, lookup): (&LookupBatch, &Lookup),
    ) {
        let index = u16::try_from(start + lookup.frame()).unwrap_or(u16::MAX);
        let owner = lookup.owner();
        let direction = owner.map_or(Direction::Ingress, |owner| owner.direction);
        let outcome = batch.outcome(&self.table, lookup);
        if self.wants_verdicts {
            let interface = owner.map(|owner| owner.interface);
            self.verdicts.push(Verdict { frame: index, direction, interface, outcome });
        }
        match (outcome, batch.key(lookup)) {
            (MirrorOutcome::Mirrored(matched), Some(key)) => {
                self.record_copy((index, frame), direction, (key, matched));
            }
            (MirrorOutcome::NotMirrored(reason), _) => self.counters.count_not_mirrored(reason, 1),
            // A frame without a key is never mirrored.
            (MirrorOutcome::Mirrored(_), None) => {}
        }
    }

    #[inline(always)]
    fn record_copy(
        &mut self,
        (index, frame): (u16, &Frame<'_>),
        direction: Direction,
        (key, matched): (&FlowKey, SessionMatch),
    ) {
        let Some(encap) = self.table.encap_of(matched.session) else {
            return;
        };
        let captured_len = u32::try_from(frame.captured_len()).unwrap_or(u32::MAX);
        let inner_len = captured_len.min(encap.max_inner_len);
        let state = if inner_len >= frame.copied_from_len() {
            CopyState::Whole
        } else if inner_len >= captured_len.min(encap.packet_length) {
            CopyState::Truncated
        } else {
            CopyState::TruncatedToMtu
        };
        let flow = flow_hash_bits(key);
        self.copies.push(CopyRef {
            inner_len,
            session: matched.session,
            by: matched.by,
            frame: index,
            flow_hash: source_port_bits(flow),
            flow_tag: tag_bits(flow),
            direction,
            state,
        });
    }

    /// Counts the frames of the burst, the copies that were sent and those that were dropped.
    fn finish_burst(&mut self, burst: &Burst<'_>) {
        self.counters.frames += u64::try_from(burst.len()).unwrap_or_default();
        // Truncations first: a truncated copy may still have been dropped.
        for (index, inner_len) in self.drops.cuts() {
            if let Some(copy) = self.copies.get_mut(*index) {
                copy.inner_len = copy.inner_len.min(u32::try_from(*inner_len).unwrap_or(u32::MAX));
                let frame = burst.get(usize::from(copy.frame));
                let is_cut = frame.is_some_and(|frame| copy.inner_len < frame.copied_from_len());
                if is_cut || copy.state != CopyState::Whole {
                    copy.state = CopyState::TruncatedToMtu;
                }
            }
        }
        for (index, cause) in self.drops.lost() {
            if let Some(copy) = self.copies.get_mut(*index) {
                self.counters.record_drop(copy, *cause);
            }
        }
        self.counters.add_copies(&self.copies);
    }
}

/// Adds a frame that belongs to no interface.
#[cold]
fn add_unowned(batch: &mut LookupBatch, index: usize, reason: NotMirrored) {
    batch.add_decided(index, None, MirrorOutcome::NotMirrored(reason));
}

#[cold]
fn add_unsupported(batch: &mut LookupBatch, index: usize) {
    add_unowned(batch, index, NotMirrored::UnsupportedLinkType);
}
