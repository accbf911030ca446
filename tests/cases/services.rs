//! Cases about traffic that AWS never mirrors, and about DNS with the VPC resolver.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::CaptureCase;
use super::capture::ethernet_pcap;
use super::frames::*;

pub(crate) fn cases() -> Vec<CaptureCase> {
    let pcap = |name, frames| CaptureCase::new(name, "input.pcap", ethernet_pcap(frames));
    vec![
        pcap("aws-exclusions", excluded()),
        pcap("aws-exclusions-off", excluded()),
        pcap("aws-exclusions-near-misses", near_misses()),
        pcap("amazon-dns-off", dns()),
        pcap("amazon-dns-on-over-reject", dns()),
        pcap("amazon-dns-custom-resolver", dns()),
        pcap("amazon-dns-in-second-session", dns()),
    ]
}

const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const RESOLVER: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);
const TIME: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 123);

const fn service6(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, last)
}

fn tcp_to(to: Ipv4Addr, port: u16) -> Vec<u8> {
    Ipv4::new(HOST, to, TCP, &tcp(40_000, port, b"")).on(OUTBOUND)
}

fn udp6_to(to: Ipv6Addr, from_port: u16, to_port: u16) -> Vec<u8> {
    ethernet(OUTBOUND, ETHER_IPV6, &ipv6(HOST6, to, UDP, &udp(from_port, to_port, b"hello")))
}

fn excluded() -> Vec<Vec<u8>> {
    let all = Link { to: [0xff; 6], from: HOST_MAC };
    let discover = Ipv4::new(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, UDP, &udp(68, 67, b"d"));
    let agents = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
    let metadata6 = ipv6(HOST6, service6(0x254), TCP, &tcp(40_000, 80, b""));
    vec![
        discover.on(all),
        udp_in(Ipv4Addr::new(10, 0, 0, 1), 67, 68),
        udp6_to(agents, 546, 547),
        tcp_to(METADATA, 80),
        Ipv4::new(METADATA, HOST, TCP, &tcp(80, 40_000, b"")).on(INBOUND),
        ethernet(OUTBOUND, ETHER_IPV6, &metadata6),
        udp_out(TIME, 123, 123),
        udp_in(TIME, 123, 123),
        udp6_to(service6(0x123), 123, 123),
        tcp_to(Ipv4Addr::new(169, 254, 169, 250), 1_688),
        tcp_to(Ipv4Addr::new(169, 254, 169, 251), 1_688),
    ]
}

/// Ordinary traffic that looks like excluded traffic.
fn near_misses() -> Vec<Vec<u8>> {
    vec![
        udp_out(SERVER, 123, 123),
        udp_in(SERVER, 123, 123),
        tcp_to(SERVER, 1_688),
        tcp_to(Ipv4Addr::new(169, 254, 169, 252), 80),
        tcp_to(SERVER, 67),
        udp_out(SERVER, 69, 69),
        udp6_to(service6(0x255), 40_000, 80),
    ]
}

fn dns() -> Vec<Vec<u8>> {
    let vpc = Ipv4Addr::new(10, 0, 0, 2);
    vec![
        udp_out(RESOLVER, 40_000, 53),
        udp_in(RESOLVER, 53, 40_000),
        udp6_to(service6(0x253), 40_000, 53),
        tcp_to(RESOLVER, 53),
        udp_out(vpc, 40_001, 53),
        udp_in(vpc, 53, 40_001),
        udp_out(SERVER, 40_002, 53),   // DNS elsewhere
        udp_out(RESOLVER, 40_003, 80), // not DNS
    ]
}
