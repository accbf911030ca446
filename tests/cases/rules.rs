//! Cases about interfaces, directions, rules and sessions.

use std::net::Ipv6Addr;

use super::CaptureCase;
use super::capture::{LINKTYPE_ETHERNET, Pcapng, START_NS, ethernet_pcap};
use super::frames::*;

pub(crate) fn cases() -> Vec<CaptureCase> {
    let pcap = |name, frames| CaptureCase::new(name, "input.pcap", ethernet_pcap(frames));
    vec![
        pcap("one-rule", one_rule()),
        pcap("direction-by-mac", direction_by_mac()),
        pcap("direction-by-ip", direction_by_ip()),
        pcap("direction-argument", vec![tcp_in(40_000, 443), tcp_out(443, 40_000)]),
        CaptureCase::new("direction-flags-pcapng", "input.pcapng", direction_flags()),
        pcap("rule-order-first-match", rule_order()),
        pcap("reject-falls-through-to-next-session", web_and_ssh()),
        pcap("three-sessions-by-number", three_sessions()),
        pcap("empty-filter", web_and_ssh()),
        pcap("port-ranges-edges", port_ranges()),
        pcap("ports-beyond-the-capture", ports_cut()),
        pcap("protocol-absent-matches-all", all_protocols()),
        pcap("cidr-edges", cidr_edges()),
        pcap("cidr-host-bits", sources([[10, 0, 0, 1], [10, 0, 0, 77], [10, 0, 1, 77]])),
        pcap("family-of-a-rule", family()),
        pcap("icmp", icmp_messages()),
        pcap("two-interfaces-one-capture", two_interfaces()),
        pcap("no-network-interface", vec![foreign_frames(), tcp_in(40_000, 443)]),
        pcap("random-vni-by-seed", vec![tcp_in(40_000, 443), tcp_out(443, 40_000)]),
        pcap("symmetric-source-port", symmetric()),
        pcap("aws-json-config", web_and_ssh()),
        pcap("several-config-files", web_and_ssh()),
        pcap("cloudformation-template", one_rule()),
        pcap("terraform-plan", one_rule()),
    ]
}

fn one_rule() -> Vec<Vec<u8>> {
    vec![
        tcp_in(40_000, 443),
        tcp_out(443, 40_000),
        udp_in(CLIENT, 40_000, 443),
        tcp_in(40_000, 80),
        tcp_in(443, 40_000),
    ]
}

fn direction_by_mac() -> Vec<Vec<u8>> {
    let segment = tcp(40_000, 443, b"");
    vec![
        tcp_in(40_000, 443),
        tcp_out(443, 40_000),
        // The host forwards for another host: its MAC address decides, not the IP address.
        Ipv4::new(SERVER, HOST, TCP, &segment).on(OUTBOUND),
        Ipv4::new(HOST, SERVER, TCP, &segment).on(INBOUND),
        // From the host to itself: egress.
        Ipv4::new(HOST, HOST, TCP, &segment).on(Link { to: HOST_MAC, from: HOST_MAC }),
    ]
}

fn direction_by_ip() -> Vec<Vec<u8>> {
    vec![
        tcp_in(40_000, 443),
        tcp_out(443, 40_000),
        in6(UDP, &udp(5_000, 6_000, b"in")),
        out6(UDP, &udp(6_000, 5_000, b"out")),
        foreign_frames(),
    ]
}

fn foreign_frames() -> Vec<u8> {
    let link = Link { to: ROUTER_MAC, from: [2, 0, 10, 0, 0, 20] };
    Ipv4::new(CLIENT, SERVER, TCP, &tcp(40_000, 443, b"")).on(link)
}

fn direction_flags() -> Vec<u8> {
    let writer = Pcapng { big_endian: false };
    let frame = tcp_in(40_000, 443);
    let mut file = [writer.section(), writer.interface(LINKTYPE_ETHERNET, 0, b"")].concat();
    for (step, flags) in (0..).zip([Some(1), Some(2), Some(0), None]) {
        let options = flags.map_or(vec![], |flags| writer.option(2, &writer.u32(flags)));
        file.extend(writer.packet(0, START_NS / 1_000 + step, &frame, &options));
    }
    file
}

fn rule_order() -> Vec<Vec<u8>> {
    vec![tcp_in(40_000, 22), tcp_in(40_000, 80), tcp_in(40_000, 8_080), tcp_out(22, 40_000)]
}

fn web_and_ssh() -> Vec<Vec<u8>> {
    vec![tcp_in(40_000, 80), tcp_out(80, 40_000), tcp_in(40_001, 22), tcp_out(22, 40_001)]
}

fn three_sessions() -> Vec<Vec<u8>> {
    vec![tcp_in(40_000, 80), tcp_in(40_000, 443), udp_in(CLIENT, 40_000, 514)]
}

fn port_ranges() -> Vec<Vec<u8>> {
    let to = [0, 1, 1_023, 1_024, 2_048, 2_049, 65_535].map(|port| tcp_in(40_000, port));
    let from = [0, 9_999, 10_000, 10_001, 65_535].map(|port| udp_in(CLIENT, port, 9));
    [to.to_vec(), from.to_vec()].concat()
}

/// TCP and UDP headers truncated to four, three and zero bytes. Ports need four.
fn ports_cut() -> Vec<Vec<u8>> {
    let cut = |protocol: u8, len: usize| {
        let mut packet = Ipv4::new(CLIENT, HOST, TCP, &tcp(40_000, 443, b""));
        packet.protocol = protocol;
        packet.payload.truncate(len);
        packet.on(INBOUND)
    };
    vec![cut(TCP, 4), cut(TCP, 3), cut(UDP, 4), cut(UDP, 0)]
}

fn all_protocols() -> Vec<Vec<u8>> {
    let other = |protocol| Ipv4::new(CLIENT, HOST, protocol, &filler(24)).on(INBOUND);
    let mut frames = vec![tcp_in(40_000, 443), udp_in(CLIENT, 40_000, 443)];
    frames.extend([47, 50, 89, 132, 255].map(other)); // GRE, ESP, OSPF, SCTP, reserved
    frames.push(Ipv4::new(CLIENT, HOST, ICMP, &icmp(8, 0, &filler(36))).on(INBOUND));
    frames
}

fn sources<const N: usize>(sources: [[u8; 4]; N]) -> Vec<Vec<u8>> {
    sources.map(|source| udp_in(source.into(), 40_000, 514)).to_vec()
}

fn cidr_edges() -> Vec<Vec<u8>> {
    let mut frames = sources([
        [10, 0, 0, 20],
        [10, 0, 0, 21],
        [10, 127, 255, 255],
        [10, 128, 0, 0],
        [172, 16, 0, 0],
        [172, 31, 255, 255],
        [172, 32, 0, 0],
    ]);
    let last_bits = [0x7fff, 0x8000].map(|last| Ipv6Addr::new(0x2001, 0xdb8, 0, last, 0, 0, 0, 1));
    let payload = udp(40_000, 514, b"");
    frames.extend(
        last_bits.map(|from| ethernet(INBOUND, ETHER_IPV6, &ipv6(from, HOST6, UDP, &payload))),
    );
    frames
}

fn family() -> Vec<Vec<u8>> {
    vec![tcp_in(40_000, 443), in6(TCP, &tcp(40_000, 443, b"")), out6(TCP, &tcp(443, 40_000, b""))]
}

fn icmp_messages() -> Vec<Vec<u8>> {
    let echo = [0, 7, 0, 1, 1, 2, 3, 4];
    let request = Ipv4::new(CLIENT, HOST, ICMP, &icmp(8, 0, &echo)).on(INBOUND);
    let reply = Ipv4::new(HOST, CLIENT, ICMP, &icmp(0, 0, &echo)).on(OUTBOUND);
    // The packet that an error quotes has ports, which are not evaluated.
    let quoted = Ipv4::new(HOST, CLIENT, UDP, &udp(40_000, 514, b"")).bytes();
    let error = icmp(3, 3, &[&[0; 4], &quoted[..]].concat());
    let unreachable = Ipv4::new(CLIENT, HOST, ICMP, &error).on(INBOUND);
    vec![request, reply, unreachable, tcp_in(40_000, 443)]
}

fn two_interfaces() -> Vec<Vec<u8>> {
    let link = Link { to: HOST_MAC, from: [2, 0, 10, 0, 0, 20] };
    let back = Link { to: link.from, from: link.to };
    vec![
        Ipv4::new(CLIENT, HOST, TCP, &tcp(40_000, 443, b"to the other")).on(link),
        Ipv4::new(HOST, CLIENT, TCP, &tcp(443, 40_000, b"and back")).on(back),
        udp_in(SERVER, 40_000, 514),
    ]
}

fn symmetric() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for port in [40_000, 40_001, 40_002] {
        frames.extend([tcp_in(port, 443), tcp_out(443, port)]);
    }
    frames.extend([udp_in(CLIENT, 40_000, 443), udp_out(CLIENT, 443, 40_000)]);
    frames.extend([in6(TCP, &tcp(40_000, 443, b"")), out6(TCP, &tcp(443, 40_000, b""))]);
    for protocol in [ICMP, 47] {
        frames.push(Ipv4::new(CLIENT, HOST, protocol, &filler(16)).on(INBOUND));
        frames.push(Ipv4::new(HOST, CLIENT, protocol, &filler(20)).on(OUTBOUND));
    }
    frames
}
