//! Frames and bursts of frames, borrowed from a source.

use arrayvec::ArrayVec;

use crate::model::Direction;

/// The number of frames whose lookups are evaluated together. It is large enough to hide memory
/// latency, and small enough for their state to stay in the first-level cache.
pub(super) const LOOKUP_BATCH_LEN: usize = 64;

/// The number of frames that a source normally lends at once. It is large enough to hide the cost
/// of one virtual call, and small enough to stay in the first-level cache.
pub const BURST_LEN: usize = 64;

/// The largest number of frames in a burst. A live source lends all frames that are ready, because
/// sending many copies by one system call costs less for each copy.
pub const MAX_BURST_LEN: usize = 2048;

/// A borrowed Ethernet frame.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The captured bytes, from the destination MAC address on, without frame check sequence. All
    /// headers that rules can match are here.
    pub bytes: &'a [u8],
    /// The bytes after `bytes`, if a source lends a frame in two pieces. A segment of a super-frame
    /// has headers that the source built and payload in the memory of the super-frame.
    pub tail: &'a [u8],
    /// The time of the frame in nanoseconds since 1970; zero if unknown.
    pub timestamp_ns: u64,
    /// Length of the frame on the wire in bytes; at least [`Frame::captured_len`].
    pub wire_len: u32,
    /// The direction, if the source knows it.
    pub direction: Option<Direction>,
    /// Whether `bytes` is an Ethernet frame.
    pub medium: Medium,
    /// Whether this is a further segment of the same super-frame as the previous frame. Addresses,
    /// ports and direction are equal, so the decision on the previous frame applies.
    pub is_next_segment: bool,
    /// Whether a live source truncated the frame because no session needs the rest. Copies then
    /// count as truncated although they contain all captured bytes.
    pub is_cut: bool,
}

impl<'a> Frame<'a> {
    /// A complete Ethernet frame without a time.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            tail: &[],
            timestamp_ns: 0,
            wire_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            direction: None,
            medium: Medium::Ethernet,
            is_next_segment: false,
            is_cut: false,
        }
    }

    /// The number of captured bytes in both pieces.
    #[inline]
    #[must_use]
    pub const fn captured_len(&self) -> usize {
        self.bytes.len() + self.tail.len()
    }

    /// The length in bytes with which a copy is compared to find out whether it is truncated: the
    /// captured length, or the length on the wire if a live source truncated the frame.
    #[inline]
    #[must_use]
    pub fn copied_from_len(&self) -> u32 {
        if self.is_cut {
            return self.wire_len;
        }
        u32::try_from(self.captured_len()).unwrap_or(u32::MAX)
    }

    /// The properties of the frame without its bytes, for an owner of a copy of the bytes. It is not
    /// a further segment, because the frame before it may have another owner.
    pub(crate) const fn without_bytes(&self) -> Frame<'static> {
        Frame {
            bytes: &[],
            tail: &[],
            timestamp_ns: self.timestamp_ns,
            wire_len: self.wire_len,
            direction: self.direction,
            medium: self.medium,
            is_next_segment: false,
            is_cut: self.is_cut,
        }
    }

    /// The same frame with another time.
    #[must_use]
    pub const fn at(mut self, timestamp_ns: u64) -> Self {
        self.timestamp_ns = timestamp_ns;
        self
    }

    /// The same frame with a direction.
    #[must_use]
    pub const fn flowing(mut self, direction: Direction) -> Self {
        self.direction = Some(direction);
        self
    }
}

/// The format of a frame's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// An Ethernet frame.
    Ethernet,
    /// A frame of an unsupported link type; its bytes are never parsed.
    Unsupported,
}

/// Frames that are borrowed from a source together.
pub type Burst<'a> = ArrayVec<Frame<'a>, MAX_BURST_LEN>;
