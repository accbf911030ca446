//! Builds frames byte by byte, so a case may contain frames that no network stack sends.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The host that most cases mirror.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
/// The same host's IPv6 address.
pub(crate) const HOST6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, 5);
/// A neighbour of the host.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 20);
/// The same neighbour's IPv6 address.
pub(crate) const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, 0x20);
/// A server on the internet.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 80);

pub(crate) const HOST_MAC: [u8; 6] = [2, 0, 10, 0, 0, 5];
pub(crate) const ROUTER_MAC: [u8; 6] = [2, 0, 10, 0, 0, 1];

pub(crate) const ETHER_IPV4: u16 = 0x0800;
pub(crate) const ETHER_ARP: u16 = 0x0806;
pub(crate) const ETHER_IPV6: u16 = 0x86dd;

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;

/// The two MAC addresses of a frame.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    pub(crate) to: [u8; 6],
    pub(crate) from: [u8; 6],
}

/// To the host.
pub(crate) const INBOUND: Link = Link { to: HOST_MAC, from: ROUTER_MAC };
/// From the host.
pub(crate) const OUTBOUND: Link = Link { to: ROUTER_MAC, from: HOST_MAC };

pub(crate) fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub(crate) fn ethernet(link: Link, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    joined(&[&link.to, &link.from, &ether_type.to_be_bytes(), payload])
}

/// A frame with VLAN tags, outermost first: (EtherType of the tag, VLAN id).
pub(crate) fn tagged(link: Link, tags: &[(u16, u16)], ether_type: u16, rest: &[u8]) -> Vec<u8> {
    let mut frame = joined(&[&link.to, &link.from]);
    for (tag, vlan) in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend(vlan.to_be_bytes());
    }
    joined(&[&frame, &ether_type.to_be_bytes(), rest])
}

/// An IPv4 packet; `Ipv4::new` sets default values.
#[derive(Clone)]
pub(crate) struct Ipv4 {
    pub(crate) from: Ipv4Addr,
    pub(crate) to: Ipv4Addr,
    pub(crate) protocol: u8,
    /// Flags and offset of the header.
    pub(crate) fragment: u16,
    pub(crate) options: Vec<u8>,
    /// The total length in the header; the real one if none is given.
    pub(crate) total_len: Option<u16>,
    pub(crate) payload: Vec<u8>,
}

impl Ipv4 {
    pub(crate) fn new(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Self {
        let pseudo = joined(&[&from.octets(), &to.octets()]);
        let payload = with_checksum(&pseudo, protocol, payload);
        Self { from, to, protocol, fragment: 0, options: vec![], total_len: None, payload }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let header_len = 20 + self.options.len();
        let true_len = u16::try_from(header_len + self.payload.len()).unwrap();
        let total_len = self.total_len.unwrap_or(true_len);
        let words = u8::try_from(header_len / 4).unwrap();
        let mut header = vec![0x40 | words, 0];
        header.extend(total_len.to_be_bytes());
        header.extend([0x1d, 0x0f]); // identification
        header.extend(self.fragment.to_be_bytes());
        header.extend([64, self.protocol, 0, 0]);
        header.extend(self.from.octets());
        header.extend(self.to.octets());
        header.extend(&self.options);
        let sum = checksum(&header);
        header.splice(10..12, sum.to_be_bytes());
        joined(&[&header, &self.payload])
    }

    /// The frame that carries the packet.
    pub(crate) fn on(&self, link: Link) -> Vec<u8> {
        ethernet(link, ETHER_IPV4, &self.bytes())
    }
}

/// An IPv6 packet whose payload begins with the header `next`. If that is a transport header, its
/// checksum is computed; extension headers have none.
pub(crate) fn ipv6(from: Ipv6Addr, to: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let pseudo = joined(&[&from.octets(), &to.octets()]);
    ipv6_as_is(from, to, next, &with_checksum(&pseudo, next, payload))
}

/// An IPv6 packet with an unchanged payload.
pub(crate) fn ipv6_as_is(from: Ipv6Addr, to: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let addresses = joined(&[&from.octets(), &to.octets()]);
    joined(&[&[0x60, 0, 0, 0], &len, &[next, 64], &addresses, payload])
}

pub(crate) fn udp(from_port: u16, to_port: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).unwrap();
    let ports = [from_port, to_port, len, 0].map(u16::to_be_bytes).concat();
    joined(&[&ports, payload])
}

/// A TCP segment with the ACK flag.
pub(crate) fn tcp(from_port: u16, to_port: u16, payload: &[u8]) -> Vec<u8> {
    let ports = [from_port, to_port].map(u16::to_be_bytes).concat();
    let rest = [0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0];
    joined(&[&ports, &rest, payload])
}

/// An ICMP or ICMPv6 message: type, code, and what follows the checksum.
pub(crate) fn icmp(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    joined(&[&[kind, code, 0, 0], rest])
}

/// `len` bytes that count upwards.
pub(crate) fn filler(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

pub(crate) fn tcp_in(from_port: u16, to_port: u16) -> Vec<u8> {
    Ipv4::new(CLIENT, HOST, TCP, &tcp(from_port, to_port, b"hello")).on(INBOUND)
}

pub(crate) fn tcp_out(from_port: u16, to_port: u16) -> Vec<u8> {
    Ipv4::new(HOST, CLIENT, TCP, &tcp(from_port, to_port, b"hello")).on(OUTBOUND)
}

pub(crate) fn udp_in(from: Ipv4Addr, from_port: u16, to_port: u16) -> Vec<u8> {
    Ipv4::new(from, HOST, UDP, &udp(from_port, to_port, b"hello")).on(INBOUND)
}

pub(crate) fn udp_out(to: Ipv4Addr, from_port: u16, to_port: u16) -> Vec<u8> {
    Ipv4::new(HOST, to, UDP, &udp(from_port, to_port, b"hello")).on(OUTBOUND)
}

pub(crate) fn in6(next: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(INBOUND, ETHER_IPV6, &ipv6(CLIENT6, HOST6, next, payload))
}

pub(crate) fn out6(next: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(OUTBOUND, ETHER_IPV6, &ipv6(HOST6, CLIENT6, next, payload))
}

/// `payload` with the checksum of the protocol, if it has one.
pub(crate) fn with_checksum(addresses: &[u8], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let offset = match protocol {
        TCP => 16,
        UDP => 6,
        ICMP | ICMPV6 => 2,
        _ => return payload.to_vec(),
    };
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let pseudo = joined(&[addresses, &len, &[0, 0, 0, protocol]]);
    let covered = if protocol == ICMP { payload.to_vec() } else { joined(&[&pseudo, payload]) };
    let mut finished = payload.to_vec();
    finished.splice(offset..offset + 2, checksum(&covered).to_be_bytes());
    finished
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}
