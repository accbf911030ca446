//! Tests whether a frame with our mark can be our copy, or a tunnel packet around one.
//!
//! A tunnel device of the kernel keeps the mark of the packet that it encapsulates
//! (`skb_scrub_packet` of `net/core/skbuff.c` clears it between network namespaces only). Other
//! programs may send with the same mark; their frames are accepted and counted like any frame.
//!
//! ```text
//! IP in IP, 6in4, GRE, ESP, AH, L2TPv3            -> ours
//! UDP from a source port of copies                -> ours
//! UDP to the port of a tunnel or of a target      -> ours
//! later fragments of UDP over IPv4                -> ours (they have no ports)
//! all others                                      -> not ours
//! ```
//!
//! The test supports one VLAN tag and IPv4 options, but no IPv6 extension headers.

use super::layout::{ETHER_TYPE, TUNNEL_PORTS, UDP};
use super::program_builder::{
    ExitLabels, Instruction, Label, ProgramBuilder, emit_min_len_test, load_byte, load_half,
    opcodes,
};
use crate::dataplane::FIRST_SOURCE_PORT;
use crate::dataplane::kernel::TUNNEL_PROTOCOLS;

/// 802.1Q and 802.1ad.
const TAGS: [u32; 2] = [0x8100, 0x88a8];
const TAG_LEN: u32 = 4;

/// Offsets of the protocol and the fragment offset in an IPv4 header, and its minimum length.
const IPV4_PROTOCOL: u32 = 9;
const IPV4_FRAGMENT: u32 = 6;
const IPV4_LEN: u32 = 20;
/// The same for IPv6.
const IPV6_NEXT_HEADER: u32 = 6;
const IPV6_LEN: u32 = 40;
const PORTS_LEN: u32 = 4;

/// Emits the test of a frame with our mark: it continues at `exits.reject` if the frame can be our
/// copy and at `exits.accept` if not.
pub(super) fn emit_own_copy_test(
    builder: &mut ProgramBuilder,
    target_ports: &[u16],
    exits: ExitLabels,
) -> Label {
    let tagged = emit_ether_type(builder, TAG_LEN, (target_ports, exits.accept), exits);
    let mut untyped = exits.accept;
    for tag in TAGS {
        untyped = builder.branch(opcodes::IF_EQUAL, tag, tagged, untyped);
    }
    let first = emit_ether_type(builder, 0, (target_ports, untyped), exits);
    emit_min_len_test(builder, ETHER_TYPE + TAG_LEN + 2, first, exits.accept)
}

/// Emits the test of the EtherType that follows `tags_len` bytes of VLAN tags. Types other than
/// IPv4 and IPv6 continue at `other`.
fn emit_ether_type(
    builder: &mut ProgramBuilder,
    tags_len: u32,
    (target_ports, other): (&[u16], Label),
    exits: ExitLabels,
) -> Label {
    let ip_offset = ETHER_TYPE + 2 + tags_len;
    let ipv6 = emit_ipv6(builder, ip_offset, target_ports, exits);
    let ipv4 = emit_ipv4(builder, ip_offset, target_ports, exits);
    let not_ipv4 = builder.branch(opcodes::IF_EQUAL, 0x86dd, ipv6, other);
    builder.branch(opcodes::IF_EQUAL, 0x0800, ipv4, not_ipv4);
    builder.prepend(&[load_half(ETHER_TYPE + tags_len)])
}

fn emit_ipv4(
    builder: &mut ProgramBuilder,
    ip_offset: u32,
    target_ports: &[u16],
    exits: ExitLabels,
) -> Label {
    let load = |offset| Instruction::new(opcodes::LOAD_HALF_AT_X, ip_offset + offset);
    emit_ports(builder, target_ports, [load(0), load(2)], exits);
    let header_len = Instruction::new(opcodes::LOAD_X_HEADER_LEN, ip_offset);
    let ports = builder.prepend(&[header_len]);
    builder.branch(opcodes::IF_AT_LEAST_X, 0, ports, exits.accept);
    let first = builder.prepend(&[
        header_len,
        Instruction::new(opcodes::COPY_FROM_X, 0),
        Instruction::new(opcodes::ADD, ip_offset + PORTS_LEN),
        Instruction::new(opcodes::COPY_TO_X, 0),
        Instruction::new(opcodes::LOAD_LEN, 0),
    ]);
    builder.branch(opcodes::IF_ANY_BIT, 0x1fff, exits.reject, first);
    let udp = builder.prepend(&[load_half(ip_offset + IPV4_FRAGMENT)]);
    let protocol = emit_protocol(builder, ip_offset + IPV4_PROTOCOL, udp, exits);
    emit_min_len_test(builder, ip_offset + IPV4_LEN, protocol, exits.accept)
}

fn emit_ipv6(
    builder: &mut ProgramBuilder,
    ip_offset: u32,
    target_ports: &[u16],
    exits: ExitLabels,
) -> Label {
    let ports = [load_half(ip_offset + IPV6_LEN), load_half(ip_offset + IPV6_LEN + 2)];
    let ports = emit_ports(builder, target_ports, ports, exits);
    let udp = emit_min_len_test(builder, ip_offset + IPV6_LEN + PORTS_LEN, ports, exits.accept);
    let protocol = emit_protocol(builder, ip_offset + IPV6_NEXT_HEADER, udp, exits);
    emit_min_len_test(builder, ip_offset + IPV6_LEN, protocol, exits.accept)
}

fn emit_protocol(
    builder: &mut ProgramBuilder,
    protocol_offset: u32,
    udp: Label,
    exits: ExitLabels,
) -> Label {
    builder.branch(opcodes::IF_EQUAL, UDP, udp, exits.accept);
    for protocol in TUNNEL_PROTOCOLS {
        let other = builder.current_label();
        builder.branch(opcodes::IF_EQUAL, protocol, exits.reject, other);
    }
    builder.prepend(&[load_byte(protocol_offset)])
}

/// Emits the tests of the UDP ports that these instructions load.
fn emit_ports(
    builder: &mut ProgramBuilder,
    target_ports: &[u16],
    [source, destination]: [Instruction; 2],
    exits: ExitLabels,
) -> Label {
    let mut other = exits.accept;
    for port in TUNNEL_PORTS.into_iter().chain(target_ports.iter().copied().map(u32::from)) {
        other = builder.branch(opcodes::IF_EQUAL, port, exits.reject, other);
    }
    let tested = builder.prepend(&[destination]);
    builder.branch(opcodes::IF_AT_LEAST, FIRST_SOURCE_PORT.into(), exits.reject, tested);
    builder.prepend(&[source])
}
