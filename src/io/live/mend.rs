//! From slots of a ring to frames of the wire: tags put back, checksums finished, super-frames
//! cut.

use crate::dataplane::MAX_BURST_LEN;
use crate::io::repair::{Offload, Segments, finish_checksum};
use crate::io::sys::ring::{Ring, Slot, VNET_LEN};

/// Destination and source MAC address, which stay in front of a tag.
const MACS_LEN: usize = 12;

/// Length of a VLAN tag (IEEE 802.1Q): EtherType and control information.
const TAG_LEN: usize = 4;

/// `PACKET_OUTGOING` of `linux/if_packet.h`.
const OUTGOING: u8 = 4;

/// One frame as it will be lent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// The block that it lies in.
    pub(super) block: usize,
    /// Where its bytes, or its payload, begin there.
    pub(super) start: usize,
    /// How many of them there are.
    pub(super) len: usize,
    /// Where its headers begin among those that we wrote, and how long they are.
    head: (usize, usize),
    pub(super) timestamp_ns: u64,
    pub(super) wire_len: u32,
    pub(super) is_egress: bool,
    pub(super) is_next_segment: bool,
    /// The kernel left off what was behind.
    pub(super) is_cut: bool,
}

/// A super-frame that is being cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct SuperFrame {
    slot: Slot,
    offload: Offload,
    /// The segment that is next.
    next: usize,
}

/// Notes frames, and writes what they lack.
#[derive(Debug, Default)]
pub(super) struct Mender {
    pieces: Vec<Piece>,
    headers: Vec<u8>,
    /// The kernel may have cut frames to so many bytes, or fewer.
    cut_len: usize,
    /// How many of these would have needed what was cut off.
    spoiled: u64,
}

impl Mender {
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.headers.clear();
    }

    /// From now on frames may be cut to so many bytes.
    pub(super) fn expect_cuts_to(&mut self, len: Option<u32>) {
        let len = len.and_then(|len| usize::try_from(len).ok());
        self.cut_len = self.cut_len.max(len.unwrap_or_default());
    }

    /// How many frames were cut that should not have been, since it was last asked.
    pub(super) const fn take_spoiled(&mut self) -> u64 {
        std::mem::replace(&mut self.spoiled, 0)
    }

    pub(super) const fn len(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The headers that we wrote for a frame; none where they stand in the block.
    #[inline]
    pub(super) fn headers(&self, piece: &Piece) -> &[u8] {
        let (start, len) = piece.head;
        self.headers.get(start..start + len).unwrap_or_default()
    }

    /// Notes a frame; gives it back where it is a super-frame whose segments do not all fit.
    #[inline]
    pub(super) fn mend(&mut self, ring: &mut Ring, block: usize, slot: Slot) -> Option<SuperFrame> {
        let offload = offload_of(ring, block, &slot);
        if slot.tag.is_none() && offload.is_none_or(|offload| offload.is_finished()) {
            self.push_whole(block, &slot);
            return None;
        }
        self.mend_slowly(ring, block, slot, offload)
    }

    /// Notes the segments of a super-frame, from the next one on.
    pub(super) fn cut(
        &mut self,
        ring: &Ring,
        block: usize,
        frame: SuperFrame,
    ) -> Option<SuperFrame> {
        let SuperFrame { slot, offload, next } = frame;
        let bytes = ring.bytes(block, slot.start, slot.captured_len);
        let Some(segments) = Segments::of(bytes, &offload) else {
            self.push_whole(block, &slot);
            return None;
        };
        for index in next..segments.len() {
            if self.pieces.len() >= MAX_BURST_LEN {
                return Some(SuperFrame { next: index, ..frame });
            }
            self.push_segment((block, &slot), &segments, index, index > next);
        }
        None
    }

    #[inline(never)]
    fn mend_slowly(
        &mut self,
        ring: &mut Ring,
        block: usize,
        mut slot: Slot,
        offload: Option<Offload>,
    ) -> Option<SuperFrame> {
        let mut offload = offload.unwrap_or_default();
        let is_cut = usize::try_from(slot.wire_len) != Ok(slot.captured_len);
        let is_spoiled = is_cut && slot.captured_len <= self.cut_len && !offload.is_finished();
        self.spoiled += u64::from(is_spoiled);
        if let Some(tag) = slot.tag {
            put_tag_back(ring, block, &mut slot, tag);
            offload = offload.moved_by(4);
        }
        if offload.is_super_frame() && !is_spoiled {
            return self.cut(ring, block, SuperFrame { slot, offload, next: 0 });
        }
        if !is_cut {
            // What cannot be finished is left as it is.
            finish_checksum(ring.bytes_mut(block, slot.start, slot.captured_len), &offload);
        }
        self.push_whole(block, &slot);
        None
    }

    #[inline]
    fn push_whole(&mut self, block: usize, slot: &Slot) {
        self.pieces.push(Piece {
            block,
            start: slot.start,
            len: slot.captured_len,
            head: (0, 0),
            timestamp_ns: slot.timestamp_ns,
            wire_len: slot.wire_len,
            is_egress: slot.packet_type == OUTGOING,
            is_next_segment: false,
            is_cut: usize::try_from(slot.wire_len) != Ok(slot.captured_len),
        });
    }

    fn push_segment(
        &mut self,
        (block, slot): (usize, &Slot),
        segments: &Segments<'_>,
        index: usize,
        is_next: bool,
    ) {
        let start = self.headers.len();
        self.headers.resize(start + segments.header_len(), 0);
        let room = self.headers.get_mut(start..).unwrap_or_default();
        let Some(header_len) = segments.put_header(index, room) else { return };
        let payload = segments.payload(index);
        self.pieces.push(Piece {
            block,
            start: slot.start + segments.payload_start(index),
            len: payload.len(),
            head: (start, header_len),
            timestamp_ns: slot.timestamp_ns,
            wire_len: u32::try_from(segments.wire_len(index)).unwrap_or(u32::MAX),
            is_egress: slot.packet_type == OUTGOING,
            is_next_segment: is_next,
            is_cut: false,
        });
    }
}

/// The `virtio_net_hdr` stands right in front of the frame.
#[inline]
fn offload_of(ring: &Ring, block: usize, slot: &Slot) -> Option<Offload> {
    let header = ring.bytes(block, slot.start.checked_sub(VNET_LEN)?, VNET_LEN);
    header.first_chunk().map(Offload::parse)
}

/// Moves the MAC addresses into the room in front of the frame and puts the tag behind them.
fn put_tag_back(ring: &mut Ring, block: usize, slot: &mut Slot, (control, ether_type): (u16, u16)) {
    let Some(start) = slot.start.checked_sub(TAG_LEN) else { return };
    if slot.captured_len < MACS_LEN {
        return;
    }
    let front = ring.bytes_mut(block, start, MACS_LEN + TAG_LEN);
    front.copy_within(TAG_LEN.., 0);
    let [a, b] = ether_type.to_be_bytes();
    let [c, d] = control.to_be_bytes();
    if let Some(tag) = front.last_chunk_mut() {
        *tag = [a, b, c, d];
    }
    slot.start = start;
    slot.captured_len += TAG_LEN;
    slot.wire_len = slot.wire_len.saturating_add(4);
}
