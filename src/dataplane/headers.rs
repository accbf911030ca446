//! Parses the headers of a frame into a flow key, in one pass.
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
//! Checksums are ignored. A malformed packet is parsed as far as possible: if its addresses are
//! known, rules that use only addresses can match it.

use super::flow_key::FlowKey;
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

/// The part of a packet after the IP header and its extension headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct UpperLayer<'a> {
    /// The bytes from the transport header to the end that the IP header states. `None` for a later
    /// fragment, and if the chain of extension headers is truncated.
    pub(super) bytes: Option<&'a [u8]>,
    /// Whether fewer bytes were captured than the IP header states, or it states no length.
    pub(super) is_incomplete: bool,
}

/// Parses the headers of an Ethernet frame, and writes the key to its final place. A key that is
/// returned by value would be copied immediately, and this copy would wait until the stores of the
/// fields have finished.
#[inline(always)]
pub(super) fn parse<'a>(key: &mut FlowKey, frame: &'a [u8]) -> Result<UpperLayer<'a>, NotMirrored> {
    let Some((ethernet, packet)) = frame.split_first_chunk::<14>() else {
        return Err(NotMirrored::Unparsable);
    };
    match be16(ethernet[12], ethernet[13]) {
        ETHERTYPE_IPV4 => parse_ipv4(key, packet),
        ETHERTYPE_IPV6 => parse_ipv6(key, packet),
        other => parse_after_ether_type(key, other, packet),
    }
}

/// Parses the bytes after an EtherType: any number of VLAN tags (802.1Q, 802.1ad and the older
/// 0x9100), then the packet.
#[cold]
pub(super) fn parse_after_ether_type<'a>(
    key: &mut FlowKey,
    mut ether_type: u16,
    mut packet: &'a [u8],
) -> Result<UpperLayer<'a>, NotMirrored> {
    while matches!(ether_type, 0x8100 | 0x88a8 | 0x9100) {
        let Some((tag, rest)) = packet.split_first_chunk::<4>() else {
            return Err(NotMirrored::Unparsable);
        };
        ether_type = be16(tag[2], tag[3]);
        packet = rest;
    }
    match ether_type {
        ETHERTYPE_IPV4 => parse_ipv4(key, packet),
        ETHERTYPE_IPV6 => parse_ipv6(key, packet),
        _ => Err(NotMirrored::NotIp),
    }
}

#[inline(always)]
fn parse_ipv4<'a>(key: &mut FlowKey, packet: &'a [u8]) -> Result<UpperLayer<'a>, NotMirrored> {
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
    *key = FlowKey {
        addresses,
        source_port: 0,
        destination_port: 0,
        protocol: u16::from(header[9]),
        has_ports: false,
        is_ipv4: true,
    };
    let total_len = usize::from(be16(header[2], header[3]));
    let is_incomplete = total_len < header_len || total_len > packet.len();
    // A later fragment (offset above zero, RFC 791, section 3.1) has no transport header.
    if be16(header[6], header[7]) & 0x1fff != 0 {
        return Ok(UpperLayer { bytes: None, is_incomplete });
    }
    // A total length of zero (offload), or below the header length, means all captured bytes.
    let end = if is_incomplete { packet.len() } else { total_len };
    // If the options are truncated, no bytes are left.
    let bytes = Some(packet.get(header_len..end).unwrap_or_default());
    parse_ports(key, bytes);
    Ok(UpperLayer { bytes, is_incomplete })
}

#[inline]
fn parse_ipv6<'a>(key: &mut FlowKey, packet: &'a [u8]) -> Result<UpperLayer<'a>, NotMirrored> {
    let Some((header, payload)) = packet.split_first_chunk::<40>() else {
        return Err(NotMirrored::Unparsable);
    };
    if header[0] >> 4 != 6 {
        return Err(NotMirrored::Unparsable);
    }
    let mut addresses = [0; 32];
    addresses.copy_from_slice(&header[8..40]);
    *key = FlowKey {
        addresses,
        source_port: 0,
        destination_port: 0,
        protocol: u16::from(header[6]),
        has_ports: false,
        is_ipv4: false,
    };
    // A payload length of zero means a jumbogram (RFC 2675, section 3) or an offload.
    let payload_len = usize::from(be16(header[4], header[5]));
    let is_incomplete = payload_len == 0 || payload_len > payload.len();
    let payload = if payload_len == 0 { payload } else { truncated(payload, payload_len) };
    if !is_extension(header[6]) {
        parse_ports(key, Some(payload));
        return Ok(UpperLayer { bytes: Some(payload), is_incomplete });
    }
    let (protocol, bytes) = skip_extensions(header[6], payload);
    key.protocol = protocol;
    parse_ports(key, bytes);
    Ok(UpperLayer { bytes, is_incomplete })
}

/// Skips the extension headers. Returns the number of the first upper-layer header, and the bytes
/// from there on unless the packet is a later fragment.
#[cold]
fn skip_extensions(mut next: u8, mut rest: &[u8]) -> (u16, Option<&[u8]>) {
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
            // A later fragment starts with payload. An extension header that is named here is in
            // the first fragment, so the protocol after it is unknown.
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

fn truncated(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(..len).unwrap_or(bytes)
}

#[inline]
const fn be16(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high, low])
}

#[inline]
fn parse_ports(key: &mut FlowKey, transport: Option<&[u8]>) {
    if key.protocol != u16::from(TCP) && key.protocol != u16::from(UDP) {
        return;
    }
    // "A TCP or UDP header of which at least the four port bytes are there has ports."
    if let Some([a, b, c, d]) = transport.and_then(<[u8]>::first_chunk) {
        key.source_port = be16(*a, *b);
        key.destination_port = be16(*c, *d);
        key.has_ports = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv6Addr};

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
    fn udp_over_ipv4_and_ipv6_is_parsed() {
        let key = FlowKey::parse(&v4(0x45, 28, 0, 17, &PORTS)).unwrap();
        assert_eq!(key.source().to_string(), "10.0.0.1");
        assert_eq!(key.destination().to_string(), "10.0.0.2");
        assert_eq!((key.protocol(), key.ports()), (Some(17), Some((0x1000, 80))));
        let key = FlowKey::parse(&v6(8, 17, &PORTS)).unwrap();
        assert_eq!(key.source(), IpAddr::V6(Ipv6Addr::from([0x20; 16])));
        assert_eq!((key.protocol(), key.ports()), (Some(17), Some((0x1000, 80))));
    }

    #[test]
    fn ports_are_read_after_options_and_within_the_total_length() {
        let mut rest = vec![1; 4];
        rest.extend(PORTS);
        assert!(FlowKey::parse(&v4(0x46, 32, 0, 6, &rest)).unwrap().ports().is_some());
        // Ethernet padding after a total length of 20 is not a transport header.
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
    fn invalid_headers_are_unparsable_and_truncated_payloads_are_not() {
        assert_eq!(FlowKey::parse(&v4(0x44, 28, 0, 17, &PORTS)), Err(NotMirrored::Unparsable));
        assert_eq!(FlowKey::parse(&v4(0x65, 28, 0, 17, &PORTS)), Err(NotMirrored::Unparsable));
        let whole = v4(0x4f, 60, 0, 17, &PORTS);
        assert_eq!(FlowKey::parse(&whole).unwrap().ports(), None);
        assert_eq!(FlowKey::parse(&whole[..33]), Err(NotMirrored::Unparsable));
        assert!(FlowKey::parse(&whole[..34]).is_ok());
        assert_eq!(FlowKey::parse(&whole[..13]), Err(NotMirrored::Unparsable));
    }

    #[test]
    fn vlan_tags_are_skipped_and_other_ether_types_are_not_ip() {
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
    fn ipv6_extension_headers_are_skipped() {
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
