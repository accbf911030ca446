//! Reads a ring slot by slot and block by block, and releases blocks to the kernel. The ring format
//! is TPACKET_V3 (`Documentation/networking/packet_mmap.rst` of Linux).
//!
//! The kernel marks a block as readable only when it is full or its timeout expires. To keep the
//! delay short, the reader also reads the *open* block, which the kernel is still writing. This is
//! safe only if an incomplete slot cannot look complete, so the reader fills each block with zeros
//! before the kernel reuses it. Example with frames of 1,400 bytes:
//!
//! ```text
//! round 1, open    [frame A][frame B][0 0 0 ...      A and B are delivered, then zeroed together
//! round 1, later   [0 0 0 0][0 0 0 0][frame C][0 ..  (in pieces of at least 16 KiB)
//! round 1, closed  all frames were delivered: zero the rest, release the block to the kernel
//! round 2, open    [frame D][half E ][0 0 0 ...      D is complete; the zero fields of E show that
//!                                                    it is not: the reader stops before E
//! ```
//!
//! If the ring is almost full, the reader skips the zeroing. `stale_to` then records how many bytes
//! of the block are not zero, and the block is read only after the kernel has closed it.
//!
//! The kernel reserves the slots of a block one after another and then fills them. A slot stays
//! *empty* if the kernel reserved it and could not write the `virtio_net_hdr` of the frame. This
//! happens for UFO, SCTP and other kinds of segmentation offload for which the header has no
//! number. The kernel counts such a frame as dropped and still fills the slots after it:
//!
//! ```text
//! block, 5 slots: [frame][frame][empty][frame][frame]
//! ```
//!
//! In a closed block the reader follows the chain of slots as many times as the block has slots,
//! and counts each slot once: as a frame, as empty, or as malformed. In an open block it stops in
//! front of a slot without a frame, because the kernel may still fill it.

use crate::io::sys::prefetch_for_write;
use crate::io::sys::ring_memory::RingMemory;
use crate::io::sys::ring_slot::Slot;

/// Whether frames are read while their block is still open. This needs an architecture on which
/// stores become visible in program order, as on x86-64.
pub(super) const READS_OPEN_BLOCKS: bool = cfg!(target_arch = "x86_64");

/// Slots that were read are zeroed in pieces of at least this many bytes: small enough to be still
/// in the cache, large enough to avoid a call for each frame.
const MIN_WIPE_LEN: usize = 16 * 1024;

/// At most this many bytes of each frame are prefetched: an ordinary frame completely, the headers
/// of a super-frame.
const PREFETCHED_LEN: usize = 2_048;

/// A ring counts as full when the kernel owns at most 1/16 of its blocks.
const FULL_FRACTION: usize = 16;

/// The maximum number of blocks whose frames are borrowed by one burst.
const MAX_HELD: usize = 8;

/// The slots that the reader has passed, by kind. The counters only increase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SlotCounts {
    /// Slots with a frame.
    pub(super) frames: u64,
    /// Slots that the kernel left empty. The kernel counts them as dropped, too.
    pub(super) empty: u64,
    /// Slots whose frame does not fit their block, and all slots after a broken chain.
    pub(super) malformed: u64,
    /// Blocks whose slots were all passed.
    pub(super) blocks: u64,
}

/// The read position in a ring.
#[derive(Debug)]
pub(super) struct RingReader {
    memory: RingMemory,
    /// The block that is being read.
    block: usize,
    /// Offset of the next slot in the block; undefined before the first slot.
    at: usize,
    /// Number of slots of the block that were passed.
    passed: u32,
    /// Number of blocks before it that were passed and are not released yet.
    held: usize,
    /// For each block: bytes before this offset may be left over from an earlier round; 0 if there
    /// are none.
    stale_to: Vec<usize>,
    /// For each block that is not released yet: bytes before this offset were zeroed in this round.
    zeroed_to: Vec<usize>,
    counts: SlotCounts,
}

impl RingReader {
    pub(super) fn new(memory: RingMemory) -> Self {
        let blocks = memory.geometry().blocks;
        let (stale_to, zeroed_to) = (vec![0; blocks], vec![0; blocks]);
        let counts = SlotCounts::default();
        Self { memory, block: 0, at: 0, passed: 0, held: 0, stale_to, zeroed_to, counts }
    }

    pub(super) const fn memory(&self) -> &RingMemory {
        &self.memory
    }

    pub(super) const fn memory_mut(&mut self) -> &mut RingMemory {
        &mut self.memory
    }

    /// The slots that were passed so far.
    pub(super) const fn counts(&self) -> SlotCounts {
        self.counts
    }

    /// Returns the next frame of the block and passes its slot. An open block is read up to the
    /// first incomplete slot, if it holds no bytes of an earlier round.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Slot> {
        loop {
            let is_closed = self.memory.is_closed(self.block);
            if let Some(slot) = self.peek(is_closed) {
                // It is read now and overwritten with zeros afterwards.
                prefetch_for_write(self.memory.bytes(slot.frame.part(0, PREFETCHED_LEN)));
                self.at = slot.next;
                self.passed += 1;
                self.counts.frames += 1;
                return Some(slot);
            }
            if !(is_closed && self.skip_slot()) {
                return None;
            }
        }
    }

    /// Whether there is a frame, an empty slot or the end of a block to pass.
    pub(super) fn is_ready(&self) -> bool {
        self.memory.is_closed(self.block) || self.peek(false).is_some()
    }

    /// Number of slots that the kernel has reserved and the reader has not passed, in the closed
    /// blocks and in the open block after them.
    pub(super) fn in_flight(&self) -> u64 {
        let blocks = self.memory.geometry().blocks;
        let mut slots = 0;
        for ahead in 0..blocks - self.held {
            let block = (self.block + ahead) % blocks;
            let is_closed = self.memory.is_closed(block);
            slots += u64::from(self.memory.slot_count(block));
            if !is_closed {
                break;
            }
        }
        slots.saturating_sub(u64::from(self.passed))
    }

    /// Moves to the next block if the current one is closed and all its slots were passed. The
    /// frames of the block stay borrowed until [`Self::release`].
    pub(super) fn advance(&mut self) -> bool {
        let blocks = self.memory.geometry().blocks;
        let may_hold = self.held < MAX_HELD.min(blocks - 1);
        let is_closed = self.memory.is_closed(self.block);
        if !may_hold || !is_closed || self.passed < self.memory.slot_count(self.block) {
            return false;
        }
        self.block = (self.block + 1) % blocks;
        (self.at, self.passed) = (0, 0);
        self.counts.blocks += 1;
        self.held += 1;
        true
    }

    /// Releases the blocks whose slots were all passed. No burst may borrow frames of them.
    pub(super) fn release(&mut self) {
        let blocks = self.memory.geometry().blocks;
        while self.held > 0 {
            self.release_one((self.block + blocks - self.held) % blocks);
            self.held -= 1;
        }
    }

    /// Zeroes the slots of the current block that were passed, so that the block can be read while
    /// it is open in the next round. No burst may borrow frames of the block.
    ///
    /// For frames of 1,400 bytes this takes about 80 of the 1,000 ns that mirroring takes, so it is
    /// skipped while the ring is almost full. Such a block is read once only after it was closed.
    pub(super) fn wipe_passed(&mut self) {
        let start = self.zeroed_to(self.block);
        let is_worth_it = self.passed > 0 && self.at >= start + MIN_WIPE_LEN;
        if !READS_OPEN_BLOCKS || self.held > 0 || !is_worth_it || self.is_full() {
            return;
        }
        self.memory.wipe(self.block, start, self.at);
        if let Some(zeroed_to) = self.zeroed_to.get_mut(self.block) {
            *zeroed_to = self.at;
        }
    }

    /// Whether the kernel owns so few blocks that it is about to drop frames.
    fn is_full(&self) -> bool {
        let blocks = self.memory.geometry().blocks;
        let waiting = (blocks - blocks / FULL_FRACTION).saturating_sub(2);
        self.memory.is_closed((self.block + waiting) % blocks)
    }

    /// Whether frames wait in at least half of the blocks.
    pub(super) fn is_half_full(&self) -> bool {
        let blocks = self.memory.geometry().blocks;
        self.memory.is_closed((self.block + (blocks / 2).saturating_sub(1)) % blocks)
    }

    fn zeroed_to(&self, block: usize) -> usize {
        self.zeroed_to.get(block).copied().unwrap_or_default()
    }

    /// Zeroes all bytes that the kernel wrote, also in slots that were not read: a slot of an
    /// earlier round must not look complete in an open block.
    fn release_one(&mut self, block: usize) {
        let used = self.memory.used_len(block);
        let is_wiped = READS_OPEN_BLOCKS && !self.is_full();
        if let (Some(stale_to), Some(zeroed_to)) =
            (self.stale_to.get_mut(block), self.zeroed_to.get_mut(block))
        {
            let start = std::mem::replace(zeroed_to, 0);
            *stale_to = used.max(*stale_to);
            if is_wiped {
                self.memory.wipe(block, start, *stale_to);
                *stale_to = 0;
            }
        }
        self.memory.release(block);
    }

    /// The frame of the next slot, if it is complete.
    #[inline]
    fn peek(&self, is_closed: bool) -> Option<Slot> {
        let is_readable = is_closed || (READS_OPEN_BLOCKS && self.is_clean());
        if is_readable && self.passed < self.memory.slot_count(self.block) {
            self.memory.slot(self.block, self.slot_offset(), is_closed)
        } else {
            None
        }
    }

    /// Passes a slot of a closed block that has no frame; returns false at the end of the block.
    #[cold]
    fn skip_slot(&mut self) -> bool {
        let left = self.memory.slot_count(self.block).saturating_sub(self.passed);
        if left == 0 {
            return false;
        }
        let at = self.slot_offset();
        let next = if left > 1 { self.memory.next_slot(self.block, at) } else { Some(0) };
        match (self.memory.slot_emptiness(self.block, at), next) {
            (Some(is_empty), Some(next)) => {
                (self.at, self.passed) = (next, self.passed + 1);
                self.counts.empty += u64::from(is_empty);
                self.counts.malformed += u64::from(!is_empty);
            }
            _ => {
                // The offset of the next slot is unknown, so the rest of the block cannot be read.
                self.passed += left;
                self.counts.malformed += u64::from(left);
            }
        }
        true
    }

    #[inline]
    fn is_clean(&self) -> bool {
        self.stale_to.get(self.block) == Some(&0)
    }

    #[inline]
    fn slot_offset(&self) -> usize {
        if self.passed == 0 { self.memory.first_slot(self.block) } else { self.at }
    }
}
