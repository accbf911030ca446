//! A frame in a ring: where its bytes lie, and what the kernel wrote beside them.

/// Bytes of a complete frame, or of a part of it, in a block that was not released yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(super) block: usize,
    pub(super) start: usize,
    pub(super) len: usize,
    /// How many bytes in front belong to the slot and may be used.
    pub(super) headroom: usize,
    /// How often the block had been released when the frame was found.
    pub(super) generation: u32,
}

impl Extent {
    /// How many bytes there are.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The bytes from `offset` on, at most `len` of them.
    #[inline]
    pub(crate) fn part(&self, offset: usize, len: usize) -> Self {
        let offset = offset.min(self.len);
        let len = len.min(self.len - offset);
        Self { start: self.start + offset, len, headroom: self.headroom + offset, ..*self }
    }

    /// The same bytes with `len` bytes more in front; `None` where the slot has no such room.
    #[inline]
    pub(crate) fn with_headroom(&self, len: usize) -> Option<Self> {
        let headroom = self.headroom.checked_sub(len)?;
        Some(Self { start: self.start - len, len: self.len + len, headroom, ..*self })
    }
}

/// One frame as it lies in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// What was captured of the frame.
    pub(crate) frame: Extent,
    /// How many bytes the frame had; never fewer than were captured.
    pub(crate) wire_len: u32,
    /// Nanoseconds since 1970.
    pub(crate) timestamp_ns: u64,
    /// The VLAN tag that was taken out: control information and EtherType.
    pub(crate) tag: Option<(u16, u16)>,
    /// `sll_pkttype`.
    pub(crate) packet_type: u8,
    /// Where the next slot begins; zero where the kernel has not said so, behind the last one.
    pub(crate) next: usize,
}
