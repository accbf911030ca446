//! Turns ring slots into frames as they were on the wire: restores VLAN tags, completes checksums
//! and segments super-frames.
//!
//! The kernel delivers a frame before the network card has finished it. For example, a host sends
//! 4,000 bytes of TCP payload with a segment size of 1,448 bytes on VLAN 5. The ring holds one
//! slot: a tag (5) beside the frame, and one super-frame of 4,066 bytes with an unfinished
//! checksum. This file restores the tag inside the frame (4,070 bytes) and collects three frames of
//! 1,518, 1,518 and 1,174 bytes. Their headers are written to `headers`; their payload stays in the
//! ring block and is not copied. If the burst has room for two frames only, [`SuperFrame`]
//! remembers that segment 2 is next.
//!
//! A whole frame is repaired in place. A frame that the kernel filter truncated cannot get a
//! checksum, because part of the data is missing; `overtruncated` counts it and stops the
//! truncation.

use crate::dataplane::MAX_BURST_LEN;
use crate::io::repair::{Offload, SegmentationResult, Segments, finish_checksum};
use crate::io::sys::ring_memory::{RingMemory, VNET_HEADER_LEN};
use crate::io::sys::ring_slot::{Extent, Slot};

/// Length of the destination and source MAC addresses, which precede a VLAN tag.
const MACS_LEN: usize = 12;

/// Length of a VLAN tag (IEEE 802.1Q): EtherType and control information.
const TAG_LEN: usize = 4;

/// `PACKET_OUTGOING` of `linux/if_packet.h`.
const OUTGOING: u8 = 4;

/// One frame that will be delivered.
#[derive(Debug, Clone, Copy)]
pub(super) struct RepairedFrame {
    /// Its bytes; if `header_span` is not empty, its payload only.
    pub(super) bytes: Extent,
    /// Start and length of its headers in [`FrameRepair::headers`]; length 0 if they are part of
    /// `bytes`.
    header_span: (usize, usize),
    pub(super) timestamp_ns: u64,
    pub(super) wire_len: u32,
    pub(super) is_egress: bool,
    pub(super) is_next_segment: bool,
    /// Whether the kernel truncated the frame.
    pub(super) is_cut: bool,
}

/// A super-frame that is being segmented.
#[derive(Debug, Clone, Copy)]
pub(super) struct SuperFrame {
    slot: Slot,
    offload: Offload,
    /// Index of the next segment.
    next: usize,
    /// Total number of segments.
    len: usize,
}

impl SuperFrame {
    /// Number of segments that were not collected yet.
    pub(super) const fn left(&self) -> usize {
        self.len - self.next
    }
}

/// Frames that were received and cannot be delivered. The counters only increase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RepairLosses {
    /// Super-frames with more segments than the limit.
    pub(super) too_many_segments: u64,
    /// Segments whose headers could not be written.
    pub(super) header_errors: u64,
    /// Segments without captured bytes: the super-frame is longer than a block.
    pub(super) uncaptured: u64,
}

/// Collects the frames of a burst and writes the headers of segments.
#[derive(Debug, Default)]
pub(super) struct FrameRepair {
    frames: Vec<RepairedFrame>,
    headers: Vec<u8>,
    /// The largest length in bytes to which the kernel may have truncated frames.
    truncation_len: usize,
    /// Number of truncated frames that needed the bytes that were cut off.
    overtruncated: u64,
    losses: RepairLosses,
    /// Number of segments of super-frames that were collected.
    super_frame_segments: u64,
}

impl FrameRepair {
    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.headers.clear();
    }

    /// Sets the length in bytes to which the kernel may truncate frames.
    pub(super) fn expect_truncation(&mut self, len: Option<u32>) {
        let len = len.and_then(|len| usize::try_from(len).ok());
        self.truncation_len = self.truncation_len.max(len.unwrap_or_default());
    }

    /// Returns and resets the number of frames that should not have been truncated.
    pub(super) const fn take_overtruncated(&mut self) -> u64 {
        std::mem::replace(&mut self.overtruncated, 0)
    }

    /// The frames that could not be delivered, since the start.
    pub(super) const fn losses(&self) -> RepairLosses {
        self.losses
    }

    pub(super) const fn super_frame_segments(&self) -> u64 {
        self.super_frame_segments
    }

    pub(super) const fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn frames(&self) -> &[RepairedFrame] {
        &self.frames
    }

    /// The headers that were written for a frame; empty if they are in the block.
    #[inline]
    pub(super) fn headers(&self, repaired: &RepairedFrame) -> &[u8] {
        let (start, len) = repaired.header_span;
        self.headers.get(start..start + len).unwrap_or_default()
    }

    /// Collects a frame. Returns the super-frame if not all its segments fit into the burst.
    #[inline]
    pub(super) fn add_frame(&mut self, memory: &mut RingMemory, slot: Slot) -> Option<SuperFrame> {
        let offload = offload_of(memory, &slot);
        if slot.tag.is_none() && offload.is_none_or(|offload| offload.is_finished()) {
            self.push_whole(&slot);
            return None;
        }
        self.repair_and_add(memory, slot, offload)
    }

    /// Collects the segments of a super-frame, starting with the next one.
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
            // A checksum that cannot be completed is left as it is.
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
        self.super_frame_segments += 1;
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

/// Reads the `virtio_net_hdr`, which is directly before the frame.
#[inline]
fn offload_of(memory: &RingMemory, slot: &Slot) -> Option<Offload> {
    let header = slot.frame.with_headroom(VNET_HEADER_LEN)?.part(0, VNET_HEADER_LEN);
    memory.bytes(header).first_chunk().map(Offload::parse)
}

/// Moves the MAC addresses into the headroom of the frame and inserts the tag after them. Returns
/// false and changes nothing if the frame is too short.
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
