//! What a live source counted of the frames that came to it.

/// What a live source counted since it was opened. Every number only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// Frames that the kernel had for the source, lost ones included.
    pub frames: u64,
    /// Frames that the ring had no room for, or that were left in it when it was closed.
    pub ring_full: u64,
    /// Frames with a segmentation offload that the kernel cannot describe, so that they never came
    /// into the ring, and frames of which the ring holds no sound description.
    pub unsupported_offload: u64,
    /// Super-frames of more segments than are cut.
    pub too_many_segments: u64,
    /// Frames that were delivered to the data plane; each segment of a super-frame is one.
    pub delivered: u64,
    /// Frames that the kernel queued in the ring and that were neither delivered nor counted, or
    /// that were delivered twice. Anything but zero is a fault of this program.
    pub unaccounted: u64,
}

impl SourceCounts {
    /// What was counted since an earlier time.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            frames: self.frames.saturating_sub(earlier.frames),
            ring_full: self.ring_full.saturating_sub(earlier.ring_full),
            unsupported_offload: self
                .unsupported_offload
                .saturating_sub(earlier.unsupported_offload),
            too_many_segments: self.too_many_segments.saturating_sub(earlier.too_many_segments),
            delivered: self.delivered.saturating_sub(earlier.delivered),
            unaccounted: self.unaccounted.saturating_sub(earlier.unaccounted),
        }
    }

    /// Adds what another source counted.
    pub const fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.ring_full += other.ring_full;
        self.unsupported_offload += other.unsupported_offload;
        self.too_many_segments += other.too_many_segments;
        self.delivered += other.delivered;
        self.unaccounted += other.unaccounted;
    }

    /// Frames that came and were not delivered.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.ring_full + self.unsupported_offload + self.too_many_segments
    }
}
