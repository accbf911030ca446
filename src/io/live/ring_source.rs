//! The source that lends frames out of a packet ring, as they were on the wire.

use std::io;

use super::account::{ReaderView, RingAccount};
use super::bell::Bell;
use super::filter::{FilterState, Keeper, Load, Outlets};
use super::open::RingOptions;
use super::rest::Rest;
use super::ring_frames::RingFrames;
use super::wake::Waker;
use super::{LiveSource, SourceCounts};
use crate::dataplane::{Burst, MirrorTable, Source};
use crate::io::sys::ring::{Ring, RingSocket};

/// Lends the frames of one ring.
#[derive(Debug)]
pub struct RingSource {
    socket: RingSocket,
    frames: RingFrames,
    rest: Rest,
    keeper: Keeper,
    account: RingAccount,
    /// What went wrong behind the frames that were lent last.
    failure: Option<io::Error>,
}

impl RingSource {
    pub(super) fn new(ring: Ring, bell: Bell, waker: Waker, options: &RingOptions) -> Self {
        let (socket, memory) = ring.into_parts();
        Self {
            socket,
            frames: RingFrames::new(memory),
            rest: Rest::new(bell, waker, options.is_busy),
            keeper: Keeper::new(options),
            account: RingAccount::default(),
            failure: None,
        }
    }

    /// Ends cutting where it spoiled a frame.
    #[inline]
    fn look_for_spoiled(&mut self) -> io::Result<()> {
        match self.frames.repair.take_spoiled() {
            0 => Ok(()),
            frames => self.filter(|keeper, outlets| keeper.spoil(frames, outlets)),
        }
    }

    fn filter(
        &mut self,
        change: impl FnOnce(&mut Keeper, Outlets<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let outlets = Outlets { ring: self.socket.socket(), bell: self.rest.bell() };
        change(&mut self.keeper, outlets)?;
        self.frames.repair.expect_cuts_to(self.keeper.cut_len());
        Ok(())
    }

    /// Reads the kernel's counters, then looks how far the reader is: what came in between is in
    /// flight.
    fn take_account(&mut self) -> ReaderView {
        let counted = self.socket.statistics();
        let slots = self.frames.reader.counts();
        let blocks = self.frames.reader.memory().shape().blocks;
        let view = ReaderView {
            passed: slots.frames + slots.malformed,
            empty: slots.empty,
            in_flight: self.frames.reader.in_flight(),
            blocks: slots.blocks,
            ring_blocks: u64::try_from(blocks).unwrap_or(u64::MAX),
        };
        // Without new counters there is nothing to compare.
        if let Ok(counted) = counted {
            self.account.add(counted, &view);
        }
        view
    }

    fn counted(&self, left_behind: u64) -> SourceCounts {
        let (slots, losses) = (self.frames.reader.counts(), self.frames.repair.losses());
        SourceCounts {
            frames: self.account.frames(),
            no_room: self.account.no_room() + losses.uncaptured + left_behind,
            unsupported_offload: slots.empty + slots.malformed + losses.unfit,
            too_many_segments: losses.too_many_segments,
            lent: self.frames.lent(),
            unaccounted: self.account.unaccounted(),
        }
    }
}

impl Source for RingSource {
    /// Waits for frames for at most two seconds, and not at all once it was woken.
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.frames.collect();
        if self.frames.repair.len() == 0 {
            self.rest.wait(&self.frames.reader, &self.socket)?;
            self.frames.collect();
        }
        let first = self.frames.repair.pieces().first();
        self.rest.learn(first.map(|first| first.timestamp_ns), self.frames.repair.len());
        // The frames are lent first: they are read already, and would be lost with an error.
        self.failure = self.look_for_spoiled().err();
        self.frames.lend(burst);
        Ok(())
    }
}

impl LiveSource for RingSource {
    fn counts(&mut self) -> SourceCounts {
        self.take_account();
        self.counted(0)
    }

    fn final_counts(&mut self) -> SourceCounts {
        let view = self.take_account();
        let left_behind = self.account.end(&view) + self.frames.unlent();
        self.counted(left_behind)
    }

    fn memory_len(&self) -> usize {
        let shape = self.frames.reader.memory().shape();
        shape.block_len * shape.blocks
    }

    fn has_frames(&self) -> bool {
        self.frames.unlent() > 0 || self.frames.reader.in_flight() > 0
    }

    fn follow_table(&mut self, table: &MirrorTable, interface: u32) -> io::Result<()> {
        self.filter(|keeper, outlets| keeper.follow((table, interface), outlets))
    }

    fn weigh(&mut self, load: &Load) -> io::Result<()> {
        self.filter(|keeper, outlets| keeper.weigh(load, outlets))
    }

    fn filter_state(&self) -> FilterState {
        self.keeper.state()
    }

    fn take_warnings(&mut self) -> Vec<String> {
        self.keeper.take_warnings()
    }

    fn close(&mut self) -> io::Result<()> {
        self.filter(Keeper::close)
    }
}
