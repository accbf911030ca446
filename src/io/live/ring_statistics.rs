//! Compares what the kernel counted for a ring with what was read from it.
//!
//! The kernel counts frames that it *queued* into the ring and frames that it *dropped*. Among
//! the dropped ones are those of slots that it left empty, which the reader counts too, under
//! their own cause. So the frames that found no room are the kernel's drops less the empty slots.
//! A drop is counted before the reader comes to the empty slot: new drops are held back until the
//! reader has seen every slot that the kernel had reserved when they were read.
//!
//! Each queued frame is either passed by the reader or still in the ring. Where the numbers say
//! otherwise, frames were lost without a count or were read twice: a fault of this program.

/// What the reader of a ring did and sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ReaderProgress {
    /// Slots that were passed and that the kernel had filled.
    pub(super) passed: u64,
    /// Slots that were passed and that the kernel had left empty.
    pub(super) empty: u64,
    /// Slots that the kernel reserved and that were not passed, counted after the kernel's
    /// counters were read.
    pub(super) in_flight: u64,
    /// Blocks that were passed.
    pub(super) blocks: u64,
    /// How many blocks the ring has.
    pub(super) ring_blocks: u64,
}

/// The kernel's counters of one ring, compared with what was read from it.
#[derive(Debug, Default)]
pub(super) struct RingStatistics {
    /// Frames that the kernel put into the ring.
    queued: u64,
    /// Frames that it did not put there, empty slots among them.
    dropped: u64,
    /// Drops whose empty slots, if any, were all passed once so many blocks were passed.
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
    /// Adds what `PACKET_STATISTICS` said, all frames and those among them that were dropped, and
    /// compares it with what the reader sees. The counters must have been read after the reader's
    /// last step.
    pub(super) fn add(&mut self, (all, dropped): (u32, u32), progress: &ReaderProgress) {
        self.queued += u64::from(all.saturating_sub(dropped));
        self.dropped += u64::from(dropped);
        self.attribute_drops(progress);
        let missing = self.queued.saturating_sub(progress.passed + progress.in_flight);
        let repeated = progress.passed.saturating_sub(self.queued);
        self.unaccounted = self.unaccounted.max(missing + repeated);
    }

    /// Nothing is read from the ring any more: attributes all drops, and says how many queued
    /// frames are left in it.
    pub(super) fn finish(&mut self, progress: &ReaderProgress) -> u64 {
        self.set_ring_full(self.dropped, progress.empty);
        self.queued.saturating_sub(progress.passed + self.unaccounted)
    }

    /// Frames that the kernel had for the ring.
    pub(super) const fn frames(&self) -> u64 {
        self.queued + self.dropped
    }

    /// Frames that the kernel found no room for. Never decreases.
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

    /// Empty slots that were passed later than the drops were read make this too small, never too
    /// large; the next time makes up for it.
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
        // Three frames, and an empty slot that the reader has not come to.
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
        // Not yet around the ring; then around it, by which three of the drops were empty slots.
        statistics.add((20, 0), &progress(100, 2, 21, 3));
        assert_eq!(statistics.ring_full(), 0);
        statistics.add((20, 5), &progress(130, 3, 7, 4));
        assert_eq!(statistics.ring_full(), 7);
        // Empty slots of later drops come first: nothing is taken back.
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
        // Five queued frames are left behind, and two empty slots were passed.
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
