//! Walks a ring, slot by slot and block by block, and gives blocks back to the kernel.
//!
//! The kernel reserves the slots of a block one behind the other and fills them. A slot stays
//! *empty* where it reserved one and then could not write the `virtio_net_hdr` of the frame: for
//! UFO, SCTP and other kinds of segmentation offload that the header has no number for. The kernel
//! counts such a frame as dropped, and the slots behind are filled all the same:
//!
//! ```text
//! block, 5 slots: [frame][frame][empty][frame][frame]
//! ```
//!
//! In a closed block the reader follows the chain of slots as many times as the block has slots,
//! and counts each of them once: a frame, an empty slot, or a malformed one. In an open block it
//! stops in front of a slot without a frame, which may still be filled, until the block is closed.

use super::open::READS_OPEN_BLOCKS;
use crate::io::sys::prefetch_for_write;
use crate::io::sys::ring_memory::RingMemory;
use crate::io::sys::ring_slot::Slot;

/// Slots that were passed are filled with zeros in pieces of at least this many bytes: small enough
/// to be in the cache still, large enough not to cost a call for each frame.
const MIN_WIPE_LEN: usize = 16 * 1024;

/// Of each frame, at most this many bytes are brought into the cache beforehand: an ordinary frame
/// whole, and of a super-frame what its headers need.
const PREFETCHED_LEN: usize = 2_048;

/// A ring of which no more than this part is left to the kernel is full.
const FULL_FRACTION: usize = 16;

/// How many blocks are lent at once at the most.
const MAX_HELD: usize = 8;

/// What the slots that the reader passed were. Only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SlotCounts {
    /// Slots with a frame.
    pub(super) frames: u64,
    /// Slots that the kernel left empty. They are among the frames that it counts as dropped.
    pub(super) empty: u64,
    /// Slots with a frame that does not fit its block, and all slots behind a broken chain.
    pub(super) malformed: u64,
    /// Blocks of which all slots were passed.
    pub(super) blocks: u64,
}

/// Where in a ring the reading is.
#[derive(Debug)]
pub(super) struct RingReader {
    memory: RingMemory,
    /// The block that is read now.
    block: usize,
    /// Where in it the next slot begins; of no meaning before the first.
    at: usize,
    /// How many of its slots were passed.
    passed: u32,
    /// How many blocks in front of it are passed and still lent.
    held: usize,
    /// How far each block may hold what was written there in an earlier round.
    stale_to: Vec<usize>,
    /// How far each block that is not released yet was filled with zeros.
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

    /// What was passed so far.
    pub(super) const fn counts(&self) -> SlotCounts {
        self.counts
    }

    /// The next frame of the block, which is passed with that. A block that the kernel still
    /// writes is read as far as it is written, where nothing old lies in it.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Slot> {
        loop {
            let is_closed = self.memory.is_closed(self.block);
            if let Some(slot) = self.peek(is_closed) {
                // It is read now, and overwritten with zeros afterwards.
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

    /// How many slots the kernel has reserved that the reader did not pass: those of closed blocks
    /// and of the open one behind them.
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

    /// Goes on to the next block, where all slots of this one were passed and it is closed. Its
    /// frames stay lent until the blocks are released.
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

    /// Gives back the blocks whose slots were all passed; nothing of them is lent any more.
    pub(super) fn release(&mut self) {
        let blocks = self.memory.geometry().blocks;
        while self.held > 0 {
            self.release_one((self.block + blocks - self.held) % blocks);
            self.held -= 1;
        }
    }

    /// Fills the slots of the block that were passed with zeros, so that the block can be read
    /// while it is open in the next round. Called while nothing of it is lent.
    ///
    /// For frames of 1,400 bytes this takes about 80 of the 1,000 ns that mirroring takes, so it is
    /// left out while frames are about to be lost. Such a block is read after it was closed, once.
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

    /// Whether the kernel has so few blocks left that frames are about to be lost.
    fn is_full(&self) -> bool {
        let blocks = self.memory.geometry().blocks;
        let waiting = (blocks - blocks / FULL_FRACTION).saturating_sub(2);
        self.memory.is_closed((self.block + waiting) % blocks)
    }

    fn zeroed_to(&self, block: usize) -> usize {
        self.zeroed_to.get(block).copied().unwrap_or_default()
    }

    /// All that the kernel wrote must be wiped, slots that were not read included: a slot of an
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

    /// The frame of the next slot, if there is one.
    #[inline]
    fn peek(&self, is_closed: bool) -> Option<Slot> {
        let is_readable = is_closed || (READS_OPEN_BLOCKS && self.is_clean());
        if is_readable && self.passed < self.memory.slot_count(self.block) {
            self.memory.slot(self.block, self.slot_offset(), is_closed)
        } else {
            None
        }
    }

    /// Passes a slot of a closed block that has no frame; false at the end of the block.
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
                // Where the next slot begins is not known, so neither is what is in it.
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
