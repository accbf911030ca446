//! Walking a ring: which block is read, how far, and when it goes back.

use super::open::READS_OPEN_BLOCKS;
use crate::io::sys::prefetch_for_write;
use crate::io::sys::ring::{Ring, Slot};

/// Bytes that were taken are filled with zeros in pieces of at least this size: small enough to be
/// in the cache still, large enough not to cost a call for each frame.
const WIPED_LEN: usize = 16 * 1024;

/// Of a frame at most so many bytes are brought into the cache beforehand: an ordinary frame whole,
/// and of a super-frame what its headers need.
const PREFETCHED_LEN: usize = 2048;

/// A ring of which no more than this part is left to the kernel is full.
const FULL_PART: usize = 16;

/// So many blocks are lent at once at the most.
const MAX_HELD: usize = 8;

/// Where in a ring the reading is.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) ring: Ring,
    /// The block that is read now.
    pub(super) block: usize,
    /// Where in it the next frame's header is; zero before the first.
    at: usize,
    /// How many frames of it were taken.
    taken: u32,
    /// How many blocks in front of it are all taken and still lent.
    spent: usize,
    /// How much of each block was used when it was last read.
    used: Vec<usize>,
    /// How far each block may hold what was written there in an earlier round.
    stale_to: Vec<usize>,
    /// How far each block that is not released yet was filled with zeros.
    wiped_to: Vec<usize>,
}

impl Reader {
    pub(super) fn new(ring: Ring) -> Self {
        let blocks = ring.shape().blocks;
        let (used, stale_to, wiped_to) = (vec![0; blocks], vec![0; blocks], vec![0; blocks]);
        Self { ring, block: 0, at: 0, taken: 0, spent: 0, used, stale_to, wiped_to }
    }

    /// The next frame of the block, if it is there. A block that the kernel still writes is read
    /// as far as it is written, where nothing old lies in it.
    #[inline]
    pub(super) fn peek(&self) -> Option<Slot> {
        if self.ring.is_closed(self.block) {
            let left = self.ring.packets(self.block) > self.taken;
            return if left { self.ring.slot(self.block, self.place()) } else { None };
        }
        let is_clean = READS_OPEN_BLOCKS && self.stale_to.get(self.block) == Some(&0);
        if is_clean { self.ring.slot(self.block, self.place()) } else { None }
    }

    /// Goes on behind a frame, which will be read now and overwritten with zeros afterwards.
    #[inline]
    pub(super) fn pass(&mut self, slot: &Slot) {
        let len = slot.captured_len.min(PREFETCHED_LEN);
        prefetch_for_write(self.ring.bytes(self.block, slot.start, len));
        self.at = slot.next;
        self.taken += 1;
    }

    /// Whether the kernel is done with the block.
    pub(super) fn is_closed(&self) -> bool {
        self.ring.is_closed(self.block)
    }

    /// Whether the block holds frames that were not taken yet, readable or not.
    pub(super) fn has_pending(&self) -> bool {
        self.ring.packets(self.block) > self.taken
    }

    /// Goes on to the next block, where all of this one was taken and nothing more comes into it.
    /// What was taken stays lent until the blocks are released.
    pub(super) fn advance(&mut self) -> bool {
        let blocks = self.ring.shape().blocks;
        let may_hold = self.spent < MAX_HELD.min(blocks - 1);
        if !(may_hold && self.is_closed() && self.peek().is_none()) {
            return false;
        }
        if let Some(used) = self.used.get_mut(self.block) {
            *used = self.at;
        }
        self.block = (self.block + 1) % blocks;
        (self.at, self.taken) = (0, 0);
        self.spent += 1;
        true
    }

    /// Gives back the blocks of which all was taken; nothing of them is lent any more.
    pub(super) fn release(&mut self) {
        let blocks = self.ring.shape().blocks;
        while self.spent > 0 {
            self.release_one((self.block + blocks - self.spent) % blocks);
            self.spent -= 1;
        }
    }

    /// Fills with zeros what was taken of the block and is no longer lent, so that the next round
    /// can read the block while it is open. Called while nothing of it is lent.
    ///
    /// At 1,400 bytes it takes about 80 ns for a frame, where mirroring it takes 1,000 ns, so it is
    /// left out while frames are about to be lost. Then the block is read when it is closed, once.
    pub(super) fn wipe_taken(&mut self) {
        let start = self.wiped_to(self.block).max(self.ring.first(self.block));
        if !READS_OPEN_BLOCKS || self.spent > 0 || self.at < start + WIPED_LEN || self.is_full() {
            return;
        }
        self.ring.bytes_mut(self.block, start, self.at - start).fill(0);
        if let Some(wiped_to) = self.wiped_to.get_mut(self.block) {
            *wiped_to = self.at;
        }
    }

    /// Whether the kernel has so few blocks left that frames are about to be lost.
    fn is_full(&self) -> bool {
        let blocks = self.ring.shape().blocks;
        let waiting = (blocks - blocks / FULL_PART).saturating_sub(2);
        self.ring.is_closed((self.block + waiting) % blocks)
    }

    fn wiped_to(&self, block: usize) -> usize {
        self.wiped_to.get(block).copied().unwrap_or_default()
    }

    fn release_one(&mut self, block: usize) {
        let used = self.used.get(block).copied().unwrap_or_default();
        let start = self.wiped_to(block).max(self.ring.first(block));
        let is_wiped = READS_OPEN_BLOCKS && !self.is_full();
        if let (Some(stale_to), Some(wiped_to)) =
            (self.stale_to.get_mut(block), self.wiped_to.get_mut(block))
        {
            *stale_to = used.max(*stale_to);
            *wiped_to = 0;
            if is_wiped {
                self.ring.wipe(block, start, *stale_to);
                *stale_to = 0;
            }
        }
        self.ring.release(block);
    }

    #[inline]
    fn place(&self) -> usize {
        if self.at == 0 { self.ring.first(self.block) } else { self.at }
    }
}
