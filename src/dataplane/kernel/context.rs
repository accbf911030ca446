//! The context of a clone under way: what the tap tells the encapsulator, and what the encapsulator
//! answers. One value per processor, shared by all programs of a run.
//!
//! ```text
//!   0 active       1 while a clone is under way on this processor
//!   4 device       index of the egress device
//!   8 header_len   length of the outer headers in bytes
//!  12 max_inner    longest inner frame: PacketLength, limited by the MTU of the path
//!  16 packet_len   PacketLength alone
//!  20 kind         0 VXLAN over IPv4, 1 VXLAN over IPv6, 2 and 3 the same in GENEVE
//!  24 sums         sums of the words that do not change, for the first checksum and for that in
//!                  GENEVE, 16 bits each
//!  28 via_pad      1 if the clone passes the pad
//!  32 header       the outer headers, 160 bytes
//! 192 copies, bytes, truncated, truncated to the MTU     copies that were made
//! 224 failed, failed bytes                               the kernel had no memory for the headers
//! 240 refused, refused bytes                             the egress device refused them
//! 256 is truncated, is truncated to the MTU              of the copy that is being made
//! ```
//!
//! An entry of the map of paths has the same fields up to 192. Its first field is `state` instead:
//! 0 if copies can be sent, otherwise 1 + [`DropCause::index`]. [`NOT_COUNTED`]: the frame is not even
//! counted.

use crate::dataplane::endpoints::DropCause;

pub(super) const ACTIVE: i16 = 0;
pub(super) const STATE: i16 = 0;
pub(super) const DEVICE: i16 = 4;
pub(super) const HEADER_LEN: i16 = 8;
pub(super) const MAX_INNER: i16 = 12;
pub(super) const PACKET_LEN: i16 = 16;
pub(super) const KIND: i16 = 20;
pub(super) const SUM: i16 = 24;
pub(super) const VIA_PAD: i16 = 28;
pub(super) const HEADER: i16 = 32;
pub(super) const COPIES: i16 = 192;
pub(super) const BYTES: i16 = 200;
pub(super) const TRUNCATED: i16 = 208;
pub(super) const TRUNCATED_TO_MTU: i16 = 216;
pub(super) const FAILED: i16 = 224;
pub(super) const FAILED_BYTES: i16 = 232;
pub(super) const REFUSED: i16 = 240;
pub(super) const REFUSED_BYTES: i16 = 248;
pub(super) const IS_TRUNCATED: i16 = 256;
pub(super) const IS_TRUNCATED_TO_MTU: i16 = 264;

/// The length of the context in bytes.
pub const CONTEXT_LEN: usize = 272;
/// The length of an entry of the map of paths in bytes.
pub const PATH_LEN: usize = 192;
/// Where the header of a path begins in its entry.
const HEADER_START: usize = 32;

/// The state of a path whose frames are not counted: a number that is no cause.
const NOT_COUNTED: u32 = u32::MAX;

/// What programs do with the frames that sessions accept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MirrorState {
    /// Copies are sent.
    #[default]
    Sending,
    /// Copies are counted as dropped ([`DropCause::TierSwitch`]).
    Dropping,
    /// Nothing is sent or counted: the other tier mirrors the frames.
    Silent,
}

/// The kind of outer headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum HeaderKind {
    /// VXLAN over IPv4.
    VxlanOverIpv4 = 0,
    /// VXLAN over IPv6.
    VxlanOverIpv6 = 1,
    /// VXLAN in GENEVE, both over IPv4.
    GeneveOverIpv4 = 2,
    /// VXLAN in GENEVE, both over IPv6.
    GeneveOverIpv6 = 3,
}

impl HeaderKind {
    #[expect(clippy::as_conversions, reason = "the discriminants are the numbers of the kinds")]
    pub(super) const fn number(self) -> u8 {
        self as u8
    }
}

/// What the programs must know of a path from a session to an address of its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathEntry {
    /// Why no copy can be sent; `None` if copies can be sent.
    pub state: Option<DropCause>,
    /// The index of the egress device.
    pub device_index: u32,
    /// The longest inner frame in bytes.
    pub max_inner_len: u32,
    /// PacketLength alone.
    pub packet_length: u32,
    /// The kind of headers.
    pub kind: HeaderKind,
    /// The sums of the words of the header that do not change: for the first checksum in the lower
    /// 16 bits, for that in GENEVE in the upper ones.
    pub fixed_sum: u32,
    /// The outer headers, with the Ethernet addresses of the next hop; at most 160 bytes.
    pub header: Vec<u8>,
}

impl PathEntry {
    /// The bytes of the entry for programs in this state. They differ only in the first word.
    #[must_use]
    pub fn to_bytes(&self, state: MirrorState) -> [u8; PATH_LEN] {
        let mut bytes = [0; PATH_LEN];
        let number = |cause: DropCause| u32::try_from(cause.index() + 1).unwrap_or(NOT_COUNTED);
        let state = match state {
            MirrorState::Sending => self.state.map_or(0, number),
            MirrorState::Dropping => number(DropCause::TierSwitch),
            MirrorState::Silent => NOT_COUNTED,
        };
        let header_len = u32::try_from(self.header.len()).unwrap_or_default();
        let fields = [
            state,
            self.device_index,
            header_len,
            self.max_inner_len,
            self.packet_length,
            u32::from(self.kind.number()),
            self.fixed_sum,
            0,
        ];
        let words = fields.iter().flat_map(|field| field.to_ne_bytes());
        bytes.iter_mut().zip(words).for_each(|(place, byte)| *place = byte);
        let places = bytes.iter_mut().skip(HEADER_START);
        places.zip(&self.header).for_each(|(place, byte)| *place = *byte);
        bytes
    }
}
