//! The tap: decides on a frame of a mirrored device, clones it, and counts it.
//!
//! ```text
//! own clone under way on this processor? -> not counted
//! decision (`decision`)                  -> outcome
//! path of the session and the flow       -> entry with the outer headers
//! rate limits                            -> dropped
//! context, bpf_clone_redirect            -> counted as the encapsulator answered
//! ```

use super::context as ctx;
use super::counter_layout::offsets;
use super::decision::{Decision, OwnCopies};
use super::encapsulator::{KernelMarks, NEXT};
use super::layout::{key, maps, skb};
use super::record::{self, RecordTable};
use super::segments::emit_segments;
use super::stack::{
    CONTEXT, COUNTERS, ENTRY, ENTRY_ADDRESS, HASH, KEY, MARK, PATH, RECORD, SEGMENTS, ZERO,
    emit_add, emit_lookup,
};
use super::{hash, limits};
use crate::bpf::{
    Alu, Assembler, AssemblyError, Code, Condition, FunctionId, KernelFunction, Label, Register::*,
    Size,
};
use crate::dataplane::endpoints::DropCause;
use crate::dataplane::verdict::NotMirrored;

/// The state of the checksum of a frame in the kernel (`sk_buff.ip_summed`), a bit field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChecksumField {
    /// The offset of its byte.
    pub offset: i16,
    /// How far its bits are shifted in the byte.
    pub shift: i32,
    /// Its bits after shifting.
    pub mask: i32,
}

/// `CHECKSUM_PARTIAL` of linux/skbuff.h: the checksum is unfinished.
const CHECKSUM_PARTIAL: i32 = 3;

/// What a tap must know besides the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapOptions {
    /// The marks of clones and copies.
    pub marks: KernelMarks,
    /// The index of the pad.
    pub pad_index: u32,
    /// Where the kernel keeps the state of the checksum.
    pub checksum: ChecksumField,
}

/// Labels that several parts of a tap jump to.
#[derive(Debug, Clone, Copy)]
struct Exits {
    /// The outcome is in R0: not mirrored.
    not_mirrored: Label,
    /// The index of the cause is in R0.
    dropped: Label,
    /// Returns `TCX_NEXT`.
    next: Label,
}

/// The tap for the decision that `decision` describes.
///
/// # Errors
/// See [`Assembler::finish`].
pub(super) fn tap(
    decision: &Decision<'_>,
    records: &RecordTable,
    options: &TapOptions,
) -> Result<Code, AssemblyError> {
    let mut code = Assembler::new();
    let code_ref = &mut code;
    let exits =
        Exits { not_mirrored: code_ref.label(), dropped: code_ref.label(), next: code_ref.label() };
    let functions = Decision::functions(code_ref);
    emit_start(code_ref, exits);
    emit_active_test(code_ref, options.marks, exits);
    let own_copies = OwnCopies { mark: options.marks.finished(), exit: exits.next };
    decision.emit(code_ref, &functions, Some(own_copies));
    emit_record(code_ref, records, exits);
    emit_path(code_ref, records, exits);
    limits::emit_limits(code_ref, records, exits.dropped);
    emit_context(code_ref);
    emit_clone(code_ref, options);
    emit_account(code_ref, records, exits.next);
    emit_not_mirrored(code_ref, exits);
    emit_dropped(code_ref, records, exits);
    code.place(exits.next);
    code.set(R0, NEXT);
    code.exit();
    decision.emit_functions(&mut code, &functions);
    code.finish()
}

/// Finds context and counters.
fn emit_start(code: &mut Assembler, exits: Exits) {
    code.set(R6, R1);
    code.store(Size::Double, R10, ZERO, 0);
    emit_lookup(code, maps::CONTEXT, ZERO, exits.next);
    code.store(Size::Double, R10, CONTEXT, R0);
    code.set(R9, R0);
    emit_lookup(code, maps::COUNTERS, ZERO, exits.next);
    code.store(Size::Double, R10, COUNTERS, R0);
    emit_segments(code);
    code.store(Size::Double, R10, SEGMENTS, R1);
}

/// Ends for a frame that passes while a clone is under way on this processor. The clone itself is not
/// counted here: the runtime counts the copies that leave through mirrored devices, in both tiers.
/// Any other frame is a copy that another mirror made of the clone. It must not be cloned, because
/// the context is in use. The context is at R9.
fn emit_active_test(code: &mut Assembler, marks: KernelMarks, exits: Exits) {
    let idle = code.label();
    code.load(Size::Word, R1, R9, ctx::ACTIVE);
    code.jump_if(Condition::Equal, R1, 0, idle);
    code.load(Size::Word, R1, R6, skb::MARK);
    for mark in [marks.transit(), marks.finished()] {
        code.jump_if_32(Condition::Equal, R1, mark, exits.next);
    }
    code.set(R0, i32::try_from(NotMirrored::NestedCopy.index()).unwrap_or_default());
    code.jump(exits.not_mirrored);
    code.place(idle);
}

/// `R8 = record of the outcome in R0`.
fn emit_record(code: &mut Assembler, records: &RecordTable, exits: Exits) {
    let accepted = i32::try_from(NotMirrored::ALL.len()).unwrap_or(i32::MAX);
    code.jump_if(Condition::Less, R0, accepted, exits.not_mirrored);
    code.alu(Alu::Subtract, R0, accepted);
    code.jump_if(Condition::AtLeast, R0, records.count(), exits.next);
    code.alu(Alu::Multiply, R0, record::RECORD_LEN);
    code.set_map_value(R8, maps::TABLES, records.offset());
    code.alu(Alu::Add, R8, R0);
    code.store(Size::Double, R10, RECORD, R8);
}

/// `R8 = entry of the path`, chosen by the hash of the flow.
fn emit_path(code: &mut Assembler, records: &RecordTable, exits: Exits) {
    let (ipv6, hashed, one_address) = (code.label(), code.label(), code.label());
    code.load(Size::Byte, R1, R10, KEY + key::IS_IPV4);
    code.jump_if(Condition::Equal, R1, 0, ipv6);
    hash::emit_ipv4_hash(code);
    code.jump(hashed);
    code.place(ipv6);
    hash::emit_ipv6_hash(code);
    code.place(hashed);
    code.store(Size::Double, R10, HASH, R0);
    code.load(Size::Word, R1, R8, record::PATH);
    code.load(Size::Word, R2, R8, record::SLOTS);
    code.jump_if(Condition::Equal, R2, 0, one_address);
    // The address of the slot of the flow, within the tables.
    code.alu(Alu::And, R0, record::SLOT_MASK);
    code.alu(Alu::Add, R2, R0);
    code.jump_if(Condition::AtLeast, R2, records.tables_len(), exits.next);
    code.set_map_value(R3, maps::TABLES, 0);
    code.alu(Alu::Add, R3, R2);
    code.load(Size::Byte, R3, R3, 0);
    code.alu(Alu::Add, R1, R3);
    code.place(one_address);
    code.store(Size::Word, R10, PATH, R1);
    emit_lookup(code, maps::PATH_INDEX, PATH, exits.next);
    code.load(Size::Word, R1, R0, 0);
    code.store(Size::Word, R10, ENTRY, R1);
    emit_lookup(code, maps::PATHS, ENTRY, exits.next);
    code.set(R8, R0);
    code.load(Size::Word, R0, R8, ctx::STATE);
    let ready = code.label();
    code.jump_if(Condition::Equal, R0, 0, ready);
    code.alu(Alu::Subtract, R0, 1);
    code.jump(exits.dropped);
    code.place(ready);
    code.store(Size::Double, R10, ENTRY_ADDRESS, R8);
}

/// Copies the entry at R8 to the context, with the source port, and clears the answers.
fn emit_context(code: &mut Assembler) {
    let (whole, ready) = (code.label(), code.label());
    code.load(Size::Double, R9, R10, CONTEXT);
    code.load(Size::Word, R1, R8, ctx::KIND);
    code.jump_if(Condition::NotEqual, R1, 0, whole);
    // VXLAN over IPv4: 50 bytes of headers.
    copy_words(code, 0..11);
    hash::emit_port(code, 34);
    code.jump(ready);
    code.place(whole);
    copy_words(code, 0..24);
    super::far_headers::emit_flow_fields(code);
    code.place(ready);
    for offset in (ctx::COPIES..=ctx::REFUSED_BYTES).step_by(8) {
        code.store(Size::Double, R9, offset, 0);
    }
}

fn copy_words(code: &mut Assembler, words: std::ops::Range<i16>) {
    for word in words {
        code.load(Size::Double, R1, R8, 8 * word);
        code.store(Size::Double, R9, 8 * word, R1);
    }
}

/// Clones the frame to the egress device, or to the pad if the kernel must change it first. The
/// context is at R9. `R0 = result`, `R7 = 1` if the clone passed the pad.
fn emit_clone(code: &mut Assembler, options: &TapOptions) {
    let (pad, chosen) = (code.label(), code.label());
    code.set(R7, 1);
    code.load(Size::Word, R1, R6, skb::GSO_SIZE);
    code.jump_if(Condition::NotEqual, R1, 0, pad);
    code.load(Size::Word, R1, R6, skb::VLAN_PRESENT);
    code.jump_if(Condition::NotEqual, R1, 0, pad);
    code.set(R1, R6);
    code.call_kernel(KernelFunction::CastToKernelContext);
    let ChecksumField { offset, shift, mask } = options.checksum;
    code.load(Size::Byte, R1, R0, offset);
    code.alu(Alu::ShiftRight, R1, shift);
    code.alu(Alu::And, R1, mask);
    code.jump_if(Condition::Equal, R1, CHECKSUM_PARTIAL, pad);
    code.set(R7, 0);
    code.load(Size::Word, R2, R9, ctx::DEVICE);
    code.jump(chosen);
    code.place(pad);
    code.set(R2, options.pad_index.cast_signed());
    code.place(chosen);
    code.store(Size::Word, R9, ctx::VIA_PAD, R7);
    code.store(Size::Word, R9, ctx::ACTIVE, 1);
    code.load(Size::Word, R1, R6, skb::MARK);
    code.store(Size::Double, R10, MARK, R1);
    code.store(Size::Word, R6, skb::MARK, options.marks.transit());
    code.set(R1, R6);
    code.set(R3, 0);
    code.call(FunctionId::CloneRedirect);
    code.load(Size::Double, R1, R10, MARK);
    code.store(Size::Word, R6, skb::MARK, R1);
    code.store(Size::Word, R9, ctx::ACTIVE, 0);
    code.store(Size::Double, R10, MARK, R0);
}

/// Counts what the encapsulator answered. The context is at R9, the result of the clone in R0.
fn emit_account(code: &mut Assembler, records: &RecordTable, next: Label) {
    let (counted, whole, known) = (code.label(), code.label(), code.label());
    code.jump_if(Condition::NotEqual, R7, 0, counted);
    code.jump_if(Condition::Equal, R0, 0, counted);
    // The device refused the only copy: it counts as refused instead of sent.
    code.load(Size::Double, R1, R9, ctx::COPIES);
    code.jump_if(Condition::Equal, R1, 0, counted);
    code.load(Size::Double, R1, R9, ctx::BYTES);
    code.store(Size::Double, R9, ctx::REFUSED_BYTES, R1);
    code.store(Size::Double, R9, ctx::REFUSED, 1);
    for answer in [ctx::COPIES, ctx::BYTES, ctx::TRUNCATED, ctx::TRUNCATED_TO_MTU] {
        code.store(Size::Double, R9, answer, 0);
    }
    code.place(counted);
    code.load(Size::Double, R7, R10, COUNTERS);
    code.load(Size::Double, R8, R10, RECORD);
    // R3: copies, R4: dropped copies.
    code.load(Size::Double, R3, R9, ctx::COPIES);
    code.load(Size::Double, R4, R9, ctx::FAILED);
    code.load(Size::Double, R1, R9, ctx::REFUSED);
    code.alu(Alu::Add, R4, R1);
    code.set(R5, i32::from(offsets::dropped(DropCause::NoBuffers)));
    code.set(R1, R3);
    code.alu(Alu::Add, R1, R4);
    code.jump_if(Condition::NotEqual, R1, 0, known);
    // No encapsulator saw the clone.
    code.load(Size::Double, R4, R10, SEGMENTS);
    code.set(R5, i32::from(offsets::dropped(DropCause::SendFailed)));
    emit_leak(code, known);
    code.place(known);
    code.set(R1, R3);
    code.alu(Alu::Add, R1, R4);
    emit_received(code);
    emit_sent(code, records, next);
    code.jump_if(Condition::Equal, R4, 0, whole);
    emit_lost(code, next);
    code.place(whole);
    code.jump(next);
}

/// If the clone left through the egress device although no encapsulator saw it, stops the path: the
/// next frames must not leave without outer headers. The loader attaches the encapsulator again.
fn emit_leak(code: &mut Assembler, known: Label) {
    code.load(Size::Double, R1, R10, MARK);
    code.jump_if(Condition::NotEqual, R1, 0, known);
    code.load(Size::Word, R1, R9, ctx::VIA_PAD);
    code.jump_if(Condition::NotEqual, R1, 0, known);
    code.load(Size::Double, R1, R10, ENTRY_ADDRESS);
    let stopped = DropCause::SendFailed.index() + 1;
    code.store(Size::Word, R1, ctx::STATE, i32::try_from(stopped).unwrap_or(1));
}

/// Adds the frames in R1, which are one frame or the segments of a super-frame, to the received ones
/// of the counters at R7. Changes R2.
fn emit_received(code: &mut Assembler) {
    let single = code.label();
    emit_add(code, (R7, offsets::RECEIVED), R1, R2);
    code.load(Size::Word, R2, R6, skb::GSO_SIZE);
    code.jump_if(Condition::Equal, R2, 0, single);
    emit_add(code, (R7, offsets::SUPER_FRAME_SEGMENTS), R1, R2);
    code.load(Size::Double, R2, R7, offsets::SUPER_FRAMES);
    code.alu(Alu::Add, R2, 1);
    code.store(Size::Double, R7, offsets::SUPER_FRAMES, R2);
    code.place(single);
}

/// Adds the copies in R3 to the counters of session, outcome and direction.
fn emit_sent(code: &mut Assembler, records: &RecordTable, next: Label) {
    code.load(Size::Word, R0, R8, record::SESSION_COUNTERS);
    code.jump_if(Condition::Greater, R0, records.last_session_offset(), next);
    code.set(R2, R7);
    code.alu(Alu::Add, R2, R0);
    for (field, answer) in
        [(0, ctx::COPIES), (8, ctx::BYTES), (16, ctx::TRUNCATED), (24, ctx::TRUNCATED_TO_MTU)]
    {
        code.load(Size::Double, R1, R9, answer);
        emit_add(code, (R2, field), R1, R0);
    }
    emit_add(code, (R2, 32), R4, R0);
    code.load(Size::Word, R0, R8, record::OUTCOME_COUNTER);
    code.jump_if(Condition::Greater, R0, records.last_outcome_offset(), next);
    code.set(R2, R7);
    code.alu(Alu::Add, R2, R0);
    emit_add(code, (R2, 0), R3, R0);
    emit_add(code, (R7, offsets::DIRECTION), R3, R0);
    code.load(Size::Double, R1, R9, ctx::BYTES);
    emit_add(code, (R7, offsets::DIRECTION + 8), R1, R0);
    code.load(Size::Word, R0, R10, PATH);
    code.alu(Alu::ShiftLeft, R0, 4);
    code.alu(Alu::Add, R0, records.first_path_offset());
    code.jump_if(Condition::Greater, R0, records.last_path_offset(), next);
    code.set(R2, R7);
    code.alu(Alu::Add, R2, R0);
    emit_add(code, (R2, 0), R3, R0);
    emit_add(code, (R2, 8), R1, R0);
}

/// Adds the dropped copies in R4 to the counters of the direction and of the cause, whose offset is
/// in R5.
fn emit_lost(code: &mut Assembler, next: Label) {
    emit_add(code, (R7, offsets::DIRECTION + 16), R4, R0);
    code.load(Size::Double, R1, R9, ctx::FAILED_BYTES);
    code.load(Size::Double, R2, R9, ctx::REFUSED_BYTES);
    code.alu(Alu::Add, R1, R2);
    emit_add(code, (R7, offsets::DIRECTION + 24), R1, R0);
    code.jump_if(Condition::Greater, R5, i32::from(offsets::LAST_DROPPED), next);
    code.alu(Alu::Add, R7, R5);
    emit_add(code, (R7, 0), R4, R0);
}

/// Counts the frame with the reason in R0.
fn emit_not_mirrored(code: &mut Assembler, exits: Exits) {
    code.place(exits.not_mirrored);
    let last = i32::try_from(NotMirrored::ALL.len()).unwrap_or_default() - 1;
    code.jump_if(Condition::Greater, R0, last, exits.next);
    code.load(Size::Double, R7, R10, COUNTERS);
    code.load(Size::Double, R1, R10, SEGMENTS);
    emit_received(code);
    code.alu(Alu::ShiftLeft, R0, 3);
    code.alu(Alu::Add, R7, R0);
    emit_add(code, (R7, offsets::NOT_MIRRORED), R1, R2);
    code.jump(exits.next);
}

/// Counts the copies of the frame as dropped before they were made, with the cause in R0.
fn emit_dropped(code: &mut Assembler, records: &RecordTable, exits: Exits) {
    code.place(exits.dropped);
    let last = i32::try_from(DropCause::ALL.len()).unwrap_or_default() - 1;
    code.jump_if(Condition::Greater, R0, last, exits.next);
    code.load(Size::Double, R7, R10, COUNTERS);
    code.load(Size::Double, R8, R10, RECORD);
    code.load(Size::Double, R1, R10, SEGMENTS);
    code.load(Size::Word, R2, R8, record::SESSION_COUNTERS);
    code.jump_if(Condition::Greater, R2, records.last_session_offset(), exits.next);
    code.set(R3, R7);
    code.alu(Alu::Add, R3, R2);
    emit_add(code, (R3, 32), R1, R2);
    emit_received(code);
    emit_add(code, (R7, offsets::DIRECTION + 16), R1, R2);
    code.load(Size::Word, R3, R6, skb::LEN);
    emit_add(code, (R7, offsets::DIRECTION + 24), R3, R2);
    code.alu(Alu::ShiftLeft, R0, 3);
    code.alu(Alu::Add, R7, R0);
    emit_add(code, (R7, offsets::DROPPED), R1, R2);
}
