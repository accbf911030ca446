//! The flow key: what rules can ask of a packet, read in one pass over its headers.
//!
//! ```text
//! Ethernet          802.1Q tag (any number)   IPv4 (RFC 791)             IPv6 (RFC 8200)
//!  0  destination    0  tag control            0  version, IHL            0  version, class, label
//!  6  source         2  EtherType              2  total length            4  payload length
//! 12  EtherType                                6  flags, fragment offset  6  next header
//!                                              9  protocol                8  source
//!                                             12  source                 24  destination
//!                                             16  destination            40  next header ...
//! ```
//!
//! Checksums are never looked at. What is odd is read as far as it goes: a packet whose addresses
//! are known can be matched by every rule that asks for no more.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::verdict::NotMirrored;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

const HOP_BY_HOP: u8 = 0;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// Addresses, protocol and ports of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        let Some((ethernet, packet)) = frame.split_first_chunk::<14>() else {
            return Err(NotMirrored::Unparsable);
        };
        match be16(ethernet[12], ethernet[13]) {
            ETHERTYPE_IPV4 => ipv4(packet),
            ETHERTYPE_IPV6 => ipv6(packet),
            other => behind_tags(other, packet),
        }
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

    #[inline]
    fn read_ports(&mut self, transport: Option<&[u8]>) {
        if self.protocol != u16::from(TCP) && self.protocol != u16::from(UDP) {
            return;
        }
        // "A TCP or UDP header of which at least the four port bytes are there has ports."
        if let Some([a, b, c, d]) = transport.and_then(<[u8]>::first_chunk) {
            self.source_port = be16(*a, *b);
            self.destination_port = be16(*c, *d);
            self.has_ports = true;
        }
    }
}

/// VLAN tags of 802.1Q, 802.1ad and the older 0x9100, in any number.
#[cold]
fn behind_tags(mut ether_type: u16, mut packet: &[u8]) -> Result<FlowKey, NotMirrored> {
    while matches!(ether_type, 0x8100 | 0x88a8 | 0x9100) {
        let Some((tag, rest)) = packet.split_first_chunk::<4>() else {
            return Err(NotMirrored::Unparsable);
        };
        ether_type = be16(tag[2], tag[3]);
        packet = rest;
    }
    match ether_type {
        ETHERTYPE_IPV4 => ipv4(packet),
        ETHERTYPE_IPV6 => ipv6(packet),
        _ => Err(NotMirrored::NotIp),
    }
}

#[inline(always)]
fn ipv4(packet: &[u8]) -> Result<FlowKey, NotMirrored> {
    let Some(header) = packet.first_chunk::<20>() else {
        return Err(NotMirrored::Unparsable);
    };
    let header_len = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || header_len < 20 {
        return Err(NotMirrored::Unparsable);
    }
    let mut addresses = [0; 32];
    addresses[0..4].copy_from_slice(&header[12..16]);
    addresses[16..20].copy_from_slice(&header[16..20]);
    let mut key = FlowKey {
        addresses,
        source_port: 0,
        destination_port: 0,
        protocol: u16::from(header[9]),
        has_ports: false,
        is_ipv4: true,
    };
    // A later fragment (offset above zero, RFC 791, section 3.1) has no transport header.
    if be16(header[6], header[7]) & 0x1fff != 0 {
        return Ok(key);
    }
    // A total length of zero (offload) or below the header counts to the end of what there is.
    let total_len = usize::from(be16(header[2], header[3]));
    let end = if total_len < header_len { packet.len() } else { total_len.min(packet.len()) };
    key.read_ports(packet.get(header_len..end));
    Ok(key)
}

#[inline]
fn ipv6(packet: &[u8]) -> Result<FlowKey, NotMirrored> {
    let Some((header, payload)) = packet.split_first_chunk::<40>() else {
        return Err(NotMirrored::Unparsable);
    };
    if header[0] >> 4 != 6 {
        return Err(NotMirrored::Unparsable);
    }
    let mut addresses = [0; 32];
    addresses.copy_from_slice(&header[8..40]);
    let mut key = FlowKey {
        addresses,
        source_port: 0,
        destination_port: 0,
        protocol: u16::from(header[6]),
        has_ports: false,
        is_ipv4: false,
    };
    // A payload length of zero is a jumbogram's (RFC 2675, section 3) or an offload's.
    let payload_len = usize::from(be16(header[4], header[5]));
    let payload = if payload_len == 0 { payload } else { cut(payload, payload_len) };
    if !is_extension(header[6]) {
        key.read_ports(Some(payload));
        return Ok(key);
    }
    let (protocol, transport) = behind_extensions(header[6], payload);
    key.protocol = protocol;
    key.read_ports(transport);
    Ok(key)
}

/// Walks the extension headers to the first upper-layer header: its number, and where it begins
/// unless the packet is a later fragment.
#[cold]
fn behind_extensions(mut next: u8, mut rest: &[u8]) -> (u16, Option<&[u8]>) {
    const CUT: (u16, Option<&[u8]>) = (FlowKey::UNKNOWN_PROTOCOL, None);
    while is_extension(next) {
        let Some(&[following, len]) = rest.first_chunk::<2>() else {
            return CUT;
        };
        let header_len = match next {
            FRAGMENT => 8,
            // RFC 4302, section 2.2: in units of four bytes, minus two.
            AUTHENTICATION => (usize::from(len) + 2) * 4,
            // RFC 8200, section 4.3: in units of eight bytes, the first eight not counted.
            _ => (usize::from(len) + 1) * 8,
        };
        let Some((header, behind)) = rest.split_at_checked(header_len) else {
            return CUT;
        };
        if next == FRAGMENT && is_later_fragment(header) {
            // What a later fragment begins with is payload: a header named here is out of sight.
            let known = !is_extension(following);
            return if known { (u16::from(following), None) } else { CUT };
        }
        next = following;
        rest = behind;
    }
    (u16::from(next), Some(rest))
}

const fn is_extension(next_header: u8) -> bool {
    matches!(next_header, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS)
}

fn is_later_fragment(header: &[u8]) -> bool {
    // RFC 8200, section 4.5: thirteen bits of offset, two reserved, one "more fragments".
    matches!(header, [_, _, high, low, ..] if be16(*high, *low) & 0xfff8 != 0)
}

fn cut(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(..len).unwrap_or(bytes)
}

#[inline]
const fn be16(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend(ether_type.to_be_bytes());
        frame.extend(payload);
        frame
    }

    fn v4(first: u8, total_len: u16, fragment: u16, protocol: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![first, 0];
        packet.extend(total_len.to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(fragment.to_be_bytes());
        packet.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(rest);
        ethernet(0x0800, &packet)
    }

    fn v6(payload_len: u16, next: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(payload_len.to_be_bytes());
        packet.extend([next, 64]);
        packet.extend([0x20; 16]);
        packet.extend([0x21; 16]);
        packet.extend(rest);
        ethernet(0x86dd, &packet)
    }

    const PORTS: [u8; 8] = [0x10, 0x00, 0x00, 0x50, 0, 8, 0, 0];

    #[test]
    fn plain_udp_of_both_families() {
        let key = FlowKey::parse(&v4(0x45, 28, 0, 17, &PORTS)).unwrap();
        assert_eq!(key.source().to_string(), "10.0.0.1");
        assert_eq!(key.destination().to_string(), "10.0.0.2");
        assert_eq!((key.protocol(), key.ports()), (Some(17), Some((0x1000, 80))));
        let key = FlowKey::parse(&v6(8, 17, &PORTS)).unwrap();
        assert_eq!(key.source(), IpAddr::V6(Ipv6Addr::from([0x20; 16])));
        assert_eq!((key.protocol(), key.ports()), (Some(17), Some((0x1000, 80))));
    }

    #[test]
    fn ports_stand_behind_options_and_inside_the_total_length() {
        let mut rest = vec![1; 4];
        rest.extend(PORTS);
        assert!(FlowKey::parse(&v4(0x46, 32, 0, 6, &rest)).unwrap().ports().is_some());
        // Ethernet padding behind a total length of 20 is no transport header.
        assert!(FlowKey::parse(&v4(0x45, 20, 0, 6, &PORTS)).unwrap().ports().is_none());
        assert!(FlowKey::parse(&v4(0x45, 23, 0, 6, &PORTS)).unwrap().ports().is_none());
        assert!(FlowKey::parse(&v4(0x45, 24, 0, 6, &PORTS)).unwrap().ports().is_some());
        for odd in [0, 19, 9999] {
            assert!(FlowKey::parse(&v4(0x45, odd, 0, 6, &PORTS)).unwrap().ports().is_some());
        }
    }

    #[test]
    fn only_first_fragments_have_ports() {
        assert!(FlowKey::parse(&v4(0x45, 28, 0x2000, 17, &PORTS)).unwrap().ports().is_some());
        let later = FlowKey::parse(&v4(0x45, 28, 0x2001, 17, &PORTS)).unwrap();
        assert_eq!((later.protocol(), later.ports()), (Some(17), None));
    }

    #[test]
    fn what_is_unsound_is_unparsable_and_what_is_cut_is_not() {
        assert_eq!(FlowKey::parse(&v4(0x44, 28, 0, 17, &PORTS)), Err(NotMirrored::Unparsable));
        assert_eq!(FlowKey::parse(&v4(0x65, 28, 0, 17, &PORTS)), Err(NotMirrored::Unparsable));
        let whole = v4(0x4f, 60, 0, 17, &PORTS);
        assert_eq!(FlowKey::parse(&whole).unwrap().ports(), None);
        assert_eq!(FlowKey::parse(&whole[..33]), Err(NotMirrored::Unparsable));
        assert!(FlowKey::parse(&whole[..34]).is_ok());
        assert_eq!(FlowKey::parse(&whole[..13]), Err(NotMirrored::Unparsable));
    }

    #[test]
    fn tags_are_looked_through_and_other_types_are_not_ip() {
        let inner = v4(0x45, 28, 0, 17, &PORTS);
        for tpid in [0x8100_u16, 0x88a8, 0x9100] {
            let mut tagged = inner[..12].to_vec();
            tagged.extend(tpid.to_be_bytes());
            tagged.extend([0, 5, 0x81, 0, 0, 6]);
            tagged.extend(&inner[12..]);
            assert!(FlowKey::parse(&tagged).unwrap().ports().is_some());
        }
        for other in [0x0806_u16, 0x88cc, 0x0026, 0x8864] {
            assert_eq!(FlowKey::parse(&ethernet(other, &[0; 50])), Err(NotMirrored::NotIp));
        }
    }

    #[test]
    fn extension_headers_are_walked() {
        let mut rest = vec![60, 0, 0, 0, 0, 0, 0, 0]; // hop-by-hop, then destination options
        rest.extend([51, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]); // 16 long, then AH
        rest.extend([44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]); // AH of 12, then fragment
        rest.extend([6, 0, 0, 1, 0, 0, 0, 9]); // first fragment, then TCP
        rest.extend(PORTS);
        let len = u16::try_from(rest.len()).unwrap();
        let key = FlowKey::parse(&v6(len, 0, &rest)).unwrap();
        assert_eq!((key.protocol(), key.ports()), (Some(6), Some((0x1000, 80))));
        for shorter in 0..rest.len() - 8 {
            let key = FlowKey::parse(&v6(len, 0, &rest[..shorter])).unwrap();
            assert_eq!((key.protocol(), key.ports()), (None, None), "{shorter}");
        }
        let headers_only = FlowKey::parse(&v6(len, 0, &rest[..rest.len() - 8])).unwrap();
        assert_eq!((headers_only.protocol(), headers_only.ports()), (Some(6), None));
    }

    #[test]
    fn a_later_ipv6_fragment_has_a_protocol_and_no_ports() {
        let mut rest = vec![17, 0, 0, 8, 0, 0, 0, 9];
        rest.extend(PORTS);
        let key = FlowKey::parse(&v6(16, 44, &rest)).unwrap();
        assert_eq!((key.protocol(), key.ports()), (Some(17), None));
        rest[0] = 60;
        assert_eq!(FlowKey::parse(&v6(16, 44, &rest)).unwrap().protocol(), None);
    }
}
