//! Walking a ring: which block is read, how far, and when it goes back.

use super::open::READS_OPEN_BLOCKS;
use crate::io::sys::ring::{Ring, Slot};

/// A block of which no more is used was closed because its time was over; only such blocks are
/// wiped, so that no time goes into that under load.
const WIPED_LEN: usize = 64 * 1024;

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
    /// How far each block may hold what was written there in an earlier round.
    stale_to: Vec<usize>,
}

impl Reader {
    pub(super) fn new(ring: Ring) -> Self {
        let stale_to = vec![0; ring.shape().blocks];
        Self { ring, block: 0, at: 0, taken: 0, stale_to }
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

    /// Whether all of the block was taken and nothing more comes into it. (Or nothing in it can
    /// be read, which the kernel does not do.)
    pub(super) fn is_spent(&self) -> bool {
        self.is_closed() && self.peek().is_none()
    }

    /// Gives the block back and goes on with the next one.
    pub(super) fn release(&mut self) {
        if let Some(stale_to) = self.stale_to.get_mut(self.block) {
            *stale_to = self.at.max(*stale_to);
            if READS_OPEN_BLOCKS && self.at <= WIPED_LEN {
                let first = self.ring.first(self.block);
                self.ring.wipe(self.block, first, *stale_to);
                *stale_to = 0;
            }
        }
        self.ring.release(self.block);
        self.block = (self.block + 1) % self.ring.shape().blocks;
        (self.at, self.taken) = (0, 0);
    }

    #[inline]
    fn place(&self) -> usize {
        if self.at == 0 { self.ring.first(self.block) } else { self.at }
    }
}
