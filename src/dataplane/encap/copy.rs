//! Mirrored copies as a sink receives them: outer headers built here, inner bytes borrowed from the
//! source.

use std::ops::Range;
use std::sync::Arc;

use super::inner_bytes::InnerBytes;
use super::outer_header::{MAX_OUTER_LEN, OuterHeader};
use super::outer_template::OuterTemplate;
use super::session_encap::SessionEncap;
use crate::dataplane::frame::Frame;
use crate::dataplane::index::SessionIndex;
use crate::dataplane::table::MirrorTable;
use crate::dataplane::verdict::AcceptedBy;
use crate::model::{Direction, SessionId};

/// The record of one copy. Headers and bytes are resolved only when a sink reads them, so a burst
/// of copies costs few bytes of memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CopyRef {
    /// Length of the copied part of the frame, in bytes.
    pub(crate) inner_len: u32,
    /// The session.
    pub(crate) session: SessionIndex,
    /// The part of the session's filter that accepted the frame.
    pub(crate) by: AcceptedBy,
    /// Index of the frame in its burst.
    pub(crate) frame: u16,
    /// The low seven bits of the UDP source port: 0 to 127.
    pub(crate) flow_hash: u8,
    /// Direction of the frame at the session's interface.
    pub(crate) direction: Direction,
    /// 16 more bits of the same hash: copies with different values belong to different flows.
    pub(crate) flow_tag: u16,
    pub(crate) state: CopyState,
}

impl CopyRef {
    /// A record before it is used.
    pub(crate) const UNUSED: Self = Self {
        inner_len: 0,
        session: SessionIndex::MAX,
        by: AcceptedBy::AmazonDns,
        frame: 0,
        flow_hash: 0,
        direction: Direction::Ingress,
        flow_tag: 0,
        state: CopyState::Lost,
    };
}

/// What happened to a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum CopyState {
    /// It contains the whole frame.
    Whole,
    /// PacketLength makes it shorter than its frame.
    Truncated,
    /// It is shorter than its frame and than PacketLength, because of an MTU.
    TruncatedToMtu,
    /// It was dropped.
    Lost,
}

/// One copy as a sink sees it.
#[derive(Debug, Clone, Copy)]
pub struct MirroredCopy<'a> {
    copy: &'a CopyRef,
    frame: &'a Frame<'a>,
    encap: &'a SessionEncap,
    template: &'a OuterTemplate,
    destination: usize,
    inner: InnerBytes<'a>,
}

impl<'a> MirroredCopy<'a> {
    /// The outer headers from the Ethernet header on: 50 bytes over IPv4, 70 over IPv6; with GENEVE
    /// 118 and 158. They are built on each call, so a sink whose kernel builds them has no cost.
    #[inline]
    #[must_use]
    pub fn outer(&self) -> OuterHeader {
        self.template.outer_header(self.inner(), self.copy.flow_hash, self.copy.flow_tag)
    }

    /// Writes the outer headers to the start of `place` and returns their length in bytes. The rest
    /// of `place` is unspecified. For a sink that builds packets in its own buffer.
    #[inline]
    pub fn write_outer(&self, place: &mut [u8; MAX_OUTER_LEN]) -> usize {
        self.write_outer_for(self.inner, place)
    }

    /// The same for `inner`, which must be the inner frame. A sink that knows that the frame is one
    /// piece passes it as one piece, so that no instructions are spent on the second.
    #[inline(always)]
    pub(crate) fn write_outer_for(
        &self,
        inner: InnerBytes<'_>,
        place: &mut [u8; MAX_OUTER_LEN],
    ) -> usize {
        let flow = (self.copy.flow_hash, self.copy.flow_tag);
        self.template.write_outer_header(inner, flow, place)
    }

    /// Whether the copy is encapsulated in GENEVE, as for a Gateway Load Balancer endpoint.
    #[inline]
    #[must_use]
    pub const fn is_in_geneve(&self) -> bool {
        self.template.is_in_geneve()
    }

    /// The bytes that a UDP socket must send before the VXLAN header if the copy is truncated to
    /// `inner`: the GENEVE, inner IP and inner UDP headers. Empty without GENEVE.
    #[must_use]
    pub fn geneve_prefix(&self, inner: InnerBytes<'_>) -> Vec<u8> {
        if !self.is_in_geneve() {
            return Vec::new();
        }
        let header = self.template.outer_header(inner, self.copy.flow_hash, self.copy.flow_tag);
        let is_ipv4 = header.get(12..14) == Some(&[0x08, 0x00]);
        // Ethernet, IP and UDP headers: the kernel builds them for the socket.
        let own_len = if is_ipv4 { 42 } else { 62 };
        header.get(own_len..header.len.saturating_sub(8)).unwrap_or_default().to_vec()
    }

    /// Index of the destination address among the addresses of the target.
    #[inline]
    #[must_use]
    pub fn destination(&self) -> usize {
        self.destination
    }

    /// The inner frame, truncated to the limit of the session and borrowed from the source.
    #[inline]
    #[must_use]
    pub const fn inner(&self) -> InnerBytes<'a> {
        self.inner
    }

    /// The VXLAN header alone: the bytes that a UDP socket must send before the inner frame.
    #[must_use]
    pub fn vxlan_header(&self) -> [u8; 8] {
        self.template.vxlan_header()
    }

    /// The low seven bits of the UDP source port, 0 to 127.
    #[must_use]
    pub const fn flow_hash(&self) -> u8 {
        self.copy.flow_hash
    }

    /// 16 bits of the flow's hash: equal for all copies of one flow, and rarely equal for two
    /// flows.
    #[must_use]
    pub const fn flow_tag(&self) -> u16 {
        self.copy.flow_tag
    }

    /// The id of the session; generated if the user gave none.
    #[must_use]
    pub const fn session_id(&self) -> &'a SessionId {
        &self.encap.session_id
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> SessionIndex {
        self.copy.session
    }

    /// The part of the session's filter that accepted the frame.
    #[must_use]
    pub const fn accepted_by(&self) -> AcceptedBy {
        self.copy.by
    }

    /// The frame that was copied.
    #[must_use]
    pub const fn frame(&self) -> &'a Frame<'a> {
        self.frame
    }

    /// Index of that frame in its burst.
    #[must_use]
    pub const fn frame_index(&self) -> u16 {
        self.copy.frame
    }

    /// Length of the copy in bytes, with the outer Ethernet header.
    #[must_use]
    pub fn len(&self) -> usize {
        self.template.len() + self.inner().len()
    }

    /// Always false: a copy has headers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The copies of one burst.
#[derive(Clone, Copy)]
pub struct Copies<'a> {
    pub(crate) table: &'a MirrorTable,
    /// The same table, for a sink that holds copies longer than the burst.
    pub(crate) shared_table: &'a Arc<MirrorTable>,
    pub(crate) frames: &'a [Frame<'a>],
    pub(crate) copies: &'a [CopyRef],
}

impl<'a> Copies<'a> {
    /// The number of copies.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.copies.len()
    }

    /// Whether there are no copies.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.copies.is_empty()
    }

    /// The table that made the copies.
    #[must_use]
    pub const fn table(&self) -> &'a MirrorTable {
        self.table
    }

    /// The copy at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<MirroredCopy<'a>> {
        self.copies.get(index).and_then(|copy| self.resolve(copy))
    }

    /// The copies in `range`; empty if the range ends after the last copy. The indices that a sink
    /// adds to [`Drops`](crate::dataplane::Drops) then count from the start of the range.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        Self { copies: self.copies.get(range).unwrap_or_default(), ..*self }
    }

    /// The copies in order.
    pub fn iter(&self) -> impl Iterator<Item = MirroredCopy<'a>> + use<'a> {
        let this = *self;
        self.copies.iter().filter_map(move |copy| this.resolve(copy))
    }

    #[inline]
    fn resolve(&self, copy: &'a CopyRef) -> Option<MirroredCopy<'a>> {
        // The worker made `copy` from a frame of this burst and a session of this table, so both
        // exist.
        let frame = self.frames.get(usize::from(copy.frame))?;
        let encap = self.table.encap_of(copy.session)?;
        let (template, destination) = encap.template_for(copy.flow_tag);
        let inner = InnerBytes { head: frame.bytes, tail: frame.tail };
        let inner = usize::try_from(copy.inner_len).map_or(inner, |len| inner.cut(len));
        Some(MirroredCopy { copy, frame, encap, template, destination, inner })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_recorded_in_twenty_bytes() {
        assert_eq!(size_of::<CopyRef>(), 20);
    }
}
