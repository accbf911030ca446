//! Cases about packets: tags, options, fragments, extension headers, unusual lengths.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::CaptureCase;
use super::capture::ethernet_pcap;
use super::frames::*;

pub(crate) fn cases() -> Vec<CaptureCase> {
    let pcap = |name, frames| CaptureCase::new(name, "input.pcap", ethernet_pcap(frames));
    vec![
        pcap("vlan", vlan()),
        pcap("qinq", qinq()),
        pcap("vlan-9100-triple", vlan_triple()),
        pcap("ipv4-options", ipv4_options()),
        pcap("ipv4-fragments", ipv4_fragments()),
        pcap("ipv4-padding", ipv4_padding()),
        pcap("ipv4-total-length", ipv4_total_length()),
        pcap("ipv4-authentication-header", authentication()),
        pcap("ipv6-extension-headers", ipv6_extension_headers()),
        pcap("ipv6-fragments", ipv6_fragments()),
        pcap("ipv6-chain-cut", ipv6_chain_cut()),
        pcap("icmpv6-neighbour-discovery", neighbour_discovery()),
        pcap("multicast-and-broadcast", multicast_and_broadcast()),
        pcap("arp-and-llc-not-ip", not_ip()),
        pcap("unparsable", unparsable()),
    ]
}

fn to_port(port: u16) -> Ipv4 {
    Ipv4::new(CLIENT, HOST, TCP, &tcp(40_000, port, b"hello"))
}

fn vlan() -> Vec<Vec<u8>> {
    let over = |vlan, port| tagged(INBOUND, &[(0x8100, vlan)], ETHER_IPV4, &to_port(port).bytes());
    let six = ipv6(CLIENT6, HOST6, TCP, &tcp(40_000, 443, b""));
    let priority = tagged(INBOUND, &[(0x8100, 0xe000)], ETHER_IPV6, &six);
    vec![over(100, 443), over(4_094, 443), over(100, 80), priority, tcp_in(40_000, 443)]
}

fn qinq() -> Vec<Vec<u8>> {
    let over = |tags: &[(u16, u16)]| tagged(INBOUND, tags, ETHER_IPV4, &to_port(443).bytes());
    vec![over(&[(0x88a8, 10), (0x8100, 20)]), over(&[(0x8100, 10), (0x8100, 20)])]
}

fn vlan_triple() -> Vec<Vec<u8>> {
    let tags = [(0x9100, 10), (0x88a8, 20), (0x8100, 30), (0x8100, 40)];
    let frame = |tags: &[(u16, u16)]| tagged(INBOUND, tags, ETHER_IPV4, &to_port(443).bytes());
    let arp = tagged(INBOUND, &tags[..3], ETHER_ARP, &filler(28));
    vec![frame(&tags[..1]), frame(&tags[..3]), frame(&tags), arp]
}

fn ipv4_options() -> Vec<Vec<u8>> {
    let with = |options: &[u8]| {
        let mut packet = to_port(443);
        packet.options = options.to_vec();
        packet.on(INBOUND)
    };
    let mut longest = vec![7, 39, 4]; // record route
    longest.resize(40, 0);
    vec![with(&[0x94, 4, 0, 0]), with(&[1, 1, 1, 0]), with(&longest)]
}

fn ipv4_fragments() -> Vec<Vec<u8>> {
    const MORE: u16 = 0x2000;
    let whole = Ipv4::new(CLIENT, HOST, UDP, &udp(40_000, 514, &filler(40)));
    let part = |fragment: u16, from: usize, to: usize| {
        let mut packet = whole.clone();
        packet.fragment = fragment;
        packet.payload = whole.payload[from..to].to_vec();
        packet.on(INBOUND)
    };
    vec![part(MORE, 0, 16), part(MORE | 2, 16, 32), part(4, 32, 48), part(0x4000, 0, 48)]
}

fn ipv4_padding() -> Vec<Vec<u8>> {
    let mut short = Ipv4::new(CLIENT, HOST, TCP, &tcp(40_000, 443, b"")).on(INBOUND);
    short.resize(60, 0);
    // No transport header: the bytes in place of the ports are padding.
    let mut bare = Ipv4::new(CLIENT, HOST, TCP, &tcp(40_000, 443, b""));
    bare.total_len = Some(20);
    // Two bytes of a transport header: not enough for ports.
    let mut half = bare.clone();
    half.total_len = Some(22);
    vec![short, bare.on(INBOUND), half.on(INBOUND)]
}

fn ipv4_total_length() -> Vec<Vec<u8>> {
    let with_total_length = |len| {
        let mut packet = to_port(443);
        packet.total_len = Some(len);
        packet.on(INBOUND)
    };
    [0, 19, 1_500, 65_535, 45].map(with_total_length).to_vec()
}

fn authentication() -> Vec<Vec<u8>> {
    let header = [&[TCP, 4, 0, 0], &filler(20)[..]].concat();
    let inner = [&header[..], &tcp(40_000, 443, b"")].concat();
    let four = Ipv4::new(CLIENT, HOST, 51, &inner).on(INBOUND);
    let six = ethernet(INBOUND, ETHER_IPV6, &ipv6_as_is(CLIENT6, HOST6, 51, &inner));
    vec![four, six]
}

/// An IPv6 packet whose extension headers are the parts in front of the segment.
fn chain(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    ethernet(INBOUND, ETHER_IPV6, &ipv6_as_is(CLIENT6, HOST6, first, &parts.concat()))
}

/// A hop-by-hop, routing or destination-options header of 8 bytes and `next`.
fn options_header(next: u8) -> [u8; 8] {
    [next, 0, 1, 4, 0, 0, 0, 0]
}

fn segment6() -> Vec<u8> {
    let pseudo = joined(&[&CLIENT6.octets(), &HOST6.octets()]);
    with_checksum(&pseudo, TCP, &tcp(40_000, 443, b"hello"))
}

fn ipv6_extension_headers() -> Vec<Vec<u8>> {
    let tcp = segment6();
    let long = joined(&[&[TCP, 2, 1, 20], &[0; 20]]);
    vec![
        chain(0, &[&options_header(TCP), &tcp]),
        chain(60, &[&options_header(TCP), &tcp]),
        chain(43, &[&[TCP, 0, 253, 0, 0, 0, 0, 0], &tcp]),
        chain(0, &[&options_header(60), &options_header(43), &options_header(TCP), &tcp]),
        chain(60, &[&long, &tcp]),
        chain(59, &[&filler(8)]),                      // no next header
        chain(0, &[&options_header(50), &filler(24)]), // ESP hides what follows
    ]
}

fn ipv6_fragments() -> Vec<Vec<u8>> {
    let tcp = segment6();
    let header = |offset: u16, more: u16| {
        joined(&[&[TCP, 0], &(offset | more).to_be_bytes(), &[0, 0, 0, 9]])
    };
    vec![
        chain(44, &[&header(0, 1), &tcp[..24]]),
        chain(44, &[&header(24, 0), &tcp[24..]]),
        chain(44, &[&header(0, 0), &tcp]), // an atomic fragment
        chain(0, &[&options_header(44), &header(24, 0), &tcp]),
    ]
}

fn ipv6_chain_cut() -> Vec<Vec<u8>> {
    let tcp = segment6();
    vec![
        chain(0, &[&[TCP, 0, 1, 4]]),
        chain(0, &[&[TCP, 200, 1, 4], &[0; 20]]),
        chain(44, &[&[TCP, 0, 0, 0]]),
        chain(TCP, &[&tcp[..3]]),
        chain(0, &[]),
    ]
}

fn neighbour_discovery() -> Vec<Vec<u8>> {
    let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let solicitation = icmp(135, 0, &joined(&[&[0; 4], &HOST6.octets(), &[1, 1], &ROUTER_MAC]));
    let advertisement =
        icmp(136, 0, &joined(&[&[0x60, 0, 0, 0], &HOST6.octets(), &[2, 1], &HOST_MAC]));
    let solicitation_packet = ipv6(link_local, HOST6, ICMPV6, &solicitation);
    let advertisement_packet = ipv6(HOST6, link_local, ICMPV6, &advertisement);
    let echo = icmp(128, 0, &[0, 7, 0, 1, 1, 2, 3, 4]);
    vec![
        ethernet(INBOUND, ETHER_IPV6, &solicitation_packet),
        ethernet(OUTBOUND, ETHER_IPV6, &advertisement_packet),
        in6(ICMPV6, &echo),
    ]
}

fn multicast_and_broadcast() -> Vec<Vec<u8>> {
    let all = Link { to: [0xff; 6], from: HOST_MAC };
    let group = Link { to: [1, 0, 0x5e, 0, 0, 251], from: HOST_MAC };
    let group6 = Link { to: [0x33, 0x33, 0, 0, 0, 251], from: HOST_MAC };
    let mdns = udp(5_353, 5_353, b"mdns");
    let to_group6 = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 251);
    let others = Link { from: ROUTER_MAC, ..group };
    let subnet_broadcast = Ipv4Addr::new(10, 0, 0, 255);
    vec![
        Ipv4::new(HOST, subnet_broadcast, UDP, &udp(137, 137, b"name")).on(all),
        Ipv4::new(HOST, Ipv4Addr::BROADCAST, UDP, &udp(6_000, 6_001, b"")).on(all),
        Ipv4::new(HOST, Ipv4Addr::new(224, 0, 0, 251), UDP, &mdns).on(group),
        ethernet(group6, ETHER_IPV6, &ipv6(HOST6, to_group6, UDP, &mdns)),
        Ipv4::new(CLIENT, Ipv4Addr::new(224, 0, 0, 251), UDP, &mdns).on(others),
    ]
}

fn not_ip() -> Vec<Vec<u8>> {
    let arp = [&[0, 1, 8, 0, 6, 4, 0, 1], &filler(20)[..]].concat();
    let packet = to_port(443).bytes();
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &packet[..]].concat();
    let len = u16::try_from(snap.len()).unwrap();
    vec![
        ethernet(INBOUND, ETHER_ARP, &arp),
        ethernet(INBOUND, len, &snap), // IP inside 802.3 with LLC and SNAP
        ethernet(INBOUND, 38, &[&[0x42, 0x42, 3], &filler(43)[..]].concat()), // spanning tree
        ethernet(INBOUND, 0x88cc, &filler(46)), // LLDP
        ethernet(INBOUND, 0x8847, &filler(46)), // MPLS
    ]
}

fn unparsable() -> Vec<Vec<u8>> {
    let valid = tcp_in(40_000, 443);
    let with_byte = |offset: usize, value: u8| {
        let mut frame = valid.clone();
        frame[offset] = value;
        frame
    };
    let truncated = |len: usize| valid[..len].to_vec();
    let ipv6_frame = in6(TCP, &tcp(40_000, 443, b""));
    let mut ipv6_with_version_4 = ipv6_frame.clone();
    ipv6_with_version_4[14] = 0x45;
    let mut cut_options = valid[..36].to_vec(); // 60 bytes declared, 22 present
    cut_options[14] = 0x4f;
    vec![
        with_byte(14, 0x44),
        with_byte(14, 0x65),
        ipv6_with_version_4,
        truncated(14),
        truncated(33),
        ipv6_frame[..53].to_vec(),
        cut_options,
    ]
}
