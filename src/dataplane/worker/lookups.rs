//! Sorts the frames of a batch: plain frames of one interface into lanes (`plain_lanes`), the
//! others into lookups (`lookup_batch`), one for each interface that owns the frame.
//!
//! There are three ways to find the interface of a frame:
//!
//! ```text
//! worker or table has one owner for all frames   no address is read        lanes and lookups
//! table has one interface with addresses         MAC, then IP address      lanes and lookups
//! table has several interfaces                   MAC, then IP address      lookups only
//! ```

use std::sync::Arc;

use super::Worker;
use crate::dataplane::flow_key::FlowKey;
use crate::dataplane::frame::{Frame, Medium};
use crate::dataplane::index::InterfaceIndex;
use crate::dataplane::interface_lookup::FrameOwner;
use crate::dataplane::lookup_batch::LookupBatch;
use crate::dataplane::plain_lanes::PlainLanes;
use crate::dataplane::verdict::{MirrorOutcome, NotMirrored};
use crate::model::Direction;

impl Worker {
    /// Adds the frames of a batch. How interfaces are found is the same for all its frames, and is
    /// selected once.
    #[inline]
    pub(super) fn add_frames(
        &mut self,
        batch: &mut LookupBatch,
        lanes: &mut PlainLanes,
        frames: &[Frame<'_>],
    ) {
        let table = Arc::clone(&self.table);
        let lookup = table.interface_lookup();
        let (forced, own) = (self.forced_direction, self.interface);
        let is_single = own.is_some() || lookup.is_single();
        lanes.start_batch(&table, is_single.then(|| own.unwrap_or(InterfaceIndex::FIRST)));
        let has_one_owner = own.is_some() || lookup.has_one_owner();
        let by_address = |frame: &Frame<'_>| {
            let direction = lookup.direction_of_plain(frame)?;
            Some(forced.unwrap_or(direction))
        };
        let mut index = 0;
        while let Some(frame) = frames.get(index) {
            let run = (index, frames.get(index..).unwrap_or_default());
            let added = if frame.is_next_segment {
                lanes.add_segments(run.0, run.1)
            } else if has_one_owner {
                let direction = direction_of(forced, frame);
                lanes.add_run(run, direction, |frame| direction_of(forced, frame) == direction)
            } else if is_single && let Some(direction) = by_address(frame) {
                lanes.add_run(run, direction, |frame| by_address(frame) == Some(direction))
            } else {
                0
            };
            if added == 0 {
                let interface = own.or(has_one_owner.then_some(InterfaceIndex::FIRST));
                self.add_lookup(batch, interface, (index, frame));
            }
            index += added.max(1);
        }
    }

    /// Adds a frame that is in no lane. `interface` is its interface; `None` if its addresses
    /// decide.
    #[inline]
    fn add_lookup(
        &mut self,
        batch: &mut LookupBatch,
        interface: Option<InterfaceIndex>,
        frame: (usize, &Frame<'_>),
    ) {
        match interface {
            Some(interface) => self.add_own_lookup(batch, interface, frame),
            None => self.add_addressed_lookup(batch, frame),
        }
    }

    /// Adds a frame whose interface is known without its addresses. A further segment of a
    /// super-frame gets the decision on the segment before it.
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
        let owner = FrameOwner { interface, direction: direction_of(self.forced_direction, frame) };
        // The last decision is that on the frame before the batch.
        let holds = |(key, _): &(FlowKey, MirrorOutcome)| {
            index == 0 && frame.is_next_segment && !self.table.needs_decision_per_segment(key)
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
}

/// The direction of a frame at the only interface to which it can belong.
#[inline(always)]
fn direction_of(forced: Option<Direction>, frame: &Frame<'_>) -> Direction {
    forced.or(frame.direction).unwrap_or(Direction::Ingress)
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
