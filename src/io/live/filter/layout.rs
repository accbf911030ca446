//! Where a plain frame keeps what the filter asks for.
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

/// One of the two families of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// Where the EtherType stands.
pub(super) const ETHER_TYPE: u32 = 12;

/// Where the first byte of the IP header stands.
pub(super) const VERSION: u32 = 14;

/// Where IPv4 has its flags and the fragment offset.
pub(super) const FRAGMENT: u32 = 20;

/// From the transport header to its checksum (RFC 9293, section 3.1; RFC 768).
pub(super) const TCP_CHECKSUM: u32 = 16;
/// The same for UDP.
pub(super) const UDP_CHECKSUM: u32 = 6;

/// The longest headers of a plain frame as far as they are asked for: IPv6 and TCP without
/// options.
pub(super) const MAX_HEADERS_LEN: u32 = 14 + 40 + 20;

pub(super) const TCP: u32 = 6;
pub(super) const UDP: u32 = 17;

/// Ports of tunnels over UDP, by IANA and by Linux's own habit: L2TP, GTP-U, GRE-in-UDP (and with
/// DTLS), VXLAN, VXLAN-GPE, FOU, GUE, GENEVE, MPLS (and with DTLS), VXLAN of old. What they carry
/// may have an unfinished checksum while their own is complete (`lco_csum` in `linux/udp.h`).
pub(super) const TUNNEL_PORTS: [u32; 12] =
    [1701, 2152, 4754, 4755, 4789, 4790, 5555, 6080, 6081, 6635, 6636, 8472];

impl Family {
    pub(super) const fn ether_type(self) -> u32 {
        match self {
            Self::V4 => 0x0800,
            Self::V6 => 0x86dd,
        }
    }

    /// Where the header says how long the packet, or its payload, is.
    pub(super) const fn len(self) -> u32 {
        match self {
            Self::V4 => 16,
            Self::V6 => 18,
        }
    }

    /// How much of that is not transport header or payload.
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

    /// Both addresses, one behind the other.
    pub(super) const fn addresses(self) -> u32 {
        match self {
            Self::V4 => 26,
            Self::V6 => 22,
        }
    }

    /// How many words an address has.
    pub(super) const fn address_words(self) -> u32 {
        match self {
            Self::V4 => 1,
            Self::V6 => 4,
        }
    }

    /// Where the transport header begins.
    pub(super) const fn transport(self) -> u32 {
        match self {
            Self::V4 => 34,
            Self::V6 => 54,
        }
    }
}
