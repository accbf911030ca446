//! The Internet checksum of a whole frame, in eBPF.
//!
//! The bytes pass the stack, because most of a frame may be outside the linear part of the packet,
//! where programs cannot read it directly.

use super::stack::ZERO;
use crate::bpf::{Alu, Assembler, Condition, FunctionId, Label, Register, Register::*, Size};

/// The sum so far.
const TOTAL: i16 = ZERO - 8;
/// A piece of the frame.
const PIECE: i16 = TOTAL - PIECE_LEN;
const PIECE_LEN: i16 = 256;

/// `R9 = sum of the 16-bit words of the frame`, folded to 16 bits. R6 is the packet, R8 its length,
/// at most 65,535. Changes R0 to R5.
pub(super) fn emit_frame_sum(code: &mut Assembler, failed: Label) {
    emit_last_piece(code, failed);
    let end = code.label();
    code.set(R9, 0);
    let next = code.here();
    code.set(R1, R9);
    code.alu(Alu::Add, R1, i32::from(PIECE_LEN));
    code.jump_if(Condition::Greater, R1, R8, end);
    code.set(R2, R9);
    code.set(R4, i32::from(PIECE_LEN));
    emit_load(code, failed);
    code.set(R4, i32::from(PIECE_LEN));
    emit_sum(code);
    code.alu(Alu::Add, R9, i32::from(PIECE_LEN));
    code.jump(next);
    code.place(end);
    code.load(Size::Double, R9, R10, TOTAL);
    emit_fold(code, R9);
    code.to_big_endian(R9, Size::Half);
}

/// Sums the bytes after the last whole piece, padded with zeros to a multiple of four.
fn emit_last_piece(code: &mut Assembler, failed: Label) {
    let no_bytes = code.label();
    // All bytes must have a value, as the verifier does not know how many are loaded.
    for offset in (TOTAL - PIECE_LEN..=TOTAL).step_by(8) {
        code.store(Size::Double, R10, offset, 0);
    }
    code.set(R9, R8);
    code.alu(Alu::And, R9, i32::from(PIECE_LEN) - 1);
    // The verifier of Linux 6.6 learns from "less than one" that the length is not zero, but not
    // from "equal to zero".
    code.jump_if(Condition::Less, R9, 1, no_bytes);
    code.set(R2, R8);
    code.alu(Alu::Subtract, R2, R9);
    code.set(R4, R9);
    emit_load(code, failed);
    code.set(R4, R9);
    code.alu(Alu::Add, R4, 3);
    code.alu(Alu::And, R4, !3);
    emit_sum(code);
    code.place(no_bytes);
}

/// Loads R4 bytes at the offset in R2 of the packet.
fn emit_load(code: &mut Assembler, failed: Label) {
    code.set(R1, R6);
    code.set(R3, R10);
    code.alu(Alu::Add, R3, i32::from(PIECE));
    code.call(FunctionId::SkbLoadBytes);
    code.jump_if(Condition::NotEqual, R0, 0, failed);
}

/// Adds the first R4 bytes that were loaded. R4 is a multiple of four.
fn emit_sum(code: &mut Assembler) {
    code.set(R1, 0);
    code.set(R2, 0);
    code.set(R3, R10);
    code.alu(Alu::Add, R3, i32::from(PIECE));
    code.load(Size::Double, R5, R10, TOTAL);
    code.call(FunctionId::CsumDiff);
    code.alu_32(Alu::Move, R0, R0);
    code.store(Size::Double, R10, TOTAL, R0);
}

/// Folds a sum below 2^48 to 16 bits. Changes R0.
pub(super) fn emit_fold(code: &mut Assembler, sum: Register) {
    for _ in 0..3 {
        code.set(R0, sum);
        code.alu(Alu::ShiftRight, R0, 16);
        code.alu(Alu::And, sum, 0xffff);
        code.alu(Alu::Add, sum, R0);
    }
}
