//! A frame in a ring: the position of its bytes, and the metadata that the kernel wrote.

/// Bytes of a complete frame, or of a part of it, in a block that was not released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(super) block: usize,
    pub(super) start: usize,
    pub(super) len: usize,
    /// Number of bytes before them that belong to the slot and may be used.
    pub(super) headroom: usize,
    /// The generation of the block when the frame was found.
    pub(super) generation: u32,
}

impl Extent {
    /// Number of bytes.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The bytes from `offset`, at most `len` of them.
    #[inline]
    pub(crate) fn part(&self, offset: usize, len: usize) -> Self {
        let offset = offset.min(self.len);
        let len = len.min(self.len - offset);
        Self { start: self.start + offset, len, headroom: self.headroom + offset, ..*self }
    }

    /// The same bytes with `len` more before them; `None` if the slot has less headroom.
    #[inline]
    pub(crate) fn with_headroom(&self, len: usize) -> Option<Self> {
        let headroom = self.headroom.checked_sub(len)?;
        Some(Self { start: self.start - len, len: self.len + len, headroom, ..*self })
    }
}

/// One frame in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The captured bytes of the frame.
    pub(crate) frame: Extent,
    /// Original length of the frame in bytes; at least the captured length.
    pub(crate) wire_len: u32,
    /// Nanoseconds since 1970.
    pub(crate) timestamp_ns: u64,
    /// The VLAN tag that the kernel removed: control information and EtherType.
    pub(crate) tag: Option<(u16, u16)>,
    /// `sll_pkttype`.
    pub(crate) packet_type: u8,
    /// Offset of the next slot; 0 after the last slot and if the kernel has not set it yet.
    pub(crate) next: usize,
}
