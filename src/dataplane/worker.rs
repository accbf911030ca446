//! The only loop: replay, explanations, tests, benches and live capture all drive it.
//!
//! A step takes one burst from the source through parsing, decision and encapsulation to the
//! sink. All it needs is allocated when the worker is made.

use std::io;
use std::sync::Arc;

use super::copy::{Copies, CopyRef};
use super::counters::Counters;
use super::door::{DropCause, Drops, Sink, Source};
use super::flow_hash::{flow_word, seven_bits};
use super::flow_key::FlowKey;
use super::frame::{Burst, Frame, MAX_BURST_LEN, Medium};
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
    /// The interface whose frames these are, whatever addresses they bear.
    interface: Option<u32>,
    /// What was decided of the frame in front, for the segments that follow it.
    last: Option<(FlowKey, Outcome)>,
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
        let pairs = MAX_BURST_LEN * most_owners;
        let mut drops = Drops::default();
        drops.reserve(pairs);
        Self {
            counters: Counters::new(&table),
            forced: None,
            interface: None,
            last: None,
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

    /// The same worker, with every frame one of the interface at that index of the table, whatever
    /// addresses it bears, as on a live interface. With [`Verdict::NO_INTERFACE`] every frame is
    /// nobody's.
    #[must_use]
    pub const fn of_interface(mut self, interface: u32) -> Self {
        self.interface = Some(interface);
        self
    }

    /// Goes on with another table, between two bursts. What sessions counted goes with their ids;
    /// `interface` is the index of the worker's interface there, where it has one.
    pub fn change_table(&mut self, table: Arc<MirrorTable>, interface: Option<u32>) {
        self.counters.carry(&self.table, &table);
        self.interface = interface;
        self.last = None;
        self.table = table;
    }

    /// Counts frames that were lost before they could be lent.
    pub fn count_lost(&mut self, cause: DropCause, frames: u64) {
        self.counters.lose(cause, frames);
    }

    /// Counts frames that were kept back before they could be lent.
    pub fn count_behind(&mut self, reason: NotMirrored, frames: u64) {
        self.counters.leave(reason, frames);
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
        if let Some(interface) = self.interface {
            return self.take_of(interface, index, frame);
        }
        let key = FlowKey::parse(frame.bytes);
        if let Some(owner) = self.table.membership().only_owner(frame) {
            return self.judge(index, frame, &key, owner);
        }
        self.take_as_owned(index, frame, &key);
    }

    /// A frame of the worker's own interface; what is decided holds for the segments behind it.
    fn take_of(&mut self, interface: u32, index: u16, frame: &Frame<'_>) {
        if interface == Verdict::NO_INTERFACE {
            return self.leave(index, NotMirrored::NoNetworkInterface);
        }
        let direction = self.forced.or(frame.direction).unwrap_or(Direction::Ingress);
        if let Some((key, outcome)) = self.last.filter(|_| frame.is_next_segment) {
            return self.settle_one((index, frame), (interface, direction), &Ok(key), outcome);
        }
        let key = FlowKey::parse(frame.bytes);
        let outcome = self.decide(&key, interface, direction);
        self.last = key.ok().map(|key| (key, outcome));
        self.settle_one((index, frame), (interface, direction), &key, outcome);
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
        let outcome = self.decide(key, interface, direction);
        self.settle_one((index, frame), (interface, direction), key, outcome);
    }

    #[inline(always)]
    fn decide(
        &self,
        key: &Result<FlowKey, NotMirrored>,
        interface: u32,
        direction: Direction,
    ) -> Outcome {
        match key {
            Ok(key) => self.table.decide(interface, direction, key),
            Err(reason) => Outcome::NotMirrored(*reason),
        }
    }

    /// Counts what was decided, and notes the copy.
    #[inline(always)]
    fn settle_one(
        &mut self,
        (index, frame): (u16, &Frame<'_>),
        owner: Owner,
        key: &Result<FlowKey, NotMirrored>,
        outcome: Outcome,
    ) {
        let (interface, direction) = owner;
        self.counters.received += 1;
        if self.is_witnessed {
            self.verdicts.push(Verdict { frame: index, direction, interface, outcome });
        }
        match (outcome, key) {
            (Outcome::Mirrored(taken), Ok(key)) => self.copy(index, frame, direction, (key, taken)),
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
    fn copy(
        &mut self,
        index: u16,
        frame: &Frame<'_>,
        direction: Direction,
        (key, taken): (&FlowKey, Taken),
    ) {
        let Some(wrap) = self.table.wrap_of(taken.session) else {
            return;
        };
        let captured_len = u32::try_from(frame.captured_len()).unwrap_or(u32::MAX);
        let inner_len = captured_len.min(wrap.most_inner_len);
        let flow = flow_word(key);
        let [.., tag_high, tag_low] = flow.to_be_bytes();
        let copy = CopyRef {
            inner_len,
            session: taken.session,
            rule: taken.rule,
            frame: index,
            flow_hash: seven_bits(flow),
            flow_tag: u16::from_be_bytes([tag_high, tag_low]),
            direction,
            is_cut_to_mtu: inner_len < captured_len.min(wrap.packet_length),
        };
        self.counters.add_copy(&copy, frame.copied_from_len());
        self.copies.push(copy);
    }

    /// Counts the frames of the burst, and takes back what its sink lost.
    fn settle(&mut self, burst: &Burst<'_>) {
        self.counters.frames += u64::try_from(burst.len()).unwrap_or_default();
        // Cuts first: a copy that was cut may be lost afterwards.
        for (index, inner_len) in self.drops.cuts() {
            if let Some(copy) = self.copies.get_mut(*index) {
                let inner_len = u32::try_from(*inner_len).unwrap_or(u32::MAX);
                self.counters.cut_copy(copy, frame_len(burst, copy), inner_len);
                copy.inner_len = copy.inner_len.min(inner_len);
                copy.is_cut_to_mtu = true;
            }
        }
        for (index, cause) in self.drops.lost() {
            if let Some(copy) = self.copies.get(*index) {
                self.counters.drop_copy(copy, frame_len(burst, copy), *cause);
            }
        }
    }
}

/// How long the frame is that a copy was made from.
fn frame_len(burst: &Burst<'_>, copy: &CopyRef) -> u32 {
    let frame = burst.get(usize::from(copy.frame));
    frame.map_or(u32::MAX, Frame::copied_from_len)
}
