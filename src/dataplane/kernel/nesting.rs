//! The search for copies inside a frame as a function of a program, as in `dataplane::nesting`.

use super::known_targets::emit_own_copy;
use super::layout::{key, skb};
use super::outcome::reason_code;
use super::parsed;
use crate::bpf::Register::{R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10};
use crate::bpf::{Alu, Assembler, Condition, FunctionId, FunctionKind, Label, Size};
use crate::dataplane::known_targets::KnownTargets;
use crate::dataplane::{FIRST_SOURCE_PORT, FlowKey, NotMirrored};

const MAX_LAYERS: i32 = 8;
const IPV4: i32 = 0x0800;
const IPV6: i32 = 0x86dd;
/// The types of ICMP errors and of ICMPv6 errors, as bits.
const ICMP_ERRORS: i32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 11 | 1 << 12;
const ICMPV6_ERRORS: i32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4;

/// Bits of R8: the layer is inside a copy, or inside an ICMP error.
const IN_COPY: i32 = 1;
const QUOTED: i32 = 2;

/// The first eight bytes of a header, on the stack of the function.
const BUFFER: i16 = -8;
/// The state of the parser, on the stack of the function.
const STATE: i16 = BUFFER - parsed::LEN;

#[derive(Debug, Clone, Copy)]
struct Exits {
    next: Label,
    none: Label,
    nested: Label,
    /// Nested if the layer is inside a copy.
    nested_in_copy: Label,
    own: Label,
    /// There are too few bytes to classify the layer.
    undecided: Label,
    geneve: Label,
}

/// Emits the function. Its entry is at the label; `parser` is that of the general parser.
///
/// R1 is the `__sk_buff`. R0 becomes zero if the frame may be mirrored, otherwise [`reason_code`] of
/// [`NotMirrored::OwnTraffic`] or [`NotMirrored::NestedCopy`]. The function is global, because the
/// verifier needs more than 100,000 steps for it. It has 64 bytes of stack, and the parser that it
/// calls 24. Of a super-frame, it tests the first segment only, and takes all bytes of the
/// super-frame for that segment. `check_targets` must have accepted the targets.
pub(crate) fn emit_nesting_test(
    code: &mut Assembler,
    entry: Label,
    parser: Label,
    known: &KnownTargets,
) {
    let exits = Exits {
        next: code.label(),
        none: code.label(),
        nested: code.label(),
        nested_in_copy: code.label(),
        own: code.label(),
        undecided: code.label(),
        geneve: code.label(),
    };
    code.begin_function(entry, FunctionKind::Global);
    code.set(R6, R1);
    code.set(R7, R10);
    code.alu(Alu::Add, R7, i32::from(STATE));
    code.load(Size::Word, R0, R6, skb::LEN);
    code.store(Size::Word, R7, parsed::OFFSET, 0);
    code.store(Size::Word, R7, parsed::END, R0);
    code.store(Size::Half, R7, parsed::ETHER_TYPE, parsed::ETHERNET);
    code.set(R8, 0);
    code.set(R9, 0);
    code.place(exits.next);
    code.jump_if(Condition::AtLeast, R9, MAX_LAYERS, exits.nested);
    code.alu(Alu::Add, R9, 1);
    code.set(R1, R6);
    code.set(R2, R7);
    code.call_function(parser);
    code.jump_if(Condition::Equal, R0, reason_code(NotMirrored::NotIp), exits.none);
    code.jump_if(Condition::NotEqual, R0, 0, exits.nested_in_copy);
    emit_own_copy(code, known, exits.own);
    emit_layer(code, known, exits);
    emit_exits(code, !known.targets().is_empty(), exits);
}

/// Emits the results. `has_targets` says whether a packet can be an own copy: the verifier rejects
/// code that nothing reaches.
fn emit_exits(code: &mut Assembler, has_targets: bool, exits: Exits) {
    let end = code.label();
    if has_targets {
        code.place(exits.own);
        code.set(R0, reason_code(NotMirrored::OwnTraffic));
        code.jump_if(Condition::AnyBit, R8, IN_COPY, exits.nested);
        code.jump(end);
    }
    code.place(exits.undecided);
    code.load(Size::Byte, R1, R7, parsed::IS_INCOMPLETE);
    code.jump_if(Condition::Equal, R1, 0, exits.none);
    code.place(exits.nested_in_copy);
    code.jump_if(Condition::AnyBit, R8, IN_COPY, exits.nested);
    code.place(exits.none);
    code.set(R0, 0);
    code.jump(end);
    code.place(exits.nested);
    code.set(R0, reason_code(NotMirrored::NestedCopy));
    code.place(end);
    code.exit();
}

/// Continues at `short` if fewer than `len` bytes are left in the upper layer; leaves its offset in
/// R2 and the end in R3.
fn emit_room(code: &mut Assembler, len: i32, short: Label) {
    code.load(Size::Word, R2, R7, parsed::OFFSET);
    code.load(Size::Word, R3, R7, parsed::END);
    code.set(R4, R2);
    code.alu(Alu::Add, R4, len);
    code.jump_if(Condition::Greater, R4, R3, short);
}

/// Copies bytes at R2 plus an offset to the buffer.
fn emit_copy(code: &mut Assembler, offset: i32, len: i32, exits: Exits) {
    code.set(R1, R6);
    code.alu(Alu::Add, R2, offset);
    code.set(R3, R10);
    code.alu(Alu::Add, R3, i32::from(BUFFER));
    code.set(R4, len);
    code.call(FunctionId::SkbLoadBytes);
    code.jump_if(Condition::NotEqual, R0, 0, exits.undecided);
}

/// Continues with the packet that begins R1 bytes after the offset; its EtherType is in R5.
fn emit_tunnel(code: &mut Assembler, exits: Exits) {
    code.load(Size::Word, R2, R7, parsed::OFFSET);
    code.load(Size::Word, R3, R7, parsed::END);
    code.alu(Alu::Add, R2, R1);
    code.jump_if(Condition::Greater, R2, R3, exits.undecided);
    code.store(Size::Word, R7, parsed::OFFSET, R2);
    code.store(Size::Half, R7, parsed::ETHER_TYPE, R5);
    code.jump(exits.next);
}

/// Classifies the layer by the parsed key.
fn emit_layer(code: &mut Assembler, known: &KnownTargets, exits: Exits) {
    let (has_bytes, ipv4, ipv6) = (code.label(), code.label(), code.label());
    let (gre, udp, icmp, icmpv6) = (code.label(), code.label(), code.label(), code.label());
    code.load(Size::Half, R1, R7, parsed::KEY + key::PROTOCOL);
    code.load(Size::Byte, R2, R7, parsed::HAS_BYTES);
    code.jump_if(Condition::NotEqual, R2, 0, has_bytes);
    code.jump_if(Condition::Equal, R1, i32::from(FlowKey::UNKNOWN_PROTOCOL), exits.undecided);
    code.jump(exits.none);
    code.place(has_bytes);
    for (protocol, label) in [(4, ipv4), (41, ipv6), (47, gre), (17, udp), (1, icmp), (58, icmpv6)]
    {
        code.jump_if(Condition::Equal, R1, protocol, label);
    }
    code.jump(exits.none);
    for (label, ether_type) in [(ipv4, IPV4), (ipv6, IPV6)] {
        code.place(label);
        code.set(R1, 0);
        code.set(R5, ether_type);
        emit_tunnel(code, exits);
    }
    for (label, is_ipv4, errors, ether_type) in
        [(icmp, 1, ICMP_ERRORS, IPV4), (icmpv6, 0, ICMPV6_ERRORS, IPV6)]
    {
        code.place(label);
        code.load(Size::Byte, R1, R7, parsed::KEY + key::IS_IPV4);
        code.jump_if(Condition::NotEqual, R1, is_ipv4, exits.none);
        emit_icmp(code, (errors, ether_type), exits);
    }
    code.place(gre);
    emit_gre(code, exits);
    code.place(udp);
    emit_udp(code, known, exits);
    code.place(exits.geneve);
    emit_geneve(code, exits);
}

fn emit_icmp(code: &mut Assembler, (errors, ether_type): (i32, i32), exits: Exits) {
    emit_room(code, 1, exits.undecided);
    emit_copy(code, 0, 1, exits);
    code.load(Size::Byte, R1, R10, BUFFER);
    code.jump_if(Condition::Greater, R1, 15, exits.none);
    code.set(R2, errors);
    code.alu(Alu::ShiftRight, R2, R1);
    code.alu(Alu::And, R2, 1);
    code.jump_if(Condition::Equal, R2, 0, exits.none);
    emit_room(code, 8, exits.undecided);
    code.alu(Alu::Or, R8, QUOTED);
    code.set(R1, 8);
    code.set(R5, ether_type);
    emit_tunnel(code, exits);
}

fn emit_gre(code: &mut Assembler, exits: Exits) {
    emit_room(code, 4, exits.undecided);
    emit_copy(code, 0, 4, exits);
    code.load(Size::Byte, R2, R10, BUFFER + 1);
    code.jump_if(Condition::AnyBit, R2, 7, exits.none);
    code.load(Size::Byte, R2, R10, BUFFER);
    code.jump_if(Condition::AnyBit, R2, 0x40, exits.none);
    // Each of the flags 0x80, 0x20 and 0x10 adds four bytes.
    code.set(R1, 4);
    for shift in [7, 5, 4] {
        code.set(R3, R2);
        code.alu(Alu::ShiftRight, R3, shift);
        code.alu(Alu::And, R3, 1);
        code.alu(Alu::ShiftLeft, R3, 2);
        code.alu(Alu::Add, R1, R3);
    }
    code.load(Size::Half, R5, R10, BUFFER + 2);
    code.to_big_endian(R5, Size::Half);
    emit_tunnel(code, exits);
}

/// R1 becomes the source port, R5 the destination port.
fn emit_load_ports(code: &mut Assembler) {
    code.load(Size::Half, R1, R7, parsed::KEY + key::SOURCE_PORT);
    code.load(Size::Half, R5, R7, parsed::KEY + key::DESTINATION_PORT);
}

fn emit_udp(code: &mut Assembler, known: &KnownTargets, exits: Exits) {
    let (short, copy, not_copy, vxlan) = (code.label(), code.label(), code.label(), code.label());
    let first_port = i32::from(FIRST_SOURCE_PORT);
    code.load(Size::Byte, R1, R7, parsed::KEY + key::HAS_PORTS);
    code.jump_if(Condition::Equal, R1, 0, exits.undecided);
    emit_room(code, 16, short);
    emit_copy(code, 8, 8, exits);
    emit_load_ports(code);
    code.jump_if(Condition::Less, R1, first_port, not_copy);
    code.load(Size::Double, R2, R10, BUFFER);
    code.set_u64(R3, u64::from_le_bytes([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0xff]));
    code.alu(Alu::And, R3, R2);
    code.jump_if(Condition::Equal, R3, 8, copy);
    for start in [[8, 0, 0x08, 0x00, 0, 0, 0, 0], [8, 0, 0x86, 0xdd, 0, 0, 0, 0]] {
        code.set_u64(R3, u64::from_le_bytes(start));
        code.jump_if(Condition::Equal, R2, R3, exits.geneve);
    }
    code.place(not_copy);
    for port in known.ports().geneve() {
        code.jump_if(Condition::Equal, R5, i32::from(*port), exits.geneve);
    }
    for port in known.ports().vxlan() {
        code.jump_if(Condition::Equal, R5, i32::from(*port), vxlan);
    }
    code.jump(exits.none);
    code.place(copy);
    code.jump_if(Condition::NotEqual, R8, 0, exits.nested);
    code.set(R8, IN_COPY);
    code.place(vxlan);
    code.load(Size::Byte, R2, R10, BUFFER);
    code.alu(Alu::And, R2, 8);
    code.jump_if(Condition::Equal, R2, 0, exits.none);
    code.set(R1, 16);
    code.set(R5, parsed::ETHERNET);
    emit_tunnel(code, exits);
    code.place(short);
    emit_short_udp(code, known, exits);
}

/// A packet that ends before the header of a tunnel: nested if it is incomplete and both ports are
/// those of a copy, because its content cannot be parsed.
fn emit_short_udp(code: &mut Assembler, known: &KnownTargets, exits: Exits) {
    let tunnel = code.label();
    emit_load_ports(code);
    for port in known.ports().iter() {
        code.jump_if(Condition::Equal, R5, i32::from(port), tunnel);
    }
    code.jump_if(Condition::AtLeast, R1, i32::from(FIRST_SOURCE_PORT), exits.undecided);
    code.jump(exits.none);
    code.place(tunnel);
    code.jump_if(Condition::Less, R1, i32::from(FIRST_SOURCE_PORT), exits.undecided);
    code.load(Size::Byte, R2, R7, parsed::IS_INCOMPLETE);
    code.jump_if(Condition::NotEqual, R2, 0, exits.nested);
    code.jump(exits.undecided);
}

fn emit_geneve(code: &mut Assembler, exits: Exits) {
    code.load(Size::Byte, R1, R10, BUFFER);
    code.jump_if(Condition::AnyBit, R1, 0xc0, exits.none);
    code.alu(Alu::ShiftLeft, R1, 2);
    code.alu(Alu::Add, R1, 16);
    code.load(Size::Half, R5, R10, BUFFER + 2);
    code.to_big_endian(R5, Size::Half);
    emit_tunnel(code, exits);
}
