//! The source that lends frames out of a packet ring, as they were on the wire.

use std::io;

use super::LiveSource;
use super::bell::Bell;
use super::filter::{FilterState, Keeper, Load, Outlets};
use super::mend::{Mender, SuperFrame};
use super::open::RingOptions;
use super::reader::Reader;
use super::rest::Rest;
use super::wake::Waker;
use crate::dataplane::{Burst, Frame, MAX_BURST_LEN, Medium, MirrorTable, Source};
use crate::io::sys::ring::Ring;
use crate::model::Direction;

/// Lends the frames of one ring.
#[derive(Debug)]
pub struct RingSource {
    reader: Reader,
    rest: Rest,
    mender: Mender,
    keeper: Keeper,
    /// The super-frame of which not all segments fitted into the last burst.
    unfinished: Option<SuperFrame>,
}

impl RingSource {
    pub(super) fn new(ring: Ring, bell: Bell, waker: Waker, options: &RingOptions) -> Self {
        Self {
            reader: Reader::new(ring),
            rest: Rest::new(bell, waker, options.is_busy),
            mender: Mender::default(),
            keeper: Keeper::new(options),
            unfinished: None,
        }
    }

    /// Notes what is lent next: as many frames as are there and fit.
    fn collect(&mut self) {
        self.mender.clear();
        if self.unfinished.is_none() {
            self.reader.advance();
            self.reader.wipe_taken();
        }
        self.reader.release();
        let Reader { ring, block, .. } = &self.reader;
        self.unfinished =
            self.unfinished.take().and_then(|frame| self.mender.cut(ring, *block, frame));
        while self.unfinished.is_none() && self.mender.len() < MAX_BURST_LEN {
            let Some(slot) = self.reader.peek() else {
                if self.reader.advance() {
                    continue;
                }
                break;
            };
            let Reader { ring, block, .. } = &mut self.reader;
            self.unfinished = self.mender.mend(ring, *block, slot);
            self.reader.pass(&slot);
        }
    }

    fn lend<'a>(&'a self, burst: &mut Burst<'a>) {
        for piece in self.mender.pieces() {
            let in_block = self.reader.ring.bytes(piece.block, piece.start, piece.len);
            let head = self.mender.headers(piece);
            let (bytes, tail): (_, &[u8]) =
                if head.is_empty() { (in_block, &[]) } else { (head, in_block) };
            burst.push(Frame {
                bytes,
                tail,
                timestamp_ns: piece.timestamp_ns,
                wire_len: piece.wire_len,
                direction: Some(if piece.is_egress {
                    Direction::Egress
                } else {
                    Direction::Ingress
                }),
                medium: Medium::Ethernet,
                is_next_segment: piece.is_next_segment,
                is_cut: piece.is_cut,
            });
        }
    }

    /// Ends cutting where it spoiled a frame.
    #[inline]
    fn look_for_spoiled(&mut self) -> io::Result<()> {
        match self.mender.take_spoiled() {
            0 => Ok(()),
            frames => self.filter(|keeper, outlets| keeper.spoil(frames, outlets)),
        }
    }

    fn filter(
        &mut self,
        change: impl FnOnce(&mut Keeper, Outlets<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let outlets = Outlets { ring: self.reader.ring.socket(), bell: self.rest.bell() };
        change(&mut self.keeper, outlets)?;
        self.mender.expect_cuts_to(self.keeper.cut_len());
        Ok(())
    }
}

impl Source for RingSource {
    /// Waits for frames for a tenth of a second at the most, and not at all once it was woken.
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        self.collect();
        if self.mender.len() == 0 {
            self.rest.wait(&self.reader)?;
            self.collect();
        }
        let first = self.mender.pieces().first();
        self.rest.learn(first.map(|first| first.timestamp_ns), self.mender.len());
        self.look_for_spoiled()?;
        self.lend(burst);
        Ok(())
    }
}

impl LiveSource for RingSource {
    fn take_counts(&mut self) -> (u64, u64) {
        let (came, lost) = self.reader.ring.statistics().unwrap_or_default();
        (u64::from(came), u64::from(lost))
    }

    fn memory_len(&self) -> usize {
        let shape = self.reader.ring.shape();
        shape.block_len * shape.blocks
    }

    fn has_pending(&self) -> bool {
        self.reader.has_pending()
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
