//! Offsets of the fields of a plain frame that the filter tests.
//!
//! ```text
//! Ethernet         IPv4 without options           IPv6 without extensions
//!  0  addresses     14  0x45                       14  6 in the upper half
//! 12  EtherType     16  total length               18  payload length
//!                   20  flags, fragment offset     20  next header
//!                   23  protocol                   22  source
//!                   26  source                     38  destination
//!                   30  destination                54  ports ...
//!                   34  ports ...
//! ```

pub(super) use crate::dataplane::kernel::TUNNEL_PORTS;

/// The IP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// Offset of the EtherType.
pub(super) const ETHER_TYPE: u32 = 12;

/// Offset of the first byte of the IP header.
pub(super) const VERSION: u32 = 14;

/// Offset of the IPv4 flags and fragment offset.
pub(super) const FRAGMENT: u32 = 20;

/// Offset of the checksum in a TCP header (RFC 9293, section 3.1).
pub(super) const TCP_CHECKSUM: u32 = 16;
/// Offset of the checksum in a UDP header (RFC 768).
pub(super) const UDP_CHECKSUM: u32 = 6;

/// The longest headers of a plain frame that are tested: IPv6 and TCP without options. In bytes.
pub(super) const MAX_HEADERS_LEN: u32 = 14 + 40 + 20;

pub(super) const TCP: u32 = 6;
pub(super) const UDP: u32 = 17;

impl Family {
    pub(super) const fn ether_type(self) -> u32 {
        match self {
            Self::V4 => 0x0800,
            Self::V6 => 0x86dd,
        }
    }

    /// Offset of the length field of the packet (IPv4) or its payload (IPv6).
    pub(super) const fn len(self) -> u32 {
        match self {
            Self::V4 => 16,
            Self::V6 => 18,
        }
    }

    /// Number of bytes in that length that are not transport header or payload.
    pub(super) const fn counted_header_len(self) -> u32 {
        match self {
            Self::V4 => 20,
            Self::V6 => 0,
        }
    }

    pub(super) const fn protocol(self) -> u32 {
        match self {
            Self::V4 => 23,
            Self::V6 => 20,
        }
    }

    /// Offset of the source address, which the destination address follows.
    pub(super) const fn addresses(self) -> u32 {
        match self {
            Self::V4 => 26,
            Self::V6 => 22,
        }
    }

    /// Number of 32-bit words of an address.
    pub(super) const fn address_words(self) -> u32 {
        match self {
            Self::V4 => 1,
            Self::V6 => 4,
        }
    }

    /// Offset of the transport header.
    pub(super) const fn transport(self) -> u32 {
        match self {
            Self::V4 => 34,
            Self::V6 => 54,
        }
    }
}
