//! The fast path of the parser: TCP, UDP and other protocols over IPv4 without options and over IPv6
//! without extension headers, not tagged, not a later fragment, with all headers in linear memory.
//!
//! All other frames take the general parser, which gives the same keys.

use super::layout::{key, skb};
use super::stack::KEY;
use crate::bpf::{Alu, Assembler, Condition, Label, Register::*, Size};

/// Offsets in an Ethernet frame.
const ETHER_TYPE: i16 = 12;
const IP: i16 = 14;

/// EtherTypes as a little-endian machine loads them.
const IPV4: i32 = 0x0008;
const IPV6: i32 = 0xdd86;
/// The bits of the fragment offset, as a little-endian machine loads them.
const FRAGMENT_OFFSET: i32 = 0xff1f;

const TCP: i32 = 6;
const UDP: i32 = 17;
/// Hop-by-hop, routing, fragment, authentication, destination options.
const EXTENSIONS: [i32; 5] = [0, 43, 44, 51, 60];

/// A packet that states fewer bytes than these has no ports: IPv4 header and ports.
const MIN_IPV4_LEN: i32 = 24;
const PORTS_LEN: i32 = 4;

/// Where parsing continues.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlainExits {
    pub(super) ipv4: Label,
    pub(super) ipv6: Label,
    /// The frame is not plain.
    pub(super) general: Label,
}

/// Emits the fast path. It changes R0 to R5.
pub(super) fn emit_plain_parser(code: &mut Assembler, exits: PlainExits) {
    let ipv6 = code.label();
    let not_ipv4 = code.label();
    code.load(Size::Word, R2, R6, skb::DATA);
    code.load(Size::Word, R3, R6, skb::DATA_END);
    emit_bounds(code, IP + 24, exits.general);
    code.load(Size::Half, R0, R2, ETHER_TYPE);
    code.jump_if(Condition::NotEqual, R0, IPV4, not_ipv4);
    emit_ipv4(code, exits);
    code.place(not_ipv4);
    code.jump_if(Condition::Equal, R0, IPV6, ipv6);
    code.jump(exits.general);
    code.place(ipv6);
    emit_ipv6(code, exits);
}

/// Continues at `exit` if the linear memory has fewer than `len` bytes. Changes R4.
fn emit_bounds(code: &mut Assembler, len: i16, exit: Label) {
    code.set(R4, R2);
    code.alu(Alu::Add, R4, i32::from(len));
    code.jump_if(Condition::Greater, R4, R3, exit);
}

fn emit_ipv4(code: &mut Assembler, exits: PlainExits) {
    code.load(Size::Byte, R0, R2, IP);
    code.jump_if(Condition::NotEqual, R0, 0x45, exits.general);
    code.load(Size::Half, R0, R2, IP + 6);
    code.jump_if(Condition::AnyBit, R0, FRAGMENT_OFFSET, exits.general);
    code.load(Size::Half, R0, R2, IP + 2);
    code.to_big_endian(R0, Size::Half);
    code.jump_if(Condition::Less, R0, MIN_IPV4_LEN, exits.general);
    for (half, address) in [(key::SOURCE, IP + 12), (key::DESTINATION, IP + 16)] {
        code.load(Size::Word, R0, R2, address);
        // The store of eight bytes also clears the four bytes after the address.
        code.store(Size::Double, R10, KEY + half, R0);
        code.store(Size::Double, R10, KEY + half + 8, 0);
    }
    code.load(Size::Byte, R0, R2, IP + 9);
    emit_ports(code, (IP + 20, 1), exits.ipv4);
}

fn emit_ipv6(code: &mut Assembler, exits: PlainExits) {
    emit_bounds(code, IP + 44, exits.general);
    code.load(Size::Byte, R0, R2, IP);
    code.alu(Alu::ShiftRight, R0, 4);
    code.jump_if(Condition::NotEqual, R0, 6, exits.general);
    code.load(Size::Half, R0, R2, IP + 4);
    code.to_big_endian(R0, Size::Half);
    let has_len = code.label();
    code.jump_if(Condition::Equal, R0, 0, has_len);
    code.jump_if(Condition::Less, R0, PORTS_LEN, exits.general);
    code.place(has_len);
    for word in 0..4 {
        code.load(Size::Double, R0, R2, IP + 8 + 8 * word);
        code.store(Size::Double, R10, KEY + key::SOURCE + 8 * word, R0);
    }
    code.load(Size::Byte, R0, R2, IP + 6);
    for extension in EXTENSIONS {
        code.jump_if(Condition::Equal, R0, extension, exits.general);
    }
    emit_ports(code, (IP + 40, 0), exits.ipv6);
}

/// Stores the protocol in R0, the ports at `transport` if the protocol has any, and the family.
fn emit_ports(code: &mut Assembler, (transport, is_ipv4): (i16, i32), exit: Label) {
    let has_ports = code.label();
    code.store(Size::Half, R10, KEY + key::PROTOCOL, R0);
    code.store(Size::Byte, R10, KEY + key::IS_IPV4, is_ipv4);
    code.jump_if(Condition::Equal, R0, TCP, has_ports);
    code.jump_if(Condition::Equal, R0, UDP, has_ports);
    code.store(Size::Word, R10, KEY + key::SOURCE_PORT, 0);
    code.store(Size::Byte, R10, KEY + key::HAS_PORTS, 0);
    code.jump(exit);
    code.place(has_ports);
    for (port, place) in [(0, key::SOURCE_PORT), (2, key::DESTINATION_PORT)] {
        code.load(Size::Half, R0, R2, transport + port);
        code.to_big_endian(R0, Size::Half);
        code.store(Size::Half, R10, KEY + place, R0);
    }
    code.store(Size::Byte, R10, KEY + key::HAS_PORTS, 1);
    code.jump(exit);
}
