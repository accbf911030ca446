//! A packet ring in memory of this process, in which a test or a fuzz target plays the kernel.

use std::io;

use super::frame_repair::RepairLosses;
use super::ring_frames::RingFrames;
use crate::dataplane::{Burst, Source};
use crate::io::sys::ring_memory::{RingGeometry, RingMemory};

/// A TPACKET_V3 ring in a buffer, with the reader and the offload repair of live capture over it.
///
/// The caller writes blocks and slots as the kernel would, in the layouts of `linux/if_packet.h`:
/// a slot with a frame has a `virtio_net_hdr` of ten bytes right in front of the frame. All bytes
/// are zero at first. A block belongs to the caller while its status (a `u32` at offset 8) lacks
/// `TP_STATUS_USER`, and to the reader once the caller has set that bit, until the reader has
/// cleared it.
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

/// What became of the slots that a [`MemoryRing`] passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotsPassed {
    /// Slots with a frame.
    pub frames: u64,
    /// Slots that were left empty.
    pub empty: u64,
    /// Slots whose frame does not fit, and those behind a broken chain.
    pub malformed: u64,
    /// Super-frames of more segments than are cut, which were not lent.
    pub too_many_segments: u64,
    /// Segments that were not lent because their headers could not be written.
    pub segment_header_errors: u64,
    /// Frames that were delivered; each segment of a super-frame is one.
    pub delivered: u64,
}

impl MemoryRing {
    /// A ring of so many blocks of `block_len` bytes each, all zero.
    ///
    /// # Errors
    /// Fewer than two blocks, or a block length that is below 48 or no multiple of eight.
    pub fn new(blocks: usize, block_len: usize) -> io::Result<Self> {
        let geometry = RingGeometry { block_len, blocks, timeout_ms: 0 };
        Ok(Self { frames: RingFrames::new(RingMemory::buffer(geometry)?) })
    }

    /// Stores bytes in a block, as the kernel would; nothing where they do not fit into it.
    pub fn store(&mut self, block: usize, at: usize, bytes: &[u8]) {
        self.frames.reader.memory_mut().store(block, at, bytes);
    }

    /// Whether a block is closed: the reader has not given it back.
    #[must_use]
    pub fn is_closed(&self, block: usize) -> bool {
        self.frames.reader.memory().is_closed(block)
    }

    /// How many slots are reserved in closed blocks and the open block behind them, and were not
    /// passed.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.frames.reader.in_flight()
    }

    /// What became of the slots so far.
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
    /// Lends what is there; an empty burst says that nothing is there now.
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        self.frames.collect();
        self.frames.deliver(burst);
        Ok(())
    }
}
