//! The only packet loop: replay, live capture, explanations, tests and benches all call
//! [`Worker::step`], so they cannot differ.
//!
//! A step moves one burst from the source to the sink, in batches of 64 frames:
//!
//! ```text
//! lookups    sorts the frames of a batch into lanes (plain frames) and lookups (all others)
//! evaluate   the rules and the checks before them decide on each frame
//! outcomes   counts the frames that are not mirrored, and records the copies of the others
//! ```
//!
//! Copies whose target has no address are dropped. Then the sink sends all other copies of the burst, and these are counted. All memory is allocated when
//! the worker is created.

mod lookups;
mod outcomes;

use std::io;
use std::sync::Arc;

use super::counters::Counters;
use super::encap::copy::{Copies, CopyRef, CopyState};
use super::endpoints::{DropCause, Drops, Sink, Source};
use super::flow_key::FlowKey;
use super::frame::{Burst, LOOKUP_BATCH_LEN, MAX_BURST_LEN};
use super::index::InterfaceIndex;
use super::interface_lookup::FrameOwner;
use super::lookup_batch::LookupBatch;
use super::plain_lanes::PlainLanes;
use super::table::MirrorTable;
use super::verdict::{MirrorOutcome, NotMirrored, Verdict};
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
    /// Absent only while a burst is evaluated.
    lanes: Option<Box<PlainLanes>>,
    verdicts: Vec<Verdict>,
    /// The first `copy_count` copies are those of the burst.
    copies: Vec<CopyRef>,
    copy_count: usize,
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
            lanes: Some(Box::new(PlainLanes::new())),
            verdicts: Vec::with_capacity(pairs),
            copies: vec![CopyRef::UNUSED; pairs],
            copy_count: 0,
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
        let max_owners = table.interface_lookup().max_owners();
        let pairs = self.copies.len().max(MAX_BURST_LEN * max_owners);
        self.copies.resize(pairs, CopyRef::UNUSED);
        self.batch.grow(max_owners);
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

    /// The counters, to which counts of programs in the kernel are added.
    #[must_use]
    pub const fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
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
        self.copy_count = 0;
        self.drops.clear();
        self.wants_verdicts = sink.wants_verdicts();
        self.evaluate_burst(&burst);
        if self.table.drops_copies() {
            self.drop_copies_without_address();
        }
        let sent = self.send_copies(&burst, sink);
        if sent.is_err() {
            self.drops.push_remaining(self.copy_count, DropCause::OutputFailed);
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
        if self.copy_count == 0 {
            return Ok(());
        }
        let copies = self.copies.get(..self.copy_count).unwrap_or_default();
        let (table, frames) = (&self.table, &**burst);
        let copies = Copies { table, shared_table: table, frames, copies };
        sink.send(&copies, &mut self.drops)
    }

    /// Decides on every frame of a burst, in batches.
    fn evaluate_burst(&mut self, burst: &Burst<'_>) {
        let mut batch = std::mem::take(&mut self.batch);
        let Some(mut lanes) = self.lanes.take() else { return };
        for (part, frames) in burst.chunks(LOOKUP_BATCH_LEN).enumerate() {
            batch.clear();
            self.add_frames(&mut batch, &mut lanes, frames);
            batch.evaluate(&self.table);
            lanes.evaluate(&self.table, &mut batch, frames);
            self.record_outcomes(part * LOOKUP_BATCH_LEN, frames, (&batch, &lanes));
        }
        self.batch = batch;
        self.lanes = Some(lanes);
    }

    /// Drops the copies of sessions whose target has no address. The others keep their order.
    #[cold]
    fn drop_copies_without_address(&mut self) {
        let (mut kept, made) = (0, self.copy_count);
        for index in 0..made {
            let Some(mut copy) = self.copies.get(index).copied() else { break };
            if self.table.encap_of(copy.session).is_some_and(|encap| encap.has_address) {
                if let Some(place) = self.copies.get_mut(kept) {
                    *place = copy;
                }
                kept += 1;
            } else {
                self.counters.received += 1;
                self.counters.record_drop(&mut copy, DropCause::NoTargetAddress);
            }
        }
        self.copy_count = kept;
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
        self.counters.add_copies(self.copies.get(..self.copy_count).unwrap_or_default());
    }
}
