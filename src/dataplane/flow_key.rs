//! The flow key: what rules can ask of a packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::headers;
use super::verdict::NotMirrored;

/// Addresses, protocol and ports of a packet.
// In this order, so that all but the addresses may be read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct FlowKey {
    /// Source in the first half, destination in the second; an IPv4 address in the first four
    /// bytes of its half, the rest zero. Rule sets look bytes up here by their place.
    pub(crate) addresses: [u8; 32],
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    /// 0 to 255, or [`FlowKey::UNKNOWN_PROTOCOL`].
    pub(crate) protocol: u16,
    pub(crate) has_ports: bool,
    pub(crate) is_ipv4: bool,
}

impl FlowKey {
    /// In place of a protocol: the chain of IPv6 extension headers is cut before its end.
    pub(crate) const UNKNOWN_PROTOCOL: u16 = 256;

    /// Nothing was read into it yet.
    pub(super) const EMPTY: Self = Self {
        addresses: [0; 32],
        source_port: 0,
        destination_port: 0,
        protocol: Self::UNKNOWN_PROTOCOL,
        has_ports: false,
        is_ipv4: true,
    };

    /// A key by its fields; both addresses of one family. Without ports (`None`) no rule that names
    /// ports matches, as with a later fragment.
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
    /// [`NotMirrored::NotIp`] where the EtherType behind all VLAN tags is not that of IP,
    /// [`NotMirrored::Unparsable`] where it is (or is cut off) and no addresses can be read.
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

    /// The protocol: of IPv4 the header's own field, of IPv6 the first upper-layer header.
    /// `None` where the capture cuts the chain that leads there.
    #[must_use]
    pub fn protocol(&self) -> Option<u8> {
        u8::try_from(self.protocol).ok()
    }

    /// Source and destination port, where the packet is TCP or UDP, is not a later fragment, and
    /// both ports were captured.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        self.has_ports.then_some((self.source_port, self.destination_port))
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
