//! Builds a classic BPF program from its end to its beginning, so that every jump target exists
//! when the jump is written.
//!
//! Classic BPF only jumps forward, and a conditional jump skips at most 255 instructions. If a
//! target is farther away, [`ProgramBuilder::branch`] inserts an unconditional jump, which has a
//! 32-bit distance. Example: a test is prepended to 300 instructions and its false branch is the
//! last of them. The builder prepends `ja +299` first and lets the false branch jump to it.

use socket2::SockFilter;

/// The longest distance of a conditional jump, with room for two inserted jumps.
const MAX_BRANCH_DISTANCE: usize = 250;

/// One instruction, with the fields of `struct sock_filter` of `linux/filter.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::io::live) struct Instruction {
    pub(super) code: u16,
    pub(super) on_true: u8,
    pub(super) on_false: u8,
    pub(super) operand: u32,
}

/// The opcodes of `linux/bpf_common.h` that are used. `A` is the accumulator, `X` the index
/// register.
pub(super) mod opcodes {
    pub(in super::super) const LOAD_WORD: u16 = 0x20;
    pub(in super::super) const LOAD_HALF: u16 = 0x28;
    pub(in super::super) const LOAD_BYTE: u16 = 0x30;
    pub(in super::super) const LOAD_LEN: u16 = 0x80;
    /// Loads 16 bits at offset X plus operand.
    pub(in super::super) const LOAD_HALF_AT_X: u16 = 0x48;
    /// Loads the length of an IPv4 header to X: four times the low half of a byte.
    pub(in super::super) const LOAD_X_HEADER_LEN: u16 = 0xb1;
    pub(in super::super) const LOAD_SLOT: u16 = 0x60;
    pub(in super::super) const LOAD_X_SLOT: u16 = 0x61;
    pub(in super::super) const STORE: u16 = 0x02;
    pub(in super::super) const COPY_TO_X: u16 = 0x07;
    pub(in super::super) const COPY_FROM_X: u16 = 0x87;
    pub(in super::super) const ADD: u16 = 0x04;
    pub(in super::super) const ADD_X: u16 = 0x0c;
    pub(in super::super) const SUBTRACT: u16 = 0x14;
    pub(in super::super) const AND: u16 = 0x54;
    pub(in super::super) const SHIFT_RIGHT: u16 = 0x74;
    pub(in super::super) const JUMP: u16 = 0x05;
    pub(in super::super) const IF_EQUAL: u16 = 0x15;
    pub(in super::super) const IF_EQUAL_X: u16 = 0x1d;
    pub(in super::super) const IF_ABOVE: u16 = 0x25;
    pub(in super::super) const IF_AT_LEAST: u16 = 0x35;
    pub(in super::super) const IF_AT_LEAST_X: u16 = 0x3d;
    pub(in super::super) const IF_ANY_BIT: u16 = 0x45;
    pub(in super::super) const RETURN: u16 = 0x06;
}

impl Instruction {
    /// An instruction that does not jump.
    pub(super) const fn new(code: u16, operand: u32) -> Self {
        Self { code, on_true: 0, on_false: 0, operand }
    }

    /// Ends the program and accepts `len` bytes of the frame; 0 drops it.
    pub(in crate::io::live) const fn returning(len: u32) -> Self {
        Self::new(opcodes::RETURN, len)
    }

    pub(super) const fn to_sock_filter(self) -> SockFilter {
        SockFilter::new(self.code, self.on_true, self.on_false, self.operand)
    }
}

/// A position in a program: the number of instructions from there to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program that is being built.
#[derive(Debug, Default)]
pub(super) struct ProgramBuilder {
    /// The last instruction first.
    reversed: Vec<Instruction>,
}

impl ProgramBuilder {
    /// The label of the first instruction so far.
    pub(super) const fn current_label(&self) -> Label {
        Label(self.reversed.len())
    }

    /// Prepends instructions in the given order.
    pub(super) fn prepend(&mut self, instructions: &[Instruction]) -> Label {
        self.reversed.extend(instructions.iter().rev());
        self.current_label()
    }

    /// Prepends a test of the accumulator that continues at one of two labels.
    pub(super) fn branch(
        &mut self,
        test: u16,
        operand: u32,
        on_true: Label,
        on_false: Label,
    ) -> Label {
        let on_true = self.reachable_label(on_true);
        let on_false = self.reachable_label(on_false);
        let distance = |label| u8::try_from(self.distance(label)).unwrap_or(u8::MAX);
        let (on_true, on_false) = (distance(on_true), distance(on_false));
        self.prepend(&[Instruction { code: test, on_true, on_false, operand }])
    }

    /// The finished program in the order of execution.
    pub(super) fn build(mut self) -> Vec<Instruction> {
        self.reversed.reverse();
        self.reversed
    }

    /// A label within reach of a conditional jump that continues at `label`.
    fn reachable_label(&mut self, label: Label) -> Label {
        if self.distance(label) < MAX_BRANCH_DISTANCE {
            return label;
        }
        let distance = u32::try_from(self.distance(label)).unwrap_or(u32::MAX);
        self.prepend(&[Instruction::new(opcodes::JUMP, distance)])
    }

    /// Number of instructions between the next one to be prepended and a label.
    const fn distance(&self, label: Label) -> usize {
        self.reversed.len().saturating_sub(label.0)
    }
}

/// The labels at which a part of a program continues: `reject` drops the frame, `accept` continues
/// or accepts it whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExitLabels {
    pub(super) reject: Label,
    pub(super) accept: Label,
}

/// Emits a test of the frame length: a load beyond the end of a frame would drop the frame.
pub(super) fn emit_min_len_test(
    builder: &mut ProgramBuilder,
    len: u32,
    enough: Label,
    short: Label,
) -> Label {
    builder.branch(opcodes::IF_AT_LEAST, len, enough, short);
    builder.prepend(&[Instruction::new(opcodes::LOAD_LEN, 0)])
}

pub(super) const fn load_word(at: u32) -> Instruction {
    Instruction::new(opcodes::LOAD_WORD, at)
}

pub(super) const fn load_half(at: u32) -> Instruction {
    Instruction::new(opcodes::LOAD_HALF, at)
}

pub(super) const fn load_byte(at: u32) -> Instruction {
    Instruction::new(opcodes::LOAD_BYTE, at)
}

pub(super) const fn load_slot(slot: u32) -> Instruction {
    Instruction::new(opcodes::LOAD_SLOT, slot)
}

pub(super) const fn store(slot: u32) -> Instruction {
    Instruction::new(opcodes::STORE, slot)
}
