//! The general header parser as a function of a program.
//!
//! It gives the results of `dataplane::headers` for a frame or a packet that begins at any offset
//! of the `__sk_buff`: the flow key, and the part after the IP header. It copies headers to its
//! stack with `bpf_skb_load_bytes`, so frames in several pieces need no preparation.
//!
//! The verifier accepts bounded loops only. A frame with more VLAN tags than [`MAX_TAGS`] or more
//! IPv6 extension headers than [`MAX_EXTENSIONS`] is unparsable; `headers` has no limits.

use super::layout::key;
use super::outcome::reason_code;
use super::parsed;
use crate::bpf::Register::{R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10};
use crate::bpf::{Alu, Assembler, Condition, FunctionId, FunctionKind, Label, Register, Size};
use crate::dataplane::{FlowKey, NotMirrored};

/// The largest number of VLAN tags in the bytes of a frame.
pub(crate) const MAX_TAGS: i32 = 16;
/// The largest number of IPv6 extension headers.
pub(crate) const MAX_EXTENSIONS: i32 = 16;

const ETHERTYPE_IPV4: i32 = 0x0800;
const ETHERTYPE_IPV6: i32 = 0x86dd;
/// 802.1Q, 802.1ad and the older one.
const TAGS: [i32; 3] = [0x8100, 0x88a8, 0x9100];

const TCP: i32 = 6;
const UDP: i32 = 17;
const FRAGMENT: i32 = 44;
const AUTHENTICATION: i32 = 51;
/// The protocol numbers of extension headers, as bits.
const EXTENSION_BITS: u64 = 1 | 1 << 43 | 1 << FRAGMENT | 1 << AUTHENTICATION | 1 << 60;
const UNKNOWN_PROTOCOL: u16 = FlowKey::UNKNOWN_PROTOCOL;

/// The buffer for headers on the stack of the function.
const BUFFER: i16 = -24;

/// The places that the parts of the function continue at.
#[derive(Debug, Clone, Copy)]
struct Exits {
    ipv4: Label,
    ipv6: Label,
    /// The transport header begins at R8 and ends at the end in the state.
    transport: Label,
    /// The key is complete, and the packet has no transport header.
    no_transport: Label,
    not_ip: Label,
    unparsable: Label,
}

/// Emits the function. Its entry is at the label.
///
/// R1 is the `__sk_buff`, R2 the address of a state on the stack of the caller: its inputs and
/// outputs are in [`parsed`]. R0 becomes zero if the key is valid; otherwise it is
/// [`reason_code`] of [`NotMirrored::NotIp`] or [`NotMirrored::Unparsable`], and the outputs are
/// undefined. The function has 24 bytes of stack.
///
/// R6 is the `__sk_buff`, R7 the state, R8 the offset of the next header, R9 counts headers.
pub(crate) fn emit_parser(code: &mut Assembler, entry: Label) {
    let exits = Exits {
        ipv4: code.label(),
        ipv6: code.label(),
        transport: code.label(),
        no_transport: code.label(),
        not_ip: code.label(),
        unparsable: code.label(),
    };
    code.begin_function(entry, FunctionKind::Local);
    code.set(R6, R1);
    code.set(R7, R2);
    code.load(Size::Word, R8, R7, parsed::OFFSET);
    for offset in (0..key::LEN).step_by(8) {
        code.store(Size::Double, R7, parsed::KEY + offset, 0);
    }
    emit_ether_types(code, exits);
    emit_ipv4(code, exits);
    emit_ipv6(code, exits);
    emit_transport(code, exits);
    for (label, reason) in
        [(exits.not_ip, NotMirrored::NotIp), (exits.unparsable, NotMirrored::Unparsable)]
    {
        code.place(label);
        code.set(R0, reason_code(reason));
        code.exit();
    }
}

/// Continues at `short` if fewer than `len` bytes follow R8. Changes R2 and R3.
fn emit_room(code: &mut Assembler, len: i32, short: Label) {
    code.set(R2, R8);
    code.alu(Alu::Add, R2, len);
    code.load(Size::Word, R3, R7, parsed::END);
    code.jump_if(Condition::Greater, R2, R3, short);
}

/// Copies `len` bytes at `R8 + offset` to `to + to_offset`. Changes R0 to R5.
fn emit_copy(
    code: &mut Assembler,
    (offset, len): (i32, i32),
    (to, to_offset): (Register, i16),
    unparsable: Label,
) {
    code.set(R1, R6);
    code.set(R2, R8);
    code.alu(Alu::Add, R2, offset);
    code.set(R3, to);
    code.alu(Alu::Add, R3, i32::from(to_offset));
    code.set(R4, len);
    code.call(FunctionId::SkbLoadBytes);
    code.jump_if(Condition::NotEqual, R0, 0, unparsable);
}

/// Loads a number of two bytes in network order from the buffer.
fn emit_load_half(code: &mut Assembler, register: Register, offset: i16) {
    code.load(Size::Half, register, R10, BUFFER + offset);
    code.to_big_endian(register, Size::Half);
}

/// Reads the EtherType of a frame, and skips VLAN tags.
fn emit_ether_types(code: &mut Assembler, exits: Exits) {
    let (untagged, tag) = (code.label(), code.label());
    code.set(R9, 0);
    code.load(Size::Half, R1, R7, parsed::ETHER_TYPE);
    code.jump_if(Condition::NotEqual, R1, parsed::ETHERNET, untagged);
    emit_room(code, 14, exits.unparsable);
    emit_copy(code, (12, 2), (R10, BUFFER), exits.unparsable);
    code.alu(Alu::Add, R8, 14);
    emit_load_half(code, R1, 0);
    code.place(untagged);
    code.jump_if(Condition::Equal, R1, ETHERTYPE_IPV4, exits.ipv4);
    code.jump_if(Condition::Equal, R1, ETHERTYPE_IPV6, exits.ipv6);
    for tpid in TAGS {
        code.jump_if(Condition::Equal, R1, tpid, tag);
    }
    code.jump(exits.not_ip);
    code.place(tag);
    code.jump_if(Condition::AtLeast, R9, MAX_TAGS, exits.unparsable);
    code.alu(Alu::Add, R9, 1);
    emit_room(code, 4, exits.unparsable);
    emit_copy(code, (2, 2), (R10, BUFFER), exits.unparsable);
    code.alu(Alu::Add, R8, 4);
    emit_load_half(code, R1, 0);
    code.jump(untagged);
}

/// Continues at `wrong` unless the upper half of the first byte in the buffer is the version, and
/// leaves the byte in R1.
fn emit_version(code: &mut Assembler, version: i32, wrong: Label) {
    code.load(Size::Byte, R1, R10, BUFFER);
    code.set(R2, R1);
    code.alu(Alu::ShiftRight, R2, 4);
    code.jump_if(Condition::NotEqual, R2, version, wrong);
}

fn emit_ipv4(code: &mut Assembler, exits: Exits) {
    code.place(exits.ipv4);
    emit_room(code, 20, exits.unparsable);
    emit_copy(code, (0, 20), (R10, BUFFER), exits.unparsable);
    emit_version(code, 4, exits.unparsable);
    code.alu(Alu::And, R1, 0x0f);
    code.alu(Alu::ShiftLeft, R1, 2);
    code.jump_if(Condition::Less, R1, 20, exits.unparsable);
    for (from, to) in [(12, key::SOURCE), (16, key::DESTINATION)] {
        code.load(Size::Word, R2, R10, BUFFER + from);
        code.store(Size::Word, R7, parsed::KEY + to, R2);
    }
    code.load(Size::Byte, R2, R10, BUFFER + 9);
    code.store(Size::Half, R7, parsed::KEY + key::PROTOCOL, R2);
    code.store(Size::Byte, R7, parsed::KEY + key::IS_IPV4, 1);
    // R1 is the length of the header, R2 the total length, R3 the captured length.
    emit_load_half(code, R2, 2);
    code.load(Size::Word, R3, R7, parsed::END);
    code.alu(Alu::Subtract, R3, R8);
    let (incomplete, complete) = (code.label(), code.label());
    code.set(R4, 0);
    code.jump_if(Condition::Less, R2, R1, incomplete);
    code.jump_if(Condition::AtMost, R2, R3, complete);
    code.place(incomplete);
    code.set(R4, 1);
    code.set(R2, R3);
    code.place(complete);
    code.store(Size::Byte, R7, parsed::IS_INCOMPLETE, R4);
    emit_load_half(code, R5, 6);
    code.jump_if(Condition::AnyBit, R5, 0x1fff, exits.no_transport);
    // If the options are truncated, the transport header begins and ends where the packet ends.
    code.alu(Alu::Add, R2, R8);
    code.store(Size::Word, R7, parsed::END, R2);
    code.alu(Alu::Add, R8, R1);
    code.jump_if(Condition::AtMost, R8, R2, exits.transport);
    code.set(R8, R2);
    code.jump(exits.transport);
}

fn emit_ipv6(code: &mut Assembler, exits: Exits) {
    code.place(exits.ipv6);
    emit_room(code, 40, exits.unparsable);
    emit_copy(code, (0, 8), (R10, BUFFER), exits.unparsable);
    emit_version(code, 6, exits.unparsable);
    emit_copy(code, (8, 32), (R7, parsed::KEY), exits.unparsable);
    code.load(Size::Byte, R2, R10, BUFFER + 6);
    code.store(Size::Half, R7, parsed::KEY + key::PROTOCOL, R2);
    code.alu(Alu::Add, R8, 40);
    // R2 is the payload length, R3 the captured length.
    emit_load_half(code, R2, 4);
    code.load(Size::Word, R3, R7, parsed::END);
    code.alu(Alu::Subtract, R3, R8);
    let (incomplete, complete) = (code.label(), code.label());
    code.set(R4, 0);
    code.jump_if(Condition::Equal, R2, 0, incomplete);
    code.jump_if(Condition::AtMost, R2, R3, complete);
    code.place(incomplete);
    code.set(R4, 1);
    code.set(R2, R3);
    code.place(complete);
    code.store(Size::Byte, R7, parsed::IS_INCOMPLETE, R4);
    code.alu(Alu::Add, R2, R8);
    code.store(Size::Word, R7, parsed::END, R2);
    emit_extensions(code, exits);
}

/// Continues at `other` unless the protocol in R1 is an extension header. Changes R2.
fn emit_is_extension(code: &mut Assembler, other: Label) {
    code.jump_if(Condition::Greater, R1, 63, other);
    code.set_u64(R2, EXTENSION_BITS);
    code.alu(Alu::ShiftRight, R2, R1);
    code.alu(Alu::And, R2, 1);
    code.jump_if(Condition::Equal, R2, 0, other);
}

/// Skips extension headers. The next header is the protocol in the key.
fn emit_extensions(code: &mut Assembler, exits: Exits) {
    let (cut, later, not_fragment, len_known) =
        (code.label(), code.label(), code.label(), code.label());
    code.set(R9, 0);
    let next = code.here();
    code.load(Size::Half, R1, R7, parsed::KEY + key::PROTOCOL);
    emit_is_extension(code, exits.transport);
    code.jump_if(Condition::AtLeast, R9, MAX_EXTENSIONS, exits.unparsable);
    code.alu(Alu::Add, R9, 1);
    // Each of them has at least eight bytes.
    emit_room(code, 8, cut);
    emit_copy(code, (0, 8), (R10, BUFFER), exits.unparsable);
    code.load(Size::Half, R1, R7, parsed::KEY + key::PROTOCOL);
    code.load(Size::Byte, R2, R10, BUFFER + 1);
    code.jump_if(Condition::NotEqual, R1, FRAGMENT, not_fragment);
    emit_load_half(code, R3, 2);
    code.jump_if(Condition::AnyBit, R3, 0xfff8, later);
    code.set(R2, 8);
    code.jump(len_known);
    code.place(not_fragment);
    // In units of eight bytes, the first eight not counted.
    code.alu(Alu::Add, R2, 1);
    code.alu(Alu::ShiftLeft, R2, 3);
    code.jump_if(Condition::NotEqual, R1, AUTHENTICATION, len_known);
    // In units of four bytes, the first eight not counted: half of it, and four.
    code.alu(Alu::ShiftRight, R2, 1);
    code.alu(Alu::Add, R2, 4);
    code.place(len_known);
    code.alu(Alu::Add, R2, R8);
    code.load(Size::Word, R3, R7, parsed::END);
    code.jump_if(Condition::Greater, R2, R3, cut);
    code.set(R8, R2);
    code.load(Size::Byte, R1, R10, BUFFER);
    code.store(Size::Half, R7, parsed::KEY + key::PROTOCOL, R1);
    code.jump(next);
    // An extension header that a later fragment names is in the first fragment.
    code.place(later);
    code.load(Size::Byte, R1, R10, BUFFER);
    code.store(Size::Half, R7, parsed::KEY + key::PROTOCOL, R1);
    emit_is_extension(code, exits.no_transport);
    code.place(cut);
    code.store(Size::Half, R7, parsed::KEY + key::PROTOCOL, i32::from(UNKNOWN_PROTOCOL));
    code.jump(exits.no_transport);
}

/// Reads the ports of TCP and UDP, and returns.
fn emit_transport(code: &mut Assembler, exits: Exits) {
    let (read, valid) = (code.label(), code.label());
    code.place(exits.no_transport);
    code.store(Size::Byte, R7, parsed::HAS_BYTES, 0);
    code.jump(valid);
    code.place(exits.transport);
    code.store(Size::Byte, R7, parsed::HAS_BYTES, 1);
    code.store(Size::Word, R7, parsed::OFFSET, R8);
    code.load(Size::Half, R1, R7, parsed::KEY + key::PROTOCOL);
    code.jump_if(Condition::Equal, R1, TCP, read);
    code.jump_if(Condition::NotEqual, R1, UDP, valid);
    code.place(read);
    emit_room(code, 4, valid);
    emit_copy(code, (0, 4), (R10, BUFFER), exits.unparsable);
    for (from, to) in [(0, key::SOURCE_PORT), (2, key::DESTINATION_PORT)] {
        emit_load_half(code, R1, from);
        code.store(Size::Half, R7, parsed::KEY + to, R1);
    }
    code.store(Size::Byte, R7, parsed::KEY + key::HAS_PORTS, 1);
    code.place(valid);
    code.set(R0, 0);
    code.exit();
}
