//! A packet ring in memory of this process, in which a test or a fuzz target takes the kernel's
//! role.

use std::io;

use super::frame_repair::RepairLosses;
use super::ring_frames::RingFrames;
use crate::dataplane::{Burst, Source};
use crate::io::sys::ring_memory::{RingGeometry, RingMemory};

/// A TPACKET_V3 ring in a buffer, with the reader and the offload repair of live capture.
///
/// The caller writes blocks and slots as the kernel does, in the layouts of `linux/if_packet.h`: a
/// slot with a frame has a `virtio_net_hdr` of ten bytes directly before the frame. All bytes
/// are zero at first. A block belongs to the caller while its status (a `u32` at offset 8) lacks
/// `TP_STATUS_USER`. It belongs to the reader after the caller has set that bit, until the reader
/// has cleared it.
///
/// ```
/// use traffic_mirror::dataplane::{Burst, Source};
/// use traffic_mirror::io::live::MemoryRing;
///
/// // A closed block with one empty slot: the kernel could not describe the frame's offload.
/// let mut ring = MemoryRing::new(2, 4096)?;
/// ring.store(0, 12, &1_u32.to_ne_bytes()); // slots
/// ring.store(0, 16, &48_u32.to_ne_bytes()); // the first one
/// ring.store(0, 20, &128_u32.to_ne_bytes()); // used bytes
/// ring.store(0, 8, &1_u32.to_ne_bytes()); // closed
///
/// let mut burst = Burst::new();
/// ring.fill(&mut burst)?;
/// assert!(burst.is_empty());
/// drop(burst);
/// assert_eq!(ring.slots_passed().empty, 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct MemoryRing {
    frames: RingFrames,
}

/// The slots that a [`MemoryRing`] passed, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotsPassed {
    /// Slots with a frame.
    pub frames: u64,
    /// Slots that the kernel left empty.
    pub empty: u64,
    /// Slots whose frame does not fit, and slots after a broken chain.
    pub malformed: u64,
    /// Super-frames with more segments than the limit, which were not delivered.
    pub too_many_segments: u64,
    /// Segments that were not delivered because their headers could not be written.
    pub segment_header_errors: u64,
    /// Frames that were delivered; each segment of a super-frame is one.
    pub delivered: u64,
}

impl MemoryRing {
    /// A ring of `blocks` blocks of `block_len` bytes each, all zero.
    ///
    /// # Errors
    /// Fewer than two blocks, or a block length that is below 48 or not a multiple of eight.
    pub fn new(blocks: usize, block_len: usize) -> io::Result<Self> {
        let geometry = RingGeometry { block_len, blocks, timeout_ms: 0 };
        Ok(Self { frames: RingFrames::new(RingMemory::buffer(geometry)?) })
    }

    /// Stores bytes in a block, as the kernel does. Does nothing if they do not fit.
    pub fn store(&mut self, block: usize, at: usize, bytes: &[u8]) {
        self.frames.reader.memory_mut().store(block, at, bytes);
    }

    /// Whether a block is closed and was not released by the reader.
    #[must_use]
    pub fn is_closed(&self, block: usize) -> bool {
        self.frames.reader.memory().is_closed(block)
    }

    /// Number of slots in the closed blocks and the open block after them that were not passed.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.frames.reader.in_flight()
    }

    /// The slots that were passed so far.
    #[must_use]
    pub const fn slots_passed(&self) -> SlotsPassed {
        let slots = self.frames.reader.counts();
        let RepairLosses { too_many_segments, header_errors, .. } = self.frames.repair.losses();
        SlotsPassed {
            frames: slots.frames,
            empty: slots.empty,
            malformed: slots.malformed,
            too_many_segments,
            segment_header_errors: header_errors,
            delivered: self.frames.delivered(),
        }
    }
}

impl Source for MemoryRing {
    /// Delivers the frames that are there; the burst is empty if there are none.
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        self.frames.collect();
        self.frames.deliver(burst);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_half_full_when_half_of_its_blocks_are_closed() {
        let mut ring = MemoryRing::new(4, 4_096).unwrap();
        let mut filled = Vec::new();
        for block in 0..4 {
            // A closed block with one empty slot, as in the example above.
            for (at, value) in [(12, 1_u32), (16, 48), (20, 128), (8, 1)] {
                ring.store(block, at, &value.to_ne_bytes());
            }
            filled.push(ring.frames.reader.is_half_full());
        }
        assert_eq!(filled, [false, true, true, true]);
        ring.fill(&mut Burst::new()).unwrap();
        ring.fill(&mut Burst::new()).unwrap();
        assert!(!ring.frames.reader.is_half_full());
    }
}
