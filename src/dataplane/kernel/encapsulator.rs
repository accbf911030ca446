//! The encapsulator: truncates a clone and prepends the outer headers that the context has.
//!
//! It runs at the egress hook of every egress device, and with another end at the port of the pad.
//! It does not depend on a mirror table, so one program serves all interfaces of a run.

use super::context as ctx;
use super::far_headers::emit_far_headers;
use super::layout::{maps, skb};
use super::stack::{ZERO, emit_add, emit_lookup};
use crate::bpf::{
    Alu, Assembler, AssemblyError, Code, Condition, FunctionId, Label, Register, Register::*, Size,
};

/// `TCX_NEXT`: the next program decides.
pub(super) const NEXT: i32 = -1;
/// `TCX_DROP`.
const DROP: i32 = 2;

/// The length of the outer headers of VXLAN over IPv4.
const VXLAN_OVER_IPV4_LEN: i32 = 50;

/// The marks of frames, unique in the network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelMarks {
    /// The mark of finished copies.
    pub own: u32,
}

impl KernelMarks {
    /// The mark of a clone under way. Alone it means nothing: the context must be active too.
    pub(super) const fn transit(self) -> i32 {
        (!self.own).cast_signed()
    }

    pub(super) const fn finished(self) -> i32 {
        self.own.cast_signed()
    }
}

/// Where an encapsulator is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The egress device: the copy is transmitted by it.
    EgressDevice,
    /// The port of the pad: the copy is passed on to the egress device. All other frames are
    /// dropped.
    PadPort,
}

/// The encapsulator for a place.
///
/// # Errors
/// See [`Assembler::finish`].
pub fn encapsulator(place: Place, marks: KernelMarks) -> Result<Code, AssemblyError> {
    let mut code = Assembler::new();
    let (other, failed, far, complete) = (code.label(), code.label(), code.label(), code.label());
    code.set(R6, R1);
    emit_clone_test(&mut code, (place, marks), other);
    emit_truncation(&mut code, failed);
    code.load(Size::Word, R1, R7, ctx::KIND);
    code.jump_if(Condition::NotEqual, R1, 0, far);
    emit_headers(&mut code, failed);
    code.place(complete);
    code.store(Size::Word, R6, skb::MARK, marks.finished());
    match place {
        Place::EgressDevice => {
            emit_copied(&mut code);
            code.set(R0, NEXT);
        }
        Place::PadPort => emit_pass_on(&mut code),
    }
    code.exit();
    code.place(failed);
    emit_add(&mut code, (R7, ctx::FAILED), 1, R1);
    emit_add(&mut code, (R7, ctx::FAILED_BYTES), R8, R1);
    code.set(R0, DROP);
    code.exit();
    code.place(other);
    code.set(R0, if place == Place::EgressDevice { NEXT } else { DROP });
    code.exit();
    code.place(far);
    emit_far_headers(&mut code, failed);
    code.jump(complete);
    code.finish()
}

/// `R7 = context` if the frame is a clone for this place; otherwise continues at `other`.
fn emit_clone_test(code: &mut Assembler, (place, marks): (Place, KernelMarks), other: Label) {
    code.load(Size::Word, R1, R6, skb::MARK);
    code.jump_if_32(Condition::NotEqual, R1, marks.transit(), other);
    code.store(Size::Word, R10, ZERO, 0);
    emit_lookup(code, maps::CONTEXT, ZERO, other);
    code.set(R7, R0);
    code.load(Size::Word, R1, R7, ctx::ACTIVE);
    code.jump_if(Condition::Equal, R1, 0, other);
    code.load(Size::Word, R1, R7, ctx::VIA_PAD);
    let via_pad = i32::from(place == Place::PadPort);
    code.jump_if(Condition::NotEqual, R1, via_pad, other);
}

/// `R8 = length of the inner frame`, after truncation.
fn emit_truncation(code: &mut Assembler, failed: Label) {
    let whole = code.label();
    code.load(Size::Word, R8, R6, skb::LEN);
    code.load(Size::Word, R9, R7, ctx::MAX_INNER);
    code.store(Size::Double, R7, ctx::IS_TRUNCATED, 0);
    code.store(Size::Double, R7, ctx::IS_TRUNCATED_TO_MTU, 0);
    code.jump_if(Condition::AtMost, R8, R9, whole);
    code.set(R1, R6);
    code.set(R2, R9);
    code.set(R3, 0);
    code.call(FunctionId::SkbChangeTail);
    code.jump_if(Condition::NotEqual, R0, 0, failed);
    code.set(R8, R9);
    code.store(Size::Double, R7, ctx::IS_TRUNCATED, 1);
    code.load(Size::Word, R1, R7, ctx::PACKET_LEN);
    code.jump_if(Condition::Equal, R1, R9, whole);
    code.store(Size::Double, R7, ctx::IS_TRUNCATED_TO_MTU, 1);
    code.place(whole);
}

/// Counts a copy that was made.
fn emit_copied(code: &mut Assembler) {
    emit_add(code, (R7, ctx::COPIES), 1, R1);
    emit_add(code, (R7, ctx::BYTES), R8, R1);
    for (flag, sum) in
        [(ctx::IS_TRUNCATED, ctx::TRUNCATED), (ctx::IS_TRUNCATED_TO_MTU, ctx::TRUNCATED_TO_MTU)]
    {
        code.load(Size::Double, R2, R7, flag);
        emit_add(code, (R7, sum), R2, R1);
    }
}

/// Prepends the headers of the context and sets the lengths in them.
fn emit_headers(code: &mut Assembler, failed: Label) {
    code.set(R1, R6);
    code.load(Size::Word, R2, R7, ctx::HEADER_LEN);
    code.set(R3, 0);
    code.call(FunctionId::SkbChangeHead);
    code.jump_if(Condition::NotEqual, R0, 0, failed);
    code.load(Size::Word, R2, R6, skb::DATA);
    code.load(Size::Word, R3, R6, skb::DATA_END);
    code.set(R4, R2);
    code.alu(Alu::Add, R4, VXLAN_OVER_IPV4_LEN);
    code.jump_if(Condition::Greater, R4, R3, failed);
    for word in 0..6 {
        copy_header(code, Size::Double, 8 * word);
    }
    copy_header(code, Size::Half, 48);
    // The lengths of the IP packet and of the UDP datagram.
    code.set(R4, R8);
    code.alu(Alu::Add, R4, 36);
    code.load(Size::Word, R5, R7, ctx::SUM);
    code.alu(Alu::Add, R5, R4);
    store_be16(code, R4, 16);
    code.set(R4, R8);
    code.alu(Alu::Add, R4, 16);
    store_be16(code, R4, 38);
    // The sum of two 16-bit numbers has at most one carry.
    code.set(R4, R5);
    code.alu(Alu::ShiftRight, R4, 16);
    code.alu(Alu::And, R5, 0xffff);
    code.alu(Alu::Add, R5, R4);
    code.alu(Alu::Xor, R5, 0xffff);
    store_be16(code, R5, 24);
}

fn copy_header(code: &mut Assembler, size: Size, offset: i16) {
    code.load(size, R0, R7, ctx::HEADER + offset);
    code.store(size, R2, offset, R0);
}

/// Stores the lower 16 bits in network order in the packet at R2. Changes R0.
fn store_be16(code: &mut Assembler, value: Register, offset: i16) {
    code.set(R0, value);
    code.to_big_endian(R0, Size::Half);
    code.store(Size::Half, R2, offset, R0);
}

/// Transmits the segment through the egress device. Redirecting it would be faster, but would not
/// tell whether the queue of the device accepted it.
fn emit_pass_on(code: &mut Assembler) {
    let (refused, end) = (code.label(), code.label());
    code.set(R1, R6);
    code.load(Size::Word, R2, R7, ctx::DEVICE);
    code.set(R3, 0);
    code.call(FunctionId::CloneRedirect);
    code.jump_if(Condition::NotEqual, R0, 0, refused);
    emit_copied(code);
    code.jump(end);
    code.place(refused);
    emit_add(code, (R7, ctx::REFUSED), 1, R1);
    emit_add(code, (R7, ctx::REFUSED_BYTES), R8, R1);
    code.place(end);
    code.set(R0, DROP);
}
