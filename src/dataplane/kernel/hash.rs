//! The hash of a flow, as [`flow_hash`](crate::dataplane::flow_hash()) computes it.

use super::context as ctx;
use super::layout::key;
use super::stack::{HASH, KEY};
use crate::bpf::{Alu, Assembler, Register, Register::*, Size};
use crate::dataplane::FIRST_SOURCE_PORT;

/// The multipliers of `mix`.
const MULTIPLIERS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];
/// How far the lower half of an IPv6 address is rotated.
const ROTATION: i32 = 29;

/// Emits `R0 = hash` of the flow key on the stack, which has IPv4 addresses. Changes R1 to R5.
pub(super) fn emit_ipv4_hash(code: &mut Assembler) {
    emit_ipv4_end(code, (key::SOURCE, key::SOURCE_PORT), R0);
    emit_ipv4_end(code, (key::DESTINATION, key::DESTINATION_PORT), R1);
    emit_sum(code);
}

/// The same for IPv6 addresses.
pub(super) fn emit_ipv6_hash(code: &mut Assembler) {
    emit_ipv6_end(code, (key::SOURCE, key::SOURCE_PORT), R0);
    emit_ipv6_end(code, (key::DESTINATION, key::DESTINATION_PORT), R1);
    emit_sum(code);
}

/// Stores the source port in the header of the context at R9. Changes R1.
pub(super) fn emit_port(code: &mut Assembler, offset: i16) {
    code.load(Size::Double, R1, R10, HASH);
    code.alu(Alu::ShiftRight, R1, 57);
    code.alu(Alu::Add, R1, i32::from(FIRST_SOURCE_PORT));
    code.to_big_endian(R1, Size::Half);
    code.store(Size::Half, R9, ctx::HEADER + offset, R1);
}

/// `R0 = mix((R0 + R1) ^ protocol)`
fn emit_sum(code: &mut Assembler) {
    code.alu(Alu::Add, R0, R1);
    code.load(Size::Half, R2, R10, KEY + key::PROTOCOL);
    code.alu(Alu::Xor, R0, R2);
    emit_mix(code, R0);
}

fn emit_ipv4_end(code: &mut Assembler, (half, port): (i16, i16), result: Register) {
    code.load(Size::Word, result, R10, KEY + half);
    code.to_big_endian(result, Size::Word);
    code.alu(Alu::ShiftLeft, result, 32);
    code.load(Size::Half, R2, R10, KEY + port);
    code.alu(Alu::Xor, result, R2);
    emit_mix(code, result);
}

fn emit_ipv6_end(code: &mut Assembler, (half, port): (i16, i16), result: Register) {
    code.load(Size::Double, result, R10, KEY + half);
    code.to_big_endian(result, Size::Double);
    code.load(Size::Double, R2, R10, KEY + half + 8);
    code.to_big_endian(R2, Size::Double);
    code.set(R3, R2);
    code.alu(Alu::ShiftLeft, R2, ROTATION);
    code.alu(Alu::ShiftRight, R3, 64 - ROTATION);
    code.alu(Alu::Or, R2, R3);
    code.alu(Alu::Xor, result, R2);
    code.load(Size::Half, R2, R10, KEY + port);
    code.alu(Alu::Xor, result, R2);
    emit_mix(code, result);
}

/// `word = mix(word)`. Changes R4 and R5.
fn emit_mix(code: &mut Assembler, word: Register) {
    for (multiplier, shift) in MULTIPLIERS.into_iter().zip([32, 29]) {
        code.set_u64(R4, multiplier);
        code.alu(Alu::Multiply, word, R4);
        code.set(R5, word);
        code.alu(Alu::ShiftRight, R5, shift);
        code.alu(Alu::Xor, word, R5);
    }
}
