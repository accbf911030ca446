//! The flow key: the fields of a packet that rules can match.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::headers;
use super::verdict::NotMirrored;

/// Addresses, protocol and ports of a packet.
// The order of the fields lets one 64-bit load read all fields after the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct FlowKey {
    /// The source in the first half, the destination in the second. An IPv4 address is in the first
    /// four bytes of its half; the rest is zero. Rule sets read single bytes of this array.
    pub(crate) addresses: [u8; 32],
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    /// 0 to 255, or [`FlowKey::UNKNOWN_PROTOCOL`].
    pub(crate) protocol: u16,
    pub(crate) has_ports: bool,
    pub(crate) is_ipv4: bool,
}

/// The fields of a key of IPv4, with addresses as numbers in host byte order.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ipv4Key {
    pub(super) source: u32,
    pub(super) destination: u32,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) protocol: u16,
}

impl FlowKey {
    /// Value of `protocol` if the chain of IPv6 extension headers is truncated.
    pub(crate) const UNKNOWN_PROTOCOL: u16 = 256;

    /// A key before parsing.
    pub(super) const EMPTY: Self = Self {
        addresses: [0; 32],
        source_port: 0,
        destination_port: 0,
        protocol: Self::UNKNOWN_PROTOCOL,
        has_ports: false,
        is_ipv4: true,
    };

    /// A key from its fields; both addresses must be of one family. Without ports, rules with ports
    /// do not match, as for a later fragment.
    #[must_use]
    pub fn new(
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        ports: Option<(u16, u16)>,
    ) -> Self {
        let left = |address| match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let mut addresses = [0; 32];
        addresses[..16].copy_from_slice(&left(source).to_be_bytes());
        addresses[16..].copy_from_slice(&left(destination).to_be_bytes());
        let (source_port, destination_port) = ports.unwrap_or_default();
        Self {
            addresses,
            source_port,
            destination_port,
            protocol: u16::from(protocol),
            has_ports: ports.is_some(),
            is_ipv4: source.is_ipv4(),
        }
    }

    /// Reads the headers of an Ethernet frame.
    ///
    /// # Errors
    /// [`NotMirrored::NotIp`] if the EtherType after all VLAN tags is not IPv4 or IPv6;
    /// [`NotMirrored::Unparsable`] if it is truncated, or if the IP header is invalid or truncated.
    #[inline(always)]
    pub fn parse(frame: &[u8]) -> Result<Self, NotMirrored> {
        let mut key = Self::EMPTY;
        headers::parse(&mut key, frame).map(|_| key)
    }

    /// The source address.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        self.address(self.source_half())
    }

    /// The destination address.
    #[must_use]
    pub fn destination(&self) -> IpAddr {
        self.address(self.destination_half())
    }

    /// The protocol: for IPv4 the field of the header, for IPv6 the first upper-layer header.
    /// `None` if the capture truncates the chain of extension headers.
    #[must_use]
    pub fn protocol(&self) -> Option<u8> {
        u8::try_from(self.protocol).ok()
    }

    /// Source and destination port, if the packet is TCP or UDP, is not a later fragment, and both
    /// ports were captured.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        self.has_ports.then_some((self.source_port, self.destination_port))
    }

    /// Sets all fields to those of a packet of IPv4 with ports. The bytes of addresses that IPv4
    /// does not use must be zero.
    #[inline(always)]
    pub(super) fn set_ipv4(&mut self, fields: Ipv4Key) {
        let (words, _) = self.addresses.as_chunks_mut::<4>();
        if let [source, _, _, _, destination, ..] = words {
            *source = fields.source.to_be_bytes();
            *destination = fields.destination.to_be_bytes();
        }
        self.source_port = fields.source_port;
        self.destination_port = fields.destination_port;
        self.protocol = fields.protocol;
        self.has_ports = true;
        self.is_ipv4 = true;
    }

    /// The fields of a key of IPv4.
    #[inline(always)]
    pub(super) fn ipv4(&self) -> Ipv4Key {
        let (words, _) = self.addresses.as_chunks::<4>();
        let (source, destination) = match words {
            [source, _, _, _, destination, ..] => (*source, *destination),
            _ => Default::default(),
        };
        Ipv4Key {
            source: u32::from_be_bytes(source),
            destination: u32::from_be_bytes(destination),
            source_port: self.source_port,
            destination_port: self.destination_port,
            protocol: self.protocol,
        }
    }

    pub(crate) fn source_half(&self) -> [u8; 16] {
        self.addresses.first_chunk().copied().unwrap_or_default()
    }

    pub(crate) fn destination_half(&self) -> [u8; 16] {
        self.addresses.last_chunk().copied().unwrap_or_default()
    }

    fn address(&self, half: [u8; 16]) -> IpAddr {
        if self.is_ipv4 {
            let [a, b, c, d, ..] = half;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        } else {
            IpAddr::V6(Ipv6Addr::from(half))
        }
    }
}
