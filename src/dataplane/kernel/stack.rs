//! The stack frame of a tap, and small pieces of code that all its parts use.

use super::layout::key;
use crate::bpf::{
    Alu, Assembler, FunctionId, Label, MapSlot, Operand, Register, Register::*, Size,
};

/// The state of the general parser; its flow key is [`KEY`].
pub(super) const PARSED: i16 = KEY - 16;
/// The flow key.
pub(super) const KEY: i16 = -key::LEN;
/// The key of a map with one entry: zero, four bytes.
pub(super) const ZERO: i16 = -64;
/// The address of the context of this processor.
pub(super) const CONTEXT: i16 = -72;
/// The address of the counters of this processor.
pub(super) const COUNTERS: i16 = -80;
/// The number of segments of the frame.
pub(super) const SEGMENTS: i16 = -88;
/// The mark of the frame, then the result of the clone.
pub(super) const MARK: i16 = -96;
/// The hash of the flow.
pub(super) const HASH: i16 = -104;
/// The address of the record of the accepted outcome.
pub(super) const RECORD: i16 = -112;
/// The index of the path, four bytes.
pub(super) const PATH: i16 = -120;
/// The index of the entry of the path, four bytes.
pub(super) const ENTRY: i16 = -128;
/// The address of the entry of the path.
pub(super) const ENTRY_ADDRESS: i16 = -136;

/// `R0 = address of the entry whose index is on the stack`; continues at `absent` if there is none.
/// Changes R1 to R5.
pub(super) fn emit_lookup(code: &mut Assembler, map: MapSlot, index: i16, absent: Label) {
    code.set_map(R1, map);
    code.set(R2, R10);
    code.alu(Alu::Add, R2, i32::from(index));
    code.call(FunctionId::MapLookupElement);
    code.jump_if(crate::bpf::Condition::Equal, R0, 0, absent);
}

/// Adds to a counter. Changes `scratch`.
pub(super) fn emit_add(
    code: &mut Assembler,
    (base, offset): (Register, i16),
    amount: impl Into<Operand>,
    scratch: Register,
) {
    code.load(Size::Double, scratch, base, offset);
    code.alu(Alu::Add, scratch, amount);
    code.store(Size::Double, base, offset, scratch);
}
