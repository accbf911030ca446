//! A frame as a source lends it, and a burst of them.

use arrayvec::ArrayVec;

use crate::model::Direction;

/// How many frames are decided together. Enough to hide the memory's delay, few enough for all
/// that is noted of them to stay in the first-level cache.
pub(super) const LOOKUP_BATCH_LEN: usize = 64;

/// How many frames a source lends at once where nothing speaks for more. Enough to hide the cost
/// of one virtual call, few enough to stay in the first-level cache.
pub const BURST_LEN: usize = 64;

/// How many frames a burst holds at the most. A live source lends as many as lie ready, because
/// what leaves by one socket is worth the more the more of it there is.
pub const MAX_BURST_LEN: usize = 2048;

/// A borrowed Ethernet frame.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// What was captured, from the destination MAC address on, without frame check sequence.
    /// All headers that rules ask about stand in here.
    pub bytes: &'a [u8],
    /// What follows `bytes`, where a source lends a frame in two pieces: a segment of a
    /// super-frame is headers of the source's own and payload as it lies.
    pub tail: &'a [u8],
    /// The time of the frame in nanoseconds since 1970, zero where none is known.
    pub timestamp_ns: u64,
    /// How long the frame was on the wire, in bytes; never below [`Frame::captured_len`].
    pub wire_len: u32,
    /// What the source knows of the direction, where it knows.
    pub direction: Option<Direction>,
    /// Whether `bytes` is an Ethernet frame at all.
    pub medium: Medium,
    /// Whether this is a further segment of the super-frame that the frame in front was cut from:
    /// same addresses, ports and direction, so what was decided there holds here.
    pub is_next_segment: bool,
    /// Whether a live source left off the end of the frame, as no session wants it: copies are
    /// shorter than their frame then, though all that was captured is in them.
    pub is_cut: bool,
}

impl<'a> Frame<'a> {
    /// A whole Ethernet frame without a time.
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

    /// How many bytes of the frame were captured, in both pieces.
    #[inline]
    #[must_use]
    pub const fn captured_len(&self) -> usize {
        self.bytes.len() + self.tail.len()
    }

    /// How long the frame is that copies are measured by: what was captured, or, where a live
    /// source cut it, what was on the wire.
    #[inline]
    #[must_use]
    pub fn copied_from_len(&self) -> u32 {
        if self.is_cut {
            return self.wire_len;
        }
        u32::try_from(self.captured_len()).unwrap_or(u32::MAX)
    }

    /// The same frame at another time.
    #[must_use]
    pub const fn at(mut self, timestamp_ns: u64) -> Self {
        self.timestamp_ns = timestamp_ns;
        self
    }

    /// The same frame with a direction that the source knows.
    #[must_use]
    pub const fn flowing(mut self, direction: Direction) -> Self {
        self.direction = Some(direction);
        self
    }
}

/// What the bytes of a frame are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// An Ethernet frame.
    Ethernet,
    /// Of a link type that carries no IP in a way known here; the bytes are never looked at.
    Unsupported,
}

/// Some frames, lent together and given back together.
pub type Burst<'a> = ArrayVec<Frame<'a>, MAX_BURST_LEN>;
