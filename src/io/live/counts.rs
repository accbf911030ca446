//! What a live source counted of the frames that came to it.

/// What a live source counted since it was opened. Every number only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// Frames that the kernel had for the source, lost ones included.
    pub frames: u64,
    /// Frames that the ring had no room for, or that were left in it when it was closed.
    pub no_room: u64,
    /// Frames with a segmentation offload that the kernel cannot describe, so that they never came
    /// into the ring, and frames of which the ring holds no sound description.
    pub unsupported_offload: u64,
    /// Super-frames of more segments than are cut.
    pub too_many_segments: u64,
    /// Frames that were lent; each segment of a super-frame is one.
    pub lent: u64,
    /// Frames that the kernel delivered and that were neither lent nor counted, or that were lent
    /// twice. Anything but zero is a fault of this program.
    pub unaccounted: u64,
}

impl SourceCounts {
    /// What was counted since an earlier time.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            frames: self.frames.saturating_sub(earlier.frames),
            no_room: self.no_room.saturating_sub(earlier.no_room),
            unsupported_offload: self
                .unsupported_offload
                .saturating_sub(earlier.unsupported_offload),
            too_many_segments: self.too_many_segments.saturating_sub(earlier.too_many_segments),
            lent: self.lent.saturating_sub(earlier.lent),
            unaccounted: self.unaccounted.saturating_sub(earlier.unaccounted),
        }
    }

    /// Adds what another source counted.
    pub const fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.no_room += other.no_room;
        self.unsupported_offload += other.unsupported_offload;
        self.too_many_segments += other.too_many_segments;
        self.lent += other.lent;
        self.unaccounted += other.unaccounted;
    }

    /// Frames that came and were not lent.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.no_room + self.unsupported_offload + self.too_many_segments
    }
}
