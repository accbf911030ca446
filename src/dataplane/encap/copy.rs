//! A mirrored copy: outer headers that we own, inner bytes that the source lent.

use std::ops::Range;

use super::inner_bytes::InnerBytes;
use super::outer_header::{MAX_OUTER_LEN, OuterHeader};
use super::outer_template::OuterTemplate;
use crate::dataplane::frame::Frame;
use crate::dataplane::table::MirrorTable;
use crate::model::Direction;

/// What the worker notes of a copy; headers and bytes are looked up when a sink asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CopyRef {
    /// How many bytes of the frame are copied.
    pub(crate) inner_len: u32,
    /// Index of the session in the mirror table.
    pub(crate) session: u32,
    /// Index of the rule in the session's filter, or `SessionMatch::BY_AMAZON_DNS`.
    pub(crate) rule: u32,
    /// Index of the frame in its burst.
    pub(crate) frame: u16,
    /// The low seven bits of the UDP source port: 0 to 127.
    pub(crate) flow_hash: u8,
    /// Which way the frame goes, seen from the session's interface.
    pub(crate) direction: Direction,
    /// More bits of the same hash: copies that differ here are not of one flow.
    pub(crate) flow_tag: u16,
    /// Whether it is shorter than its frame.
    pub(crate) is_truncated: bool,
    /// Whether PacketLength would have let more of the frame through.
    pub(crate) is_cut_to_mtu: bool,
}

impl CopyRef {
    /// In place of the session: the copy was lost.
    pub(crate) const LOST: u32 = u32::MAX;
}

/// One copy as a sink sees it.
#[derive(Debug, Clone, Copy)]
pub struct MirroredCopy<'a> {
    copy: &'a CopyRef,
    frame: &'a Frame<'a>,
    template: &'a OuterTemplate,
    destination: usize,
}

impl<'a> MirroredCopy<'a> {
    /// The outer headers from the Ethernet header on: 50 bytes with IPv4 outside, 70 with IPv6; in
    /// GENEVE 118 and 158. Made when asked for, so that a sink whose kernel makes them pays nothing.
    #[inline]
    #[must_use]
    pub fn outer(&self) -> OuterHeader {
        self.template.outer_header(self.inner(), self.copy.flow_hash, self.copy.flow_tag)
    }

    /// Puts the outer headers at the beginning of `place` and says how long they are; anything may
    /// be behind them in `place`. For a sink that puts copies into a buffer of its own.
    #[inline]
    pub fn write_outer(&self, place: &mut [u8; MAX_OUTER_LEN]) -> usize {
        let flow = (self.copy.flow_hash, self.copy.flow_tag);
        self.template.write_outer_header(self.inner(), flow, place)
    }

    /// Whether GENEVE is around it, as a Gateway Load Balancer endpoint has it.
    #[inline]
    #[must_use]
    pub const fn is_in_geneve(&self) -> bool {
        self.template.is_in_geneve()
    }

    /// What a UDP socket is given in front of the VXLAN header, if the copy is cut to `inner`:
    /// GENEVE, the second IP and the second UDP header, empty without GENEVE.
    #[must_use]
    pub fn geneve_prefix(&self, inner: InnerBytes<'_>) -> Vec<u8> {
        if !self.is_in_geneve() {
            return Vec::new();
        }
        let header = self.template.outer_header(inner, self.copy.flow_hash, self.copy.flow_tag);
        let is_ipv4 = header.get(12..14) == Some(&[0x08, 0x00]);
        // Ethernet, IP and UDP, which the socket makes itself.
        let own_len = if is_ipv4 { 42 } else { 62 };
        header.get(own_len..header.len.saturating_sub(8)).unwrap_or_default().to_vec()
    }

    /// Index of the address that it goes to, among those of its target.
    #[inline]
    #[must_use]
    pub fn destination(&self) -> usize {
        self.destination
    }

    /// The inner frame, cut as the session says, borrowed from the source.
    #[inline]
    #[must_use]
    pub fn inner(&self) -> InnerBytes<'a> {
        let inner = InnerBytes { head: self.frame.bytes, tail: self.frame.tail };
        usize::try_from(self.copy.inner_len).map_or(inner, |len| inner.cut(len))
    }

    /// The VXLAN header alone: what a UDP socket is given in front of the inner frame.
    #[must_use]
    pub fn vxlan_header(&self) -> [u8; 8] {
        self.template.vxlan_header()
    }

    /// The low seven bits of the UDP source port, 0 to 127.
    #[must_use]
    pub const fn flow_hash(&self) -> u8 {
        self.copy.flow_hash
    }

    /// Copies of one flow have the same number here; nearly all others another one.
    #[must_use]
    pub const fn flow_tag(&self) -> u16 {
        self.copy.flow_tag
    }

    /// Index of the session in the mirror table.
    #[must_use]
    pub const fn session(&self) -> u32 {
        self.copy.session
    }

    /// Index of the rule in the session's filter, or
    /// [`SessionMatch::BY_AMAZON_DNS`](crate::dataplane::SessionMatch::BY_AMAZON_DNS).
    #[must_use]
    pub const fn rule(&self) -> u32 {
        self.copy.rule
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

    /// Length of the copy in bytes, outer Ethernet header and all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.template.len() + self.inner().len()
    }

    /// Never: a copy has headers at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The copies of one burst.
#[derive(Clone, Copy)]
pub struct Copies<'a> {
    pub(crate) table: &'a MirrorTable,
    pub(crate) frames: &'a [Frame<'a>],
    pub(crate) copies: &'a [CopyRef],
}

impl<'a> Copies<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.copies.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.copies.is_empty()
    }

    /// The table that made them.
    #[must_use]
    pub const fn table(&self) -> &'a MirrorTable {
        self.table
    }

    /// The copy at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<MirroredCopy<'a>> {
        self.copies.get(index).and_then(|copy| self.resolve(copy))
    }

    /// Some of them; none where the range reaches behind the last. What a sink then names in
    /// [`Drops`](crate::dataplane::Drops) counts from the start of the range.
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
        // The worker made `copy` from a frame of this very burst and a session of this very table,
        // so there always is one.
        let frame = self.frames.get(usize::from(copy.frame))?;
        let (template, destination) =
            self.table.encap_of(copy.session)?.template_for(copy.flow_tag);
        Some(MirroredCopy { copy, frame, template, destination })
    }
}
