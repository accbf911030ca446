//! Which frames that bear our mark can be ours: our copies, and tunnels around them.
//!
//! A tunnel device of the kernel keeps the mark of the packet that it wraps (`skb_scrub_packet` of
//! `net/core/skbuff.c` clears it between network namespaces only). Other programs may send with
//! the same mark; their frames are let through and counted as any frame is.
//!
//! ```text
//! IP in IP, 6in4, GRE, ESP, AH, L2TPv3            -> ours
//! UDP from a source port of copies                -> ours
//! UDP to the port of a tunnel or of a target      -> ours
//! later fragments of UDP over IPv4                -> ours: they have no ports
//! everything else                                 -> not ours
//! ```
//!
//! One VLAN tag may be in the way, IPv4 options too, extension headers of IPv6 not.

use super::code::{Code, Ends, Instruction, Place, codes, load_byte, load_half, put_least_len};
use super::layout::{ETHER_TYPE, TUNNELS, UDP};
use crate::dataplane::FIRST_SOURCE_PORT;

/// IP in IP, 6in4, GRE, ESP, AH, L2TPv3, by their protocol numbers.
const TUNNEL_PROTOCOLS: [u32; 6] = [4, 41, 47, 50, 51, 115];

/// 802.1Q and 802.1ad.
const TAGS: [u32; 2] = [0x8100, 0x88a8];
const TAG_LEN: u32 = 4;

/// Where the protocol and the fragment offset are in an IPv4 header, and how long it is at least.
const IPV4_PROTOCOL: u32 = 9;
const IPV4_FRAGMENT: u32 = 6;
const IPV4_LEN: u32 = 20;
/// The same for IPv6.
const IPV6_NEXT_HEADER: u32 = 6;
const IPV6_LEN: u32 = 40;
const PORTS_LEN: u32 = 4;

/// Tests that a frame, whose mark is ours, can be ours: it goes on at `ends.nothing` if it can and
/// at `ends.whole` if not.
pub(super) fn put_own(code: &mut Code, target_ports: &[u16], ends: Ends) -> Place {
    let tagged = put_ether_type(code, TAG_LEN, (target_ports, ends.whole), ends);
    let mut untyped = ends.whole;
    for tag in TAGS {
        untyped = code.branch(codes::IF_EQUAL, tag, tagged, untyped);
    }
    let first = put_ether_type(code, 0, (target_ports, untyped), ends);
    put_least_len(code, ETHER_TYPE + TAG_LEN + 2, first, ends.whole)
}

/// Tests the frame by the EtherType that is `behind` bytes of tags; another type goes on at `other`.
fn put_ether_type(
    code: &mut Code,
    behind: u32,
    (target_ports, other): (&[u16], Place),
    ends: Ends,
) -> Place {
    let at = ETHER_TYPE + 2 + behind;
    let ipv6 = put_ipv6(code, at, target_ports, ends);
    let ipv4 = put_ipv4(code, at, target_ports, ends);
    let not_ipv4 = code.branch(codes::IF_EQUAL, 0x86dd, ipv6, other);
    code.branch(codes::IF_EQUAL, 0x0800, ipv4, not_ipv4);
    code.put(&[load_half(ETHER_TYPE + behind)])
}

fn put_ipv4(code: &mut Code, at: u32, target_ports: &[u16], ends: Ends) -> Place {
    let load = |offset| Instruction::new(codes::LOAD_HALF_AT_X, at + offset);
    put_ports(code, target_ports, [load(0), load(2)], ends);
    let header_len = Instruction::new(codes::LOAD_X_HEADER_LEN, at);
    let ports = code.put(&[header_len]);
    code.branch(codes::IF_AT_LEAST_X, 0, ports, ends.whole);
    let first = code.put(&[
        header_len,
        Instruction::new(codes::COPY_FROM_X, 0),
        Instruction::new(codes::ADD, at + PORTS_LEN),
        Instruction::new(codes::COPY_TO_X, 0),
        Instruction::new(codes::LOAD_LEN, 0),
    ]);
    code.branch(codes::IF_ANY_BIT, 0x1fff, ends.nothing, first);
    let udp = code.put(&[load_half(at + IPV4_FRAGMENT)]);
    let protocol = put_protocol(code, at + IPV4_PROTOCOL, udp, ends);
    put_least_len(code, at + IPV4_LEN, protocol, ends.whole)
}

fn put_ipv6(code: &mut Code, at: u32, target_ports: &[u16], ends: Ends) -> Place {
    let ports = [load_half(at + IPV6_LEN), load_half(at + IPV6_LEN + 2)];
    let ports = put_ports(code, target_ports, ports, ends);
    let udp = put_least_len(code, at + IPV6_LEN + PORTS_LEN, ports, ends.whole);
    let protocol = put_protocol(code, at + IPV6_NEXT_HEADER, udp, ends);
    put_least_len(code, at + IPV6_LEN, protocol, ends.whole)
}

fn put_protocol(code: &mut Code, at: u32, udp: Place, ends: Ends) -> Place {
    code.branch(codes::IF_EQUAL, UDP, udp, ends.whole);
    for protocol in TUNNEL_PROTOCOLS {
        let other = code.here();
        code.branch(codes::IF_EQUAL, protocol, ends.nothing, other);
    }
    code.put(&[load_byte(at)])
}

/// Tests the source and the destination port by these loads.
fn put_ports(
    code: &mut Code,
    target_ports: &[u16],
    [source, destination]: [Instruction; 2],
    ends: Ends,
) -> Place {
    let mut other = ends.whole;
    for port in TUNNELS.into_iter().chain(target_ports.iter().copied().map(u32::from)) {
        other = code.branch(codes::IF_EQUAL, port, ends.nothing, other);
    }
    let tested = code.put(&[destination]);
    code.branch(codes::IF_AT_LEAST, FIRST_SOURCE_PORT.into(), ends.nothing, tested);
    code.put(&[source])
}
