//! The counters of a live source.

/// The counters of a live source since it was opened. They only increase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// Frames that the kernel received for the source, including lost ones.
    pub frames: u64,
    /// Frames for which the ring had no room, and frames left in the ring when it was closed.
    pub ring_full: u64,
    /// Frames with a segmentation offload that the kernel cannot describe, so that they did not
    /// reach the ring, and frames whose description in the ring is invalid.
    pub unsupported_offload: u64,
    /// Super-frames with more segments than the limit.
    pub too_many_segments: u64,
    /// Frames that the kernel filter truncated although their checksum or segmentation was
    /// unfinished. They were delivered: a super-frame as one frame, and not as its segments.
    pub overtruncated: u64,
    /// Frames that were delivered to the data plane; each segment of a super-frame counts as one.
    pub delivered: u64,
    /// Segments of super-frames among the delivered frames.
    pub super_frame_segments: u64,
    /// Frames that the kernel queued in the ring and that were neither delivered nor counted, or
    /// that were delivered twice. Any value but zero is a bug of this program.
    pub unaccounted: u64,
}

impl SourceCounts {
    /// The difference to the counters at an earlier time.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            frames: self.frames.saturating_sub(earlier.frames),
            ring_full: self.ring_full.saturating_sub(earlier.ring_full),
            unsupported_offload: self
                .unsupported_offload
                .saturating_sub(earlier.unsupported_offload),
            too_many_segments: self.too_many_segments.saturating_sub(earlier.too_many_segments),
            overtruncated: self.overtruncated.saturating_sub(earlier.overtruncated),
            delivered: self.delivered.saturating_sub(earlier.delivered),
            super_frame_segments: self
                .super_frame_segments
                .saturating_sub(earlier.super_frame_segments),
            unaccounted: self.unaccounted.saturating_sub(earlier.unaccounted),
        }
    }

    /// Adds the counters of another source.
    pub const fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.ring_full += other.ring_full;
        self.unsupported_offload += other.unsupported_offload;
        self.too_many_segments += other.too_many_segments;
        self.overtruncated += other.overtruncated;
        self.delivered += other.delivered;
        self.super_frame_segments += other.super_frame_segments;
        self.unaccounted += other.unaccounted;
    }

    /// Frames that were received and not delivered.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.ring_full + self.unsupported_offload + self.too_many_segments
    }
}
