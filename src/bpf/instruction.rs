//! The instructions of eBPF (RFC 9669) and their encoding.

/// A register. R0 has results, R1 to R5 arguments, R10 the address after the stack frame. A call
/// changes R0 to R5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of RFC 9669")]
pub enum Register {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
}

/// The second operand of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// The value of a register.
    Register(Register),
    /// A constant, extended with its sign to 64 bits.
    Immediate(i32),
}

impl From<Register> for Operand {
    fn from(register: Register) -> Self {
        Self::Register(register)
    }
}

impl From<i32> for Operand {
    fn from(value: i32) -> Self {
        Self::Immediate(value)
    }
}

/// The number of bytes of a load or a store: one, two, four or eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the documentation of the type says it")]
pub enum Size {
    Byte,
    Half,
    Word,
    Double,
}

impl Size {
    /// The bits of the opcode.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Word => 0x00,
            Self::Half => 0x08,
            Self::Byte => 0x10,
            Self::Double => 0x18,
        }
    }
}

/// An arithmetic or logical operation. Shifts are logical, and division is unsigned; a division by
/// zero gives zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the operations")]
pub enum Alu {
    Add,
    Subtract,
    Multiply,
    Divide,
    Or,
    And,
    ShiftLeft,
    ShiftRight,
    Xor,
    Move,
}

impl Alu {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Add => 0x00,
            Self::Subtract => 0x10,
            Self::Multiply => 0x20,
            Self::Divide => 0x30,
            Self::Or => 0x40,
            Self::And => 0x50,
            Self::ShiftLeft => 0x60,
            Self::ShiftRight => 0x70,
            Self::Xor => 0xa0,
            Self::Move => 0xb0,
        }
    }
}

/// The condition of a jump. Comparisons are unsigned; `AnyBit` is true if both operands have a bit
/// in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the comparisons")]
pub enum Condition {
    Equal,
    NotEqual,
    Greater,
    AtLeast,
    Less,
    AtMost,
    AnyBit,
}

impl Condition {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Equal => 0x10,
            Self::Greater => 0x20,
            Self::AtLeast => 0x30,
            Self::AnyBit => 0x40,
            Self::NotEqual => 0x50,
            Self::Less => 0xa0,
            Self::AtMost => 0xb0,
        }
    }
}

/// A function that the kernel offers to programs, with its number (`enum bpf_func_id` of
/// linux/bpf.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "bpf-helpers(7) describes them")]
pub enum FunctionId {
    MapLookupElement = 1,
    KtimeGetNs = 5,
    SkbStoreBytes = 9,
    CloneRedirect = 13,
    SkbLoadBytes = 26,
    CsumDiff = 28,
    SkbChangeTail = 38,
    SkbPullData = 39,
    SkbChangeHead = 43,
}

/// One instruction of eight bytes, as bpf(2) takes it. Only Linux on little-endian machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    pub(super) opcode: u8,
    /// The source register in the upper, the destination register in the lower four bits.
    pub(super) registers: u8,
    pub(super) offset: i16,
    pub(super) immediate: i32,
}

impl Instruction {
    pub(super) const fn new(
        opcode: u8,
        destination: Register,
        offset: i16,
        immediate: i32,
    ) -> Self {
        Self { opcode, registers: destination.number(), offset, immediate }
    }

    /// The same instruction with a source register, or with the number of a pseudo source.
    pub(super) const fn with_source(self, source: u8) -> Self {
        Self { registers: self.registers | source << 4, ..self }
    }

    /// The same instruction with another jump distance.
    pub(super) const fn with_offset(self, offset: i16) -> Self {
        Self { offset, ..self }
    }

    /// The same instruction with another immediate.
    #[must_use]
    pub const fn with_immediate(self, immediate: i32) -> Self {
        Self { immediate, ..self }
    }
}

impl Register {
    #[expect(clippy::as_conversions, reason = "the discriminants are the numbers of the registers")]
    pub(super) const fn number(self) -> u8 {
        self as u8
    }
}

impl FunctionId {
    #[expect(clippy::as_conversions, reason = "the discriminants are the numbers of the helpers")]
    pub(super) fn number(self) -> i32 {
        i32::from(self as u8)
    }
}
