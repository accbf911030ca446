//! Compares the kernel's counters of a ring with what was read from it.
//!
//! The kernel counts frames that it *queued* into the ring and frames that it *dropped*. The
//! dropped ones include slots that it left empty, which the reader counts separately. The frames
//! that found no room are therefore the kernel's drops minus the empty slots. The kernel counts a
//! drop before the reader reaches the empty slot. New drops are therefore attributed only after the
//! reader has passed every slot that was reserved when the counters were read.
//!
//! Example, a ring of 4 blocks: the kernel reports 110 frames, 10 of them dropped, and the reader
//! has passed no empty slot. The 10 drops stay pending until the reader has passed 4 more blocks.
//! If it passed 3 empty slots meanwhile, 7 frames are counted as ring full.
//!
//! Each queued frame is either passed by the reader or still in the ring. If the numbers do not
//! agree, frames were lost without a count or read twice, which is a bug of this program.

/// The progress of the reader of a ring.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ReaderProgress {
    /// Filled slots that were passed.
    pub(super) passed: u64,
    /// Empty slots that were passed.
    pub(super) empty: u64,
    /// Slots that the kernel reserved and the reader has not passed. Must be counted after the
    /// kernel's counters were read.
    pub(super) in_flight: u64,
    /// Blocks that were passed.
    pub(super) blocks: u64,
    /// Number of blocks of the ring.
    pub(super) ring_blocks: u64,
}

/// The kernel's counters of one ring, compared with the reader's progress.
#[derive(Debug, Default)]
pub(super) struct RingStatistics {
    /// Frames that the kernel put into the ring.
    queued: u64,
    /// Frames that it did not put into the ring, including empty slots.
    dropped: u64,
    /// Drops that are attributed once the reader has passed all slots that were reserved at that
    /// time.
    pending: Option<PendingDrops>,
    ring_full: u64,
    unaccounted: u64,
}

#[derive(Debug, Clone, Copy)]
struct PendingDrops {
    dropped: u64,
    until_block: u64,
}

impl RingStatistics {
    /// Adds the counters of `PACKET_STATISTICS` (all frames, and the dropped ones among them) and
    /// compares them with the reader's progress. The counters must have been read after the
    /// reader's last step.
    pub(super) fn add(&mut self, (all, dropped): (u32, u32), progress: &ReaderProgress) {
        self.queued += u64::from(all.saturating_sub(dropped));
        self.dropped += u64::from(dropped);
        self.attribute_drops(progress);
        let missing = self.queued.saturating_sub(progress.passed + progress.in_flight);
        let repeated = progress.passed.saturating_sub(self.queued);
        self.unaccounted = self.unaccounted.max(missing + repeated);
    }

    /// Attributes all drops at the end of reading. Returns how many queued frames are left in the
    /// ring.
    pub(super) fn finish(&mut self, progress: &ReaderProgress) -> u64 {
        self.set_ring_full(self.dropped, progress.empty);
        self.queued.saturating_sub(progress.passed + self.unaccounted)
    }

    /// Frames that the kernel received for the ring.
    pub(super) const fn frames(&self) -> u64 {
        self.queued + self.dropped
    }

    /// Frames for which the ring had no room. Never decreases.
    pub(super) const fn ring_full(&self) -> u64 {
        self.ring_full
    }

    /// Frames that were lost without a count, or read twice. Never decreases.
    pub(super) const fn unaccounted(&self) -> u64 {
        self.unaccounted
    }

    fn attribute_drops(&mut self, progress: &ReaderProgress) {
        let pending = match self.pending {
            _ if progress.in_flight == 0 => {
                return self.set_ring_full(self.dropped, progress.empty);
            }
            Some(pending) if progress.blocks >= pending.until_block => {
                self.set_ring_full(pending.dropped, progress.empty);
                None
            }
            pending => pending,
        };
        let until_block = progress.blocks + progress.ring_blocks;
        self.pending = pending.or(Some(PendingDrops { dropped: self.dropped, until_block }));
    }

    /// The result is too small, never too large, while empty slots of these drops were not passed
    /// yet; the next call corrects it.
    fn set_ring_full(&mut self, dropped: u64, empty: u64) {
        self.ring_full = self.ring_full.max(dropped.saturating_sub(empty));
        self.pending = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(passed: u64, empty: u64, in_flight: u64, blocks: u64) -> ReaderProgress {
        ReaderProgress { passed, empty, in_flight, blocks, ring_blocks: 4 }
    }

    #[test]
    fn an_empty_slot_is_not_counted_as_a_ring_overflow() {
        let mut statistics = RingStatistics::default();
        // Three frames, and an empty slot that the reader has not reached.
        statistics.add((4, 1), &progress(1, 0, 3, 0));
        assert_eq!((statistics.ring_full(), statistics.unaccounted()), (0, 0));
        statistics.add((0, 0), &progress(3, 1, 0, 1));
        assert_eq!((statistics.ring_full(), statistics.frames()), (0, 4));
        assert_eq!(statistics.finish(&progress(3, 1, 0, 1)), 0);
        assert_eq!((statistics.ring_full(), statistics.unaccounted()), (0, 0));
    }

    #[test]
    fn overflows_and_empty_slots_are_distinguished_under_load() {
        let mut statistics = RingStatistics::default();
        statistics.add((110, 10), &progress(50, 0, 55, 0));
        assert_eq!(statistics.ring_full(), 0);
        // First before the reader has passed all blocks; then after it has, with three empty slots.
        statistics.add((20, 0), &progress(100, 2, 21, 3));
        assert_eq!(statistics.ring_full(), 0);
        statistics.add((20, 5), &progress(130, 3, 7, 4));
        assert_eq!(statistics.ring_full(), 7);
        // Empty slots of later drops are passed first: the counter does not decrease.
        statistics.add((0, 0), &progress(132, 8, 3, 8));
        assert_eq!((statistics.ring_full(), statistics.unaccounted()), (7, 0));
        statistics.add((0, 0), &progress(135, 8, 0, 8));
        assert_eq!((statistics.ring_full(), statistics.unaccounted()), (7, 0));
    }

    #[test]
    fn drops_are_attributed_when_the_reader_has_caught_up_and_at_the_end() {
        let mut statistics = RingStatistics::default();
        statistics.add((10, 4), &progress(6, 0, 0, 0));
        assert_eq!(statistics.ring_full(), 4);
        statistics.add((10, 3), &progress(8, 0, 6, 0));
        assert_eq!(statistics.ring_full(), 4);
        // Five queued frames are left in the ring, and two empty slots were passed.
        assert_eq!(statistics.finish(&progress(8, 2, 6, 0)), 5);
        assert_eq!((statistics.ring_full(), statistics.unaccounted()), (5, 0));
    }

    #[test]
    fn lost_and_duplicate_frames_stay_unaccounted() {
        let mut statistics = RingStatistics::default();
        statistics.add((10, 0), &progress(4, 0, 5, 0));
        assert_eq!(statistics.unaccounted(), 1);
        statistics.add((0, 0), &progress(9, 0, 0, 1));
        assert_eq!((statistics.unaccounted(), statistics.finish(&progress(9, 0, 0, 1))), (1, 0));
        let mut statistics = RingStatistics::default();
        statistics.add((10, 0), &progress(12, 0, 0, 0));
        assert_eq!((statistics.unaccounted(), statistics.finish(&progress(12, 0, 0, 0))), (2, 0));
    }
}
