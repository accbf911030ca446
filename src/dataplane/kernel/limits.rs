//! Rate limits: token buckets that are stored as the time at which they will be full again, as in
//! the sender of the ring tier.
//!
//! A super-frame is admitted or dropped as a whole, at the cost of all its segments.
//!
//! ```text
//! bucket, 24 bytes:  0 full_ns   8 ns for each copy   16 ns for each byte, times 2^20
//! ```

use super::context as ctx;
use super::layout::{maps, skb};
use super::record::{self, RecordTable};
use super::stack::{RECORD, SEGMENTS};
use crate::bpf::{Alu, Assembler, Condition, FunctionId, Label, Register, Register::*, Size};
use crate::dataplane::endpoints::DropCause;
use crate::model::Rate;

/// The depth of a bucket in ns of its rate.
const DEPTH_NS: i32 = 10_000_000;
/// The length of a bucket in bytes.
pub(super) const BUCKET_LEN: usize = 24;
const COPY_NS: i16 = 8;
const BYTE_NS: i16 = 16;
/// The costs of bytes are stored times 2^20.
const FRACTION_BITS: i32 = 20;
/// The highest cost of a byte, times 2^20, so that the cost of a super-frame of 2^17 bytes has 64
/// bits: 67 ms, or 119 bit/s. Lower rates are limited to this one.
const MAX_BYTE_NS: u64 = 1 << 46;

/// The initial bytes of the bucket of a rate.
pub(super) fn bucket_bytes(rate: Rate) -> impl Iterator<Item = u8> {
    let copy_ns = rate.duration_ns(1, 0);
    // The cost of 2^20 bytes is the cost of a byte, times 2^20.
    let byte_ns = rate.duration_ns(0, 8 << FRACTION_BITS).min(MAX_BYTE_NS);
    [0, copy_ns, byte_ns].into_iter().flat_map(u64::to_ne_bytes)
}

/// Emits the test and the charge of both buckets of the record. The entry of the path is at R8 and
/// stays there. Continues at `dropped` with the cause in R0.
pub(super) fn emit_limits(code: &mut Assembler, records: &RecordTable, dropped: Label) {
    if records.buckets == 0 {
        return;
    }
    let admitted = code.label();
    let full = code.label();
    code.load(Size::Double, R7, R10, RECORD);
    let has_bucket = code.label();
    code.load(Size::Word, R1, R7, record::SESSION_BUCKET);
    code.jump_if(Condition::NotEqual, R1, 0, has_bucket);
    code.load(Size::Word, R1, R7, record::TARGET_BUCKET);
    code.jump_if(Condition::Equal, R1, 0, admitted);
    code.place(has_bucket);
    code.call(FunctionId::KtimeGetNs);
    code.set(R9, R0);
    for bucket in [record::SESSION_BUCKET, record::TARGET_BUCKET] {
        emit_test(code, (bucket, records.buckets), full);
    }
    for bucket in [record::SESSION_BUCKET, record::TARGET_BUCKET] {
        emit_charge(code, (bucket, records.buckets));
    }
    code.jump(admitted);
    code.place(full);
    code.set(R0, i32::try_from(DropCause::Congestion.index()).unwrap_or_default());
    code.jump(dropped);
    code.place(admitted);
}

/// `R2 = address of the bucket`; continues at `none` if the record has no such bucket.
fn emit_bucket(code: &mut Assembler, (field, buckets): (i16, usize), none: Label) {
    code.load(Size::Word, R1, R7, field);
    code.jump_if(Condition::Equal, R1, 0, none);
    code.alu(Alu::Subtract, R1, 1);
    let count = i32::try_from(buckets).unwrap_or(i32::MAX);
    code.jump_if(Condition::AtLeast, R1, count, none);
    code.alu(Alu::Multiply, R1, i32::try_from(BUCKET_LEN).unwrap_or_default());
    code.set_map_value(R2, maps::BUCKETS, 0);
    code.alu(Alu::Add, R2, R1);
}

/// Continues at `full` if the bucket will be full later than its depth after now, which is in R9.
fn emit_test(code: &mut Assembler, bucket: (i16, usize), full: Label) {
    let none = code.label();
    emit_bucket(code, bucket, none);
    code.load(Size::Double, R3, R2, 0);
    code.set(R4, R9);
    code.alu(Alu::Add, R4, DEPTH_NS);
    code.jump_if(Condition::Greater, R3, R4, full);
    code.place(none);
}

/// Adds the cost of the copies. If another processor changes the bucket at the same time, that has
/// made it full later than now already, and the cost is added to what it stored.
fn emit_charge(code: &mut Assembler, bucket: (i16, usize)) {
    let (none, later) = (code.label(), code.label());
    emit_bucket(code, bucket, none);
    emit_cost(code, R5);
    code.load(Size::Double, R0, R2, 0);
    code.set(R3, R0);
    code.jump_if(Condition::AtLeast, R3, R9, later);
    code.set(R3, R9);
    code.place(later);
    code.alu(Alu::Add, R3, R5);
    code.set(R4, R0);
    code.compare_exchange(R2, 0, R3);
    code.jump_if(Condition::Equal, R0, R4, none);
    code.atomic_add(R2, 0, R5);
    code.place(none);
}

/// `cost = ns` for all segments of the frame with their outer headers. The bucket is at R2. The
/// headers that the kernel repeats in the segments of a super-frame are not counted.
fn emit_cost(code: &mut Assembler, cost: Register) {
    let whole = code.label();
    // R1: segments. R3: bytes of the inner frames, at most the longest ones.
    code.load(Size::Double, R1, R10, SEGMENTS);
    code.load(Size::Word, R3, R6, skb::LEN);
    code.load(Size::Word, R4, R8, ctx::MAX_INNER);
    code.alu(Alu::Multiply, R4, R1);
    code.jump_if(Condition::AtMost, R3, R4, whole);
    code.set(R3, R4);
    code.place(whole);
    code.load(Size::Word, R4, R8, ctx::HEADER_LEN);
    code.alu(Alu::Multiply, R4, R1);
    code.alu(Alu::Add, R3, R4);
    code.load(Size::Double, cost, R2, BYTE_NS);
    code.alu(Alu::Multiply, R3, cost);
    code.alu(Alu::ShiftRight, R3, FRACTION_BITS);
    code.load(Size::Double, cost, R2, COPY_NS);
    code.alu(Alu::Multiply, cost, R1);
    code.alu(Alu::Add, cost, R3);
}
