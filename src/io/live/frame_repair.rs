//! From slots of a ring to frames of the wire: puts VLAN tags back, finishes checksums, cuts
//! super-frames.

use crate::dataplane::MAX_BURST_LEN;
use crate::io::repair::{Offload, SegmentationResult, Segments, finish_checksum};
use crate::io::sys::ring_memory::{RingMemory, VNET_HEADER_LEN};
use crate::io::sys::ring_slot::{Extent, Slot};

/// Destination and source MAC address, which stay in front of a tag.
const MACS_LEN: usize = 12;

/// Length of a VLAN tag (IEEE 802.1Q): EtherType and control information.
const TAG_LEN: usize = 4;

/// `PACKET_OUTGOING` of `linux/if_packet.h`.
const OUTGOING: u8 = 4;

/// One frame as it will be lent.
#[derive(Debug, Clone, Copy)]
pub(super) struct RepairedFrame {
    /// Its bytes, or its payload where the headers are among those that were written here.
    pub(super) bytes: Extent,
    /// Where its headers begin among those that were written here, and how long they are.
    header_span: (usize, usize),
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
    /// How many segments there are.
    len: usize,
}

impl SuperFrame {
    /// How many segments were not noted yet.
    pub(super) const fn left(&self) -> usize {
        self.len - self.next
    }
}

/// Frames that came and cannot be lent. Only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RepairLosses {
    /// Super-frames of more segments than are cut.
    pub(super) too_many_segments: u64,
    /// Segments whose headers could not be written.
    pub(super) header_errors: u64,
    /// Segments of which nothing was captured: the super-frame is longer than a block.
    pub(super) uncaptured: u64,
}

/// Notes the frames of a burst, and writes what they lack.
#[derive(Debug, Default)]
pub(super) struct FrameRepair {
    frames: Vec<RepairedFrame>,
    headers: Vec<u8>,
    /// The kernel may have truncated frames to so many bytes, or fewer.
    truncation_len: usize,
    /// How many truncated frames would have needed what was cut off.
    overtruncated: u64,
    losses: RepairLosses,
}

impl FrameRepair {
    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.headers.clear();
    }

    /// From now on frames may be truncated to so many bytes.
    pub(super) fn expect_truncation(&mut self, len: Option<u32>) {
        let len = len.and_then(|len| usize::try_from(len).ok());
        self.truncation_len = self.truncation_len.max(len.unwrap_or_default());
    }

    /// How many frames were truncated that should not have been, since the last call.
    pub(super) const fn take_overtruncated(&mut self) -> u64 {
        std::mem::replace(&mut self.overtruncated, 0)
    }

    /// What cannot be lent, since the start.
    pub(super) const fn losses(&self) -> RepairLosses {
        self.losses
    }

    pub(super) const fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn frames(&self) -> &[RepairedFrame] {
        &self.frames
    }

    /// The headers that were written for a frame; none where they stand in the block.
    #[inline]
    pub(super) fn headers(&self, repaired: &RepairedFrame) -> &[u8] {
        let (start, len) = repaired.header_span;
        self.headers.get(start..start + len).unwrap_or_default()
    }

    /// Notes a frame; returns it where it is a super-frame whose segments do not all fit into the
    /// burst.
    #[inline]
    pub(super) fn add_frame(&mut self, memory: &mut RingMemory, slot: Slot) -> Option<SuperFrame> {
        let offload = offload_of(memory, &slot);
        if slot.tag.is_none() && offload.is_none_or(|offload| offload.is_finished()) {
            self.push_whole(&slot);
            return None;
        }
        self.repair_and_add(memory, slot, offload)
    }

    /// Notes the segments of a super-frame, from the next one on.
    pub(super) fn add_segments(
        &mut self,
        memory: &RingMemory,
        frame: SuperFrame,
    ) -> Option<SuperFrame> {
        let SuperFrame { slot, offload, next, .. } = frame;
        let segments = match Segments::split(memory.bytes(slot.frame), &offload) {
            SegmentationResult::Segments(segments) => segments,
            SegmentationResult::Whole => {
                self.push_whole(&slot);
                return None;
            }
            SegmentationResult::TooMany => {
                self.losses.too_many_segments += 1;
                return None;
            }
        };
        let len = segments.len();
        if next == 0 && is_truncated(&slot) {
            let wire_len = usize::try_from(slot.wire_len).unwrap_or(usize::MAX);
            let uncaptured = segments.uncaptured(wire_len);
            self.losses.uncaptured += u64::try_from(uncaptured).unwrap_or_default();
        }
        for index in next..len {
            if self.frames.len() >= MAX_BURST_LEN {
                return Some(SuperFrame { next: index, len, ..frame });
            }
            self.push_segment(&slot, &segments, index, index > next);
        }
        None
    }

    #[inline(never)]
    fn repair_and_add(
        &mut self,
        memory: &mut RingMemory,
        mut slot: Slot,
        offload: Option<Offload>,
    ) -> Option<SuperFrame> {
        let mut offload = offload.unwrap_or_default();
        let is_cut = is_truncated(&slot);
        let is_overtruncated =
            is_cut && slot.frame.len() <= self.truncation_len && !offload.is_finished();
        self.overtruncated += u64::from(is_overtruncated);
        if let Some(tag) = slot.tag
            && restore_vlan_tag(memory, &mut slot, tag)
        {
            offload = offload.shifted_by(4);
        }
        if offload.is_super_frame() && !is_overtruncated {
            return self.add_segments(memory, SuperFrame { slot, offload, next: 0, len: 0 });
        }
        if !is_cut {
            // What cannot be finished is left as it is.
            finish_checksum(memory.bytes_mut(slot.frame), &offload);
        }
        self.push_whole(&slot);
        None
    }

    #[inline]
    fn push_whole(&mut self, slot: &Slot) {
        self.frames.push(RepairedFrame {
            bytes: slot.frame,
            header_span: (0, 0),
            timestamp_ns: slot.timestamp_ns,
            wire_len: slot.wire_len,
            is_egress: slot.packet_type == OUTGOING,
            is_next_segment: false,
            is_cut: is_truncated(slot),
        });
    }

    fn push_segment(&mut self, slot: &Slot, segments: &Segments<'_>, index: usize, is_next: bool) {
        let start = self.headers.len();
        self.headers.resize(start + segments.header_len(), 0);
        let room = self.headers.get_mut(start..).unwrap_or_default();
        let Some(header_len) = segments.put_header(index, room) else {
            self.headers.truncate(start);
            self.losses.header_errors += 1;
            return;
        };
        let len = segments.payload(index).len();
        let wire_len = segments.wire_len(index);
        self.frames.push(RepairedFrame {
            bytes: slot.frame.part(segments.payload_start(index), len),
            header_span: (start, header_len),
            timestamp_ns: slot.timestamp_ns,
            wire_len: u32::try_from(wire_len).unwrap_or(u32::MAX),
            is_egress: slot.packet_type == OUTGOING,
            is_next_segment: is_next,
            is_cut: header_len + len < wire_len,
        });
    }
}

#[inline]
fn is_truncated(slot: &Slot) -> bool {
    usize::try_from(slot.wire_len) != Ok(slot.frame.len())
}

/// The `virtio_net_hdr` stands right in front of the frame.
#[inline]
fn offload_of(memory: &RingMemory, slot: &Slot) -> Option<Offload> {
    let header = slot.frame.with_headroom(VNET_HEADER_LEN)?.part(0, VNET_HEADER_LEN);
    memory.bytes(header).first_chunk().map(Offload::parse)
}

/// Moves the MAC addresses into the room in front of the frame and puts the tag behind them; false
/// where the frame is too short for that, and is left as it is.
fn restore_vlan_tag(
    memory: &mut RingMemory,
    slot: &mut Slot,
    (control, ether_type): (u16, u16),
) -> bool {
    let Some(frame) = slot.frame.with_headroom(TAG_LEN) else { return false };
    if slot.frame.len() < MACS_LEN {
        return false;
    }
    let front = memory.bytes_mut(frame.part(0, MACS_LEN + TAG_LEN));
    front.copy_within(TAG_LEN.., 0);
    let [a, b] = ether_type.to_be_bytes();
    let [c, d] = control.to_be_bytes();
    if let Some(tag) = front.last_chunk_mut() {
        *tag = [a, b, c, d];
    }
    slot.frame = frame;
    slot.wire_len = slot.wire_len.saturating_add(4);
    true
}
