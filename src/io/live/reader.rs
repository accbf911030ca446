//! Walking a ring: which block is read, how far, and when it goes back.

use super::open::READS_OPEN_BLOCKS;
use crate::io::sys::ring::{Ring, Slot};

/// A block of which no more is used was closed because its time was over; only such blocks are
/// wiped, so that no time goes into that under load.
const WIPED_LEN: usize = 64 * 1024;

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
}

impl Reader {
    pub(super) fn new(ring: Ring) -> Self {
        let blocks = ring.shape().blocks;
        let (used, stale_to) = (vec![0; blocks], vec![0; blocks]);
        Self { ring, block: 0, at: 0, taken: 0, spent: 0, used, stale_to }
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

    /// Goes on behind a frame.
    #[inline]
    pub(super) const fn pass(&mut self, slot: &Slot) {
        self.at = slot.next;
        self.taken += 1;
    }

    /// Whether the kernel is done with the block.
    pub(super) fn is_closed(&self) -> bool {
        self.ring.is_closed(self.block)
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

    fn release_one(&mut self, block: usize) {
        let used = self.used.get(block).copied().unwrap_or_default();
        if let Some(stale_to) = self.stale_to.get_mut(block) {
            *stale_to = used.max(*stale_to);
            if READS_OPEN_BLOCKS && used <= WIPED_LEN {
                let first = self.ring.first(block);
                self.ring.wipe(block, first, *stale_to);
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
