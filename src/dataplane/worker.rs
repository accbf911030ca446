//! The only loop: replay, explanations, tests, benches and live capture all drive it.
//!
//! A step takes one burst from the source through parsing, decision and encapsulation to the
//! sink. All it needs is allocated when the worker is made.

use std::io;
use std::sync::Arc;

use super::copy::{Copies, CopyRef};
use super::counters::Counters;
use super::docket::{Case, Docket, PART_LEN};
use super::door::{DropCause, Drops, Sink, Source};
use super::flow_hash::{flow_word, seven_bits, sixteen_bits};
use super::flow_key::FlowKey;
use super::frame::{Burst, Frame, MAX_BURST_LEN, Medium};
use super::membership::{Membership, Owner};
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
    docket: Docket,
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
        let mut docket = Docket::new(most_owners);
        docket.prepare(&table);
        Self {
            counters: Counters::new(&table),
            forced: None,
            interface: None,
            last: None,
            owners: Vec::with_capacity(most_owners),
            docket,
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
        self.docket.prepare(&table);
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
        self.take_all(&burst);
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

    /// Decides on every frame of a burst, a part of it at a time.
    fn take_all(&mut self, burst: &Burst<'_>) {
        let mut docket = std::mem::take(&mut self.docket);
        for (part, frames) in burst.chunks(PART_LEN).enumerate() {
            docket.clear();
            self.file(&mut docket, frames);
            docket.decide(&self.table);
            for case in docket.cases() {
                if let Some(frame) = frames.get(case.frame()) {
                    self.settle_one(part * PART_LEN, frame, (&docket, case));
                }
            }
            if self.interface.is_some() {
                let last = docket.cases().last();
                self.last = last
                    .and_then(|case| Some((*docket.key(case)?, docket.outcome(&self.table, case))));
            }
        }
        self.docket = docket;
    }

    /// Notes what is to be decided. Whose frames they may be is asked once.
    #[inline]
    fn file(&mut self, docket: &mut Docket, frames: &[Frame<'_>]) {
        let frames = frames.iter().enumerate();
        if let Some(interface) = self.interface {
            return frames.for_each(|frame| self.file_own(docket, interface, frame));
        }
        if !self.table.membership().has_one_owner() {
            return frames.for_each(|frame| self.file_owned(docket, frame));
        }
        for (index, frame) in frames {
            let owner = self.forced_to(Membership::owner_of_all(frame));
            match docket.note(frame.bytes) {
                _ if frame.medium == Medium::Unsupported => unsupported(docket, index),
                Ok(_) => docket.file(&self.table, (index, frame), owner),
                Err(reason) => docket.file_decided(index, owner, Outcome::NotMirrored(reason)),
            }
        }
    }

    /// A frame of the worker's own interface; what is decided holds for the segments behind it.
    fn file_own(&self, docket: &mut Docket, interface: u32, (index, frame): (usize, &Frame<'_>)) {
        if frame.medium == Medium::Unsupported {
            return unsupported(docket, index);
        }
        if interface == Verdict::NO_INTERFACE {
            return nobodys(docket, index, NotMirrored::NoNetworkInterface);
        }
        if frame.is_next_segment && docket.file_same(&self.table, index) {
            return;
        }
        let owner = self.forced_to((interface, frame.direction.unwrap_or(Direction::Ingress)));
        let holds = |(key, _): &(FlowKey, Outcome)| {
            frame.is_next_segment && !self.table.decides_each_segment(key)
        };
        if let Some((key, outcome)) = self.last.filter(holds) {
            docket.note_known(key);
            return docket.file_decided(index, owner, outcome);
        }
        match docket.note(frame.bytes) {
            Ok(_) => docket.file(&self.table, (index, frame), owner),
            Err(reason) => docket.file_decided(index, owner, Outcome::NotMirrored(reason)),
        }
    }

    /// A frame that belongs to the interfaces whose addresses it bears.
    #[inline]
    fn file_owned(&mut self, docket: &mut Docket, (index, frame): (usize, &Frame<'_>)) {
        if frame.medium == Medium::Unsupported {
            return unsupported(docket, index);
        }
        let key = docket.note(frame.bytes);
        let mut owners = std::mem::take(&mut self.owners);
        self.table.membership().owners(frame, key.ok(), &mut owners);
        let read = key.map(|_| ());
        if owners.is_empty() {
            nobodys(docket, index, NotMirrored::NoNetworkInterface);
        }
        for owner in &owners {
            let owner = self.forced_to(*owner);
            match read {
                Ok(()) => docket.file(&self.table, (index, frame), owner),
                Err(reason) => docket.file_decided(index, owner, Outcome::NotMirrored(reason)),
            }
        }
        self.owners = owners;
    }

    #[inline]
    fn forced_to(&self, (interface, direction): Owner) -> Owner {
        (interface, self.forced.unwrap_or(direction))
    }

    /// Counts what stays behind, and notes the copy of what does not.
    #[inline(always)]
    fn settle_one(&mut self, start: usize, frame: &Frame<'_>, (docket, case): (&Docket, &Case)) {
        let index = u16::try_from(start + case.frame()).unwrap_or(u16::MAX);
        let (interface, direction) = case.owner();
        let outcome = docket.outcome(&self.table, case);
        if self.is_witnessed {
            self.verdicts.push(Verdict { frame: index, direction, interface, outcome });
        }
        match (outcome, docket.key(case)) {
            (Outcome::Mirrored(taken), Some(key)) => {
                self.copy((index, frame), direction, (key, taken));
            }
            (Outcome::NotMirrored(reason), _) => self.counters.leave(reason, 1),
            // Nothing is mirrored that has no key.
            (Outcome::Mirrored(_), None) => {}
        }
    }

    #[inline(always)]
    fn copy(
        &mut self,
        (index, frame): (u16, &Frame<'_>),
        direction: Direction,
        (key, taken): (&FlowKey, Taken),
    ) {
        let Some(wrap) = self.table.wrap_of(taken.session) else {
            return;
        };
        let captured_len = u32::try_from(frame.captured_len()).unwrap_or(u32::MAX);
        let inner_len = captured_len.min(wrap.most_inner_len);
        let flow = flow_word(key);
        self.copies.push(CopyRef {
            inner_len,
            session: taken.session,
            rule: taken.rule,
            frame: index,
            flow_hash: seven_bits(flow),
            flow_tag: sixteen_bits(flow),
            direction,
            is_truncated: inner_len < frame.copied_from_len(),
            is_cut_to_mtu: inner_len < captured_len.min(wrap.packet_length),
        });
    }

    /// Counts the frames and the copies of the burst, less what its sink lost.
    fn settle(&mut self, burst: &Burst<'_>) {
        self.counters.frames += u64::try_from(burst.len()).unwrap_or_default();
        // Cuts first: a copy that was cut may be lost afterwards.
        for (index, inner_len) in self.drops.cuts() {
            if let Some(copy) = self.copies.get_mut(*index) {
                copy.inner_len = copy.inner_len.min(u32::try_from(*inner_len).unwrap_or(u32::MAX));
                let frame = burst.get(usize::from(copy.frame));
                copy.is_truncated |= frame.is_some_and(|f| copy.inner_len < f.copied_from_len());
                copy.is_cut_to_mtu = true;
            }
        }
        for (index, cause) in self.drops.lost() {
            if let Some(copy) = self.copies.get_mut(*index) {
                self.counters.drop_copy(copy, *cause);
            }
        }
        self.counters.add_copies(&self.copies);
    }
}

/// The frame belongs to no interface.
#[cold]
fn nobodys(docket: &mut Docket, index: usize, reason: NotMirrored) {
    let nobody = (Verdict::NO_INTERFACE, Direction::Ingress);
    docket.file_decided(index, nobody, Outcome::NotMirrored(reason));
}

#[cold]
fn unsupported(docket: &mut Docket, index: usize) {
    nobodys(docket, index, NotMirrored::UnsupportedLinkType);
}
