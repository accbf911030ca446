//! Reads and repairs the frames of a ring, one burst at a time.
//!
//! This is the whole part of the live path that reads memory written by the kernel.
//! [`RingSource`](super::RingSource) runs it over a mapped ring, [`MemoryRing`](super::MemoryRing)
//! over a buffer of the process, so that tests and fuzz targets exercise the same code.

use super::frame_repair::{FrameRepair, SuperFrame};
use super::ring_reader::RingReader;
use crate::dataplane::{Burst, Frame, MAX_BURST_LEN, Medium};
use crate::io::sys::ring_memory::RingMemory;
use crate::model::Direction;

/// The reader of a ring and the repair of its frames.
#[derive(Debug)]
pub(super) struct RingFrames {
    pub(super) reader: RingReader,
    pub(super) repair: FrameRepair,
    /// The super-frame whose segments did not all fit into the last burst.
    unfinished: Option<SuperFrame>,
    /// Number of delivered frames; each segment of a super-frame counts as one.
    delivered: u64,
}

impl RingFrames {
    pub(super) fn new(memory: RingMemory) -> Self {
        Self {
            reader: RingReader::new(memory),
            repair: FrameRepair::default(),
            unfinished: None,
            delivered: 0,
        }
    }

    /// Number of frames delivered so far.
    pub(super) const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Number of segments of the unfinished super-frame that were not delivered yet.
    pub(super) fn pending_segments(&self) -> u64 {
        let left = self.unfinished.as_ref().map_or(0, SuperFrame::left);
        u64::try_from(left).unwrap_or_default()
    }

    /// Collects the next frames, at most one burst. Releases the blocks whose frames were all
    /// delivered.
    pub(super) fn collect(&mut self) {
        self.repair.clear();
        if self.unfinished.is_none() {
            self.reader.advance();
            self.reader.wipe_passed();
        }
        self.reader.release();
        self.unfinished = self
            .unfinished
            .take()
            .and_then(|frame| self.repair.add_segments(self.reader.memory(), frame));
        while self.unfinished.is_none() && self.repair.len() < MAX_BURST_LEN {
            let Some(slot) = self.reader.next() else {
                if self.reader.advance() {
                    continue;
                }
                break;
            };
            self.unfinished = self.repair.add_frame(self.reader.memory_mut(), slot);
        }
    }

    /// Adds the collected frames to the burst.
    pub(super) fn deliver<'a>(&'a mut self, burst: &mut Burst<'a>) {
        self.delivered += u64::try_from(self.repair.len()).unwrap_or_default();
        let Self { reader, repair, .. } = &*self;
        for repaired in repair.frames() {
            let in_block = reader.memory().bytes(repaired.bytes);
            let head = repair.headers(repaired);
            let (bytes, tail): (_, &[u8]) =
                if head.is_empty() { (in_block, &[]) } else { (head, in_block) };
            let direction = if repaired.is_egress { Direction::Egress } else { Direction::Ingress };
            burst.push(Frame {
                bytes,
                tail,
                timestamp_ns: repaired.timestamp_ns,
                wire_len: repaired.wire_len,
                direction: Some(direction),
                medium: Medium::Ethernet,
                is_next_segment: repaired.is_next_segment,
                is_cut: repaired.is_cut,
            });
        }
    }
}
