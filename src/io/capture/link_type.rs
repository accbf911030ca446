//! Link types: which records are Ethernet frames, and how records of others are converted to
//! frames.
//!
//! A record of another link type gets a synthesized Ethernet header. Its destination is
//! 02:00:00:00:00:00. Its source is the address in the Linux cooked header, if there is one, and
//! otherwise the same as the destination.

use crate::model::Direction;

const NULL: u16 = 0;
pub(super) const ETHERNET: u16 = 1;
const RAW: [u16; 5] = [12, 14, 101, 228, 229];
const LOOP: u16 = 108;
const LINUX_SLL: u16 = 113;
const LINUX_SLL2: u16 = 276;

const UNKNOWN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0];
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// How records of a link type are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkType {
    /// Borrowed unchanged.
    Ethernet,
    /// Borrowed unchanged and never evaluated.
    Unsupported,
    /// Copied after a synthesized Ethernet header.
    Ip(IpLinkType),
}

/// Link types that carry IP without an Ethernet header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IpLinkType {
    Raw,
    /// The address family in the byte order of the capturing machine.
    Null,
    /// The address family in network byte order.
    Loop,
    LinuxSll,
    LinuxSll2,
}

impl LinkType {
    pub(super) fn from_number(link_type: u16) -> Self {
        match link_type {
            ETHERNET => Self::Ethernet,
            NULL => Self::Ip(IpLinkType::Null),
            LOOP => Self::Ip(IpLinkType::Loop),
            LINUX_SLL => Self::Ip(IpLinkType::LinuxSll),
            LINUX_SLL2 => Self::Ip(IpLinkType::LinuxSll2),
            raw if RAW.contains(&raw) => Self::Ip(IpLinkType::Raw),
            _ => Self::Unsupported,
        }
    }
}

/// An Ethernet header that replaces another link header, and the direction in that header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SyntheticHeader {
    pub(super) header: [u8; 14],
    /// The number of bytes of the record that the header replaces.
    pub(super) replaced_len: usize,
    pub(super) direction: Option<Direction>,
}

/// Builds the Ethernet header of a record. If the record ends within its own link header, the
/// EtherType is unknown.
pub(super) fn synthesize_header(kind: IpLinkType, record: &[u8]) -> SyntheticHeader {
    let synthetic = match kind {
        IpLinkType::Raw => Some(without_source(ether_type_of_version(record), 0)),
        IpLinkType::Null | IpLinkType::Loop => {
            record.first_chunk().map(|family| without_source(ether_type_of_family(*family), 4))
        }
        IpLinkType::LinuxSll => record.first_chunk().map(linux_sll),
        IpLinkType::LinuxSll2 => record.first_chunk().map(linux_sll2),
    };
    synthetic.unwrap_or_else(|| without_source(0, record.len()))
}

fn without_source(ether_type: u16, replaced_len: usize) -> SyntheticHeader {
    SyntheticHeader { header: build_header(UNKNOWN_MAC, ether_type), replaced_len, direction: None }
}

fn build_header(source: [u8; 6], ether_type: u16) -> [u8; 14] {
    let [a, b, c, d, e, f] = source;
    let [high, low] = ether_type.to_be_bytes();
    let [p, q, r, s, t, u] = UNKNOWN_MAC;
    [p, q, r, s, t, u, a, b, c, d, e, f, high, low]
}

fn ether_type_of_version(packet: &[u8]) -> u16 {
    match packet.first().map(|first| first >> 4) {
        Some(4) => ETHERTYPE_IPV4,
        Some(6) => ETHERTYPE_IPV6,
        _ => 0,
    }
}

/// The EtherType of an address family in either byte order, which is unambiguous because families
/// are small numbers: IPv4 is 2 on all systems; IPv6 is 10 on Linux and 24, 28 or 30 on the BSDs.
fn ether_type_of_family(family: [u8; 4]) -> u16 {
    let number = match family {
        [0, 0, 0, number] | [number, 0, 0, 0] => number,
        _ => 0,
    };
    match number {
        2 => ETHERTYPE_IPV4,
        10 | 24 | 28 | 30 => ETHERTYPE_IPV6,
        _ => 0,
    }
}

/// Parses LINKTYPE_LINUX_SLL: packet type, ARPHRD, address length, address (8), protocol.
fn linux_sll(head: &[u8; 16]) -> SyntheticHeader {
    let [p0, p1, _, _, l0, l1, a, b, c, d, e, f, _, _, t0, t1] = *head;
    let source = if [l0, l1] == [0, 6] { [a, b, c, d, e, f] } else { UNKNOWN_MAC };
    SyntheticHeader {
        header: build_header(source, u16::from_be_bytes([t0, t1])),
        replaced_len: 16,
        direction: if p0 == 0 { direction_of_packet_type(p1) } else { None },
    }
}

/// Parses LINKTYPE_LINUX_SLL2: protocol, reserved, interface, ARPHRD, packet type, address length,
/// address.
fn linux_sll2(head: &[u8; 20]) -> SyntheticHeader {
    let [t0, t1, _, _, _, _, _, _, _, _, packet_type, len, a, b, c, d, e, f, ..] = *head;
    let source = if len == 6 { [a, b, c, d, e, f] } else { UNKNOWN_MAC };
    SyntheticHeader {
        header: build_header(source, u16::from_be_bytes([t0, t1])),
        replaced_len: 20,
        direction: direction_of_packet_type(packet_type),
    }
}

/// The direction of a packet type (`sll_pkttype` of packet(7)): 0 to this host, 1 broadcast,
/// 2 multicast, 3 between other hosts, 4 sent by this host.
const fn direction_of_packet_type(packet_type: u8) -> Option<Direction> {
    match packet_type {
        0..=2 => Some(Direction::Ingress),
        4 => Some(Direction::Egress),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_and_loopback_headers_give_the_address_family() {
        assert_eq!(synthesize_header(IpLinkType::Raw, &[0x45]).header[12..], [0x08, 0x00]);
        assert_eq!(synthesize_header(IpLinkType::Raw, &[0x60]).header[12..], [0x86, 0xdd]);
        for family in [[2, 0, 0, 0], [0, 0, 0, 2]] {
            let synthetic = synthesize_header(IpLinkType::Null, &family);
            assert_eq!((&synthetic.header[12..], synthetic.replaced_len), (&[0x08, 0x00][..], 4));
        }
        for family in [[30, 0, 0, 0], [0, 0, 0, 28], [24, 0, 0, 0], [10, 0, 0, 0]] {
            assert_eq!(synthesize_header(IpLinkType::Loop, &family).header[12..], [0x86, 0xdd]);
        }
    }

    #[test]
    fn cooked_headers_give_source_and_direction() {
        let v1 = [0, 4, 0, 1, 0, 6, 2, 1, 1, 1, 1, 1, 0, 0, 0x86, 0xdd];
        let synthetic = synthesize_header(IpLinkType::LinuxSll, &v1);
        assert_eq!(synthetic.header, [2, 0, 0, 0, 0, 0, 2, 1, 1, 1, 1, 1, 0x86, 0xdd]);
        assert_eq!((synthetic.replaced_len, synthetic.direction), (16, Some(Direction::Egress)));
        let v2 = [8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 1, 1, 1, 1, 1, 0, 0];
        let synthetic = synthesize_header(IpLinkType::LinuxSll2, &v2);
        assert_eq!(synthetic.header, [2, 0, 0, 0, 0, 0, 2, 1, 1, 1, 1, 1, 8, 0]);
        assert_eq!((synthetic.replaced_len, synthetic.direction), (20, Some(Direction::Ingress)));
    }

    #[test]
    fn a_record_truncated_in_its_link_header_is_still_a_frame() {
        for kind in [
            IpLinkType::Raw,
            IpLinkType::Null,
            IpLinkType::Loop,
            IpLinkType::LinuxSll,
            IpLinkType::LinuxSll2,
        ] {
            assert_eq!(synthesize_header(kind, &[]).header[12..], [0, 0]);
        }
    }
}
