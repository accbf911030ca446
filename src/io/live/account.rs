//! Compares what the kernel counted for a ring with what was read from it.
//!
//! The kernel counts frames that it *delivered* into the ring and frames that it *dropped*. Among
//! the dropped ones are those of slots that it left empty, which the reader counts too, under
//! their own cause. So the frames that found no room are the kernel's drops less the empty slots.
//! A drop is counted before the reader comes to the empty slot: new drops are held back until the
//! reader has seen every slot that the kernel had reserved when they were read.
//!
//! Each delivered frame is either passed by the reader or still in the ring. Where the numbers say
//! otherwise, frames were lost without a count or were read twice: a fault of this program.

/// What the reader of a ring did and sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ReaderView {
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

/// The account of one ring.
#[derive(Debug, Default)]
pub(super) struct RingAccount {
    /// Frames that the kernel put into the ring.
    delivered: u64,
    /// Frames that it did not put there, empty slots among them.
    dropped: u64,
    /// Drops whose empty slots, if any, were all passed once so many blocks were passed.
    held: Option<Held>,
    no_room: u64,
    unaccounted: u64,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    dropped: u64,
    until_block: u64,
}

impl RingAccount {
    /// Adds what `PACKET_STATISTICS` said, all frames and those among them that were dropped, and
    /// compares it with what the reader sees. The counters must have been read after the reader's
    /// last step.
    pub(super) fn add(&mut self, (all, dropped): (u32, u32), view: &ReaderView) {
        self.delivered += u64::from(all.saturating_sub(dropped));
        self.dropped += u64::from(dropped);
        self.attribute(view);
        let missing = self.delivered.saturating_sub(view.passed + view.in_flight);
        let repeated = view.passed.saturating_sub(self.delivered);
        self.unaccounted = self.unaccounted.max(missing + repeated);
    }

    /// Nothing is read from the ring any more: attributes all drops, and says how many delivered
    /// frames are left in it.
    pub(super) fn end(&mut self, view: &ReaderView) -> u64 {
        self.settle(self.dropped, view.empty);
        self.delivered.saturating_sub(view.passed + self.unaccounted)
    }

    /// Frames that the kernel had for the ring.
    pub(super) const fn frames(&self) -> u64 {
        self.delivered + self.dropped
    }

    /// Frames that the kernel found no room for. Never decreases.
    pub(super) const fn no_room(&self) -> u64 {
        self.no_room
    }

    /// Frames that were lost without a count, or read twice. Never decreases.
    pub(super) const fn unaccounted(&self) -> u64 {
        self.unaccounted
    }

    fn attribute(&mut self, view: &ReaderView) {
        let held = match self.held {
            _ if view.in_flight == 0 => return self.settle(self.dropped, view.empty),
            Some(held) if view.blocks >= held.until_block => {
                self.settle(held.dropped, view.empty);
                None
            }
            held => held,
        };
        let until_block = view.blocks + view.ring_blocks;
        self.held = held.or(Some(Held { dropped: self.dropped, until_block }));
    }

    /// Empty slots that were passed later than the drops were read make this too small, never too
    /// large; the next time makes up for it.
    fn settle(&mut self, dropped: u64, empty: u64) {
        self.no_room = self.no_room.max(dropped.saturating_sub(empty));
        self.held = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(passed: u64, empty: u64, in_flight: u64, blocks: u64) -> ReaderView {
        ReaderView { passed, empty, in_flight, blocks, ring_blocks: 4 }
    }

    #[test]
    fn an_empty_slot_is_not_counted_as_a_ring_overflow() {
        let mut account = RingAccount::default();
        // Three frames, and an empty slot that the reader has not come to.
        account.add((4, 1), &view(1, 0, 3, 0));
        assert_eq!((account.no_room(), account.unaccounted()), (0, 0));
        account.add((0, 0), &view(3, 1, 0, 1));
        assert_eq!((account.no_room(), account.frames()), (0, 4));
        assert_eq!(account.end(&view(3, 1, 0, 1)), 0);
        assert_eq!((account.no_room(), account.unaccounted()), (0, 0));
    }

    #[test]
    fn overflows_and_empty_slots_are_distinguished_under_load() {
        let mut account = RingAccount::default();
        account.add((110, 10), &view(50, 0, 55, 0));
        assert_eq!(account.no_room(), 0);
        // Not yet around the ring; then around it, by which three of the drops were empty slots.
        account.add((20, 0), &view(100, 2, 21, 3));
        assert_eq!(account.no_room(), 0);
        account.add((20, 5), &view(130, 3, 7, 4));
        assert_eq!(account.no_room(), 7);
        // Empty slots of later drops come first: nothing is taken back.
        account.add((0, 0), &view(132, 8, 3, 8));
        assert_eq!((account.no_room(), account.unaccounted()), (7, 0));
        account.add((0, 0), &view(135, 8, 0, 8));
        assert_eq!((account.no_room(), account.unaccounted()), (7, 0));
    }

    #[test]
    fn drops_are_attributed_when_the_reader_has_caught_up_and_at_the_end() {
        let mut account = RingAccount::default();
        account.add((10, 4), &view(6, 0, 0, 0));
        assert_eq!(account.no_room(), 4);
        account.add((10, 3), &view(8, 0, 6, 0));
        assert_eq!(account.no_room(), 4);
        // Five delivered frames are left behind, and two empty slots were passed.
        assert_eq!(account.end(&view(8, 2, 6, 0)), 5);
        assert_eq!((account.no_room(), account.unaccounted()), (5, 0));
    }

    #[test]
    fn lost_and_duplicate_frames_stay_unaccounted() {
        let mut account = RingAccount::default();
        account.add((10, 0), &view(4, 0, 5, 0));
        assert_eq!(account.unaccounted(), 1);
        account.add((0, 0), &view(9, 0, 0, 1));
        assert_eq!((account.unaccounted(), account.end(&view(9, 0, 0, 1))), (1, 0));
        let mut account = RingAccount::default();
        account.add((10, 0), &view(12, 0, 0, 0));
        assert_eq!((account.unaccounted(), account.end(&view(12, 0, 0, 0))), (2, 0));
    }
}
