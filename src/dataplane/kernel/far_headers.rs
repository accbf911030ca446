//! The outer headers of IPv6 and GENEVE: what the tap and the encapsulator write into them.
//!
//! The programs write into the header in the context, and the encapsulator copies it in front of
//! the frame. All fields are overwritten for each frame, so segments of one clone share a context.

use super::context::{self as ctx, HeaderKind};
use super::frame_sum::{emit_fold, emit_frame_sum};
use super::hash::emit_port;
use super::stack::HASH;
use crate::bpf::{Alu, Assembler, Condition, FunctionId, Label, Register, Register::*, Size};

/// Where the first IP header begins.
pub(super) const OUTER: i16 = 14;
/// Where the IP header in GENEVE begins.
pub(super) const IN_GENEVE_IPV4: i16 = 82;
pub(super) const IN_GENEVE_IPV6: i16 = 102;
/// The lengths of the headers.
pub(super) const VXLAN_OVER_IPV6_LEN: i16 = 70;
const GENEVE_OVER_IPV4_LEN: i32 = 118;
pub(super) const GENEVE_OVER_IPV6_LEN: i16 = 158;

/// The length of the UDP and VXLAN headers.
const VXLAN: i32 = 16;
/// The length of the UDP and GENEVE headers and of all headers in GENEVE.
const GENEVE_IPV4: i32 = 8 + 40 + 20 + VXLAN;
const GENEVE_IPV6: i32 = 8 + 40 + 40 + VXLAN;
/// The last option of GENEVE ends where the IP header in it begins.
const COOKIE_LEN: i16 = 4;

/// An IP header, and the UDP header after it.
#[derive(Debug, Clone, Copy)]
struct Packet {
    /// Where it begins in the outer headers.
    start: i16,
    /// The length of the UDP datagram without the inner frame.
    udp_len: i32,
    /// Where the context has the sum of the words that do not change, 16 bits.
    sum: i16,
}

/// Emits the fields that depend on the flow, for every kind but VXLAN over IPv4. The context is at
/// R9.
pub(super) fn emit_flow_fields(code: &mut Assembler) {
    let (geneve_ipv4, geneve_ipv6, end) = (code.label(), code.label(), code.label());
    code.load(Size::Word, R2, R9, ctx::KIND);
    code.jump_if(Condition::Equal, R2, number(HeaderKind::GeneveOverIpv4), geneve_ipv4);
    code.jump_if(Condition::Equal, R2, number(HeaderKind::GeneveOverIpv6), geneve_ipv6);
    emit_port(code, OUTER + 40);
    code.jump(end);
    code.place(geneve_ipv4);
    emit_port(code, OUTER + 20);
    emit_port(code, IN_GENEVE_IPV4 + 20);
    emit_cookie(code, IN_GENEVE_IPV4);
    code.jump(end);
    code.place(geneve_ipv6);
    emit_port(code, OUTER + 40);
    emit_port(code, IN_GENEVE_IPV6 + 40);
    emit_cookie(code, IN_GENEVE_IPV6);
    code.place(end);
}

/// Stores the cookie of the flow: 7 bits that the source port has too, and 16 more.
fn emit_cookie(code: &mut Assembler, end: i16) {
    code.load(Size::Double, R1, R10, HASH);
    code.set(R2, R1);
    code.alu(Alu::ShiftRight, R1, 57);
    code.alu(Alu::ShiftLeft, R1, 16);
    code.alu(Alu::And, R2, 0xffff);
    code.alu(Alu::Or, R1, R2);
    code.to_big_endian(R1, Size::Word);
    code.store(Size::Word, R9, ctx::HEADER + end - COOKIE_LEN, R1);
}

/// Prepends the headers of every kind but VXLAN over IPv4. The context is at R7, and the length of
/// the inner frame in R8.
pub(super) fn emit_far_headers(code: &mut Assembler, failed: Label) {
    let (geneve_ipv4, geneve_ipv6, ready) = (code.label(), code.label(), code.label());
    let outer = |udp_len| Packet { start: OUTER, udp_len, sum: ctx::SUM };
    let in_geneve = |start| Packet { start, udp_len: VXLAN, sum: ctx::SUM + 2 };
    code.jump_if(Condition::Greater, R8, 0xffff, failed);
    code.load(Size::Word, R1, R7, ctx::KIND);
    code.jump_if(Condition::Equal, R1, number(HeaderKind::GeneveOverIpv4), geneve_ipv4);
    emit_frame_sum(code, failed);
    code.load(Size::Word, R1, R7, ctx::KIND);
    code.jump_if(Condition::Equal, R1, number(HeaderKind::GeneveOverIpv6), geneve_ipv6);
    emit_ipv6(code, outer(VXLAN));
    code.set(R9, i32::from(VXLAN_OVER_IPV6_LEN));
    code.jump(ready);
    code.place(geneve_ipv4);
    emit_ipv4(code, outer(GENEVE_IPV4));
    emit_ipv4(code, in_geneve(IN_GENEVE_IPV4));
    code.set(R9, GENEVE_OVER_IPV4_LEN);
    code.jump(ready);
    code.place(geneve_ipv6);
    emit_ipv6(code, in_geneve(IN_GENEVE_IPV6));
    // The sum of the packet in GENEVE is constant, see `fixed_sums`; the cookie is not.
    code.load(Size::Word, R9, R7, ctx::HEADER + IN_GENEVE_IPV6 - COOKIE_LEN);
    code.to_big_endian(R9, Size::Word);
    emit_ipv6(code, outer(GENEVE_IPV6));
    code.set(R9, i32::from(GENEVE_OVER_IPV6_LEN));
    code.place(ready);
    emit_prepend(code, failed);
}

/// Copies the header of the context, whose length is in R9, in front of the frame.
fn emit_prepend(code: &mut Assembler, failed: Label) {
    code.set(R1, R6);
    code.set(R2, R9);
    code.set(R3, 0);
    code.call(FunctionId::SkbChangeHead);
    code.jump_if(Condition::NotEqual, R0, 0, failed);
    code.set(R1, R6);
    code.set(R2, 0);
    code.set(R3, R7);
    code.alu(Alu::Add, R3, i32::from(ctx::HEADER));
    code.set(R4, R9);
    code.set(R5, 0);
    code.call(FunctionId::SkbStoreBytes);
    code.jump_if(Condition::NotEqual, R0, 0, failed);
}

/// Writes the lengths and the checksum of the IPv4 header. The UDP checksum stays zero.
fn emit_ipv4(code: &mut Assembler, packet: Packet) {
    code.set(R4, R8);
    code.alu(Alu::Add, R4, packet.udp_len);
    store_field(code, R4, packet.start + 24);
    code.alu(Alu::Add, R4, 20);
    store_field(code, R4, packet.start + 2);
    code.load(Size::Half, R5, R7, packet.sum);
    code.alu(Alu::Add, R5, R4);
    emit_fold(code, R5);
    code.alu(Alu::Xor, R5, 0xffff);
    store_field(code, R5, packet.start + 10);
}

/// Writes the lengths and the UDP checksum. R9 has the sum of what follows the headers.
fn emit_ipv6(code: &mut Assembler, packet: Packet) {
    let not_zero = code.label();
    code.set(R4, R8);
    code.alu(Alu::Add, R4, packet.udp_len);
    store_field(code, R4, packet.start + 4);
    store_field(code, R4, packet.start + 44);
    code.load(Size::Half, R5, R7, packet.sum);
    // The length is in the pseudo-header and in the UDP header.
    code.alu(Alu::Add, R5, R4);
    code.alu(Alu::Add, R5, R4);
    code.load(Size::Half, R4, R7, ctx::HEADER + packet.start + 40);
    code.to_big_endian(R4, Size::Half);
    code.alu(Alu::Add, R5, R4);
    code.alu(Alu::Add, R5, R9);
    emit_fold(code, R5);
    code.alu(Alu::Xor, R5, 0xffff);
    // "If the computed checksum is zero, it is transmitted as all ones" (RFC 768).
    code.jump_if(Condition::NotEqual, R5, 0, not_zero);
    code.set(R5, 0xffff);
    code.place(not_zero);
    store_field(code, R5, packet.start + 46);
}

/// Stores the lower 16 bits in network order in the header of the context. Changes R0.
fn store_field(code: &mut Assembler, value: Register, offset: i16) {
    code.set(R0, value);
    code.to_big_endian(R0, Size::Half);
    code.store(Size::Half, R7, ctx::HEADER + offset, R0);
}

/// A program that takes the first eight bytes of a frame as hash, and writes the fields that depend
/// on it.
#[cfg(test)]
pub(crate) fn flow_fields_program() -> crate::bpf::Code {
    use super::{layout::maps, stack};
    let mut code = Assembler::new();
    let end = code.label();
    code.set(R2, 0);
    code.set(R3, R10);
    code.alu(Alu::Add, R3, i32::from(HASH));
    code.set(R4, 8);
    code.call(FunctionId::SkbLoadBytes);
    code.store(Size::Word, R10, stack::ZERO, 0);
    stack::emit_lookup(&mut code, maps::CONTEXT, stack::ZERO, end);
    code.set(R9, R0);
    emit_flow_fields(&mut code);
    code.place(end);
    code.set(R0, 0);
    code.exit();
    code.finish().unwrap()
}

fn number(kind: HeaderKind) -> i32 {
    i32::from(kind.number())
}
