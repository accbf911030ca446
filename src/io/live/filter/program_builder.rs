//! Writes classic BPF from its end to its beginning, so that every jump knows its distance.
//!
//! Jumps of this machine only lead forward, and a conditional one no further than 255
//! instructions. Written backwards, all places that a jump may lead to are there already.

use socket2::SockFilter;

/// How far a conditional jump leads at the most, with room for two unconditional ones.
const MAX_BRANCH_DISTANCE: usize = 250;

/// One instruction, as `struct sock_filter` of `linux/filter.h` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::io::live) struct Instruction {
    pub(super) code: u16,
    pub(super) on_true: u8,
    pub(super) on_false: u8,
    pub(super) operand: u32,
}

/// The codes of `linux/bpf_common.h` that are used. `A` is the accumulator, `X` the other register.
pub(super) mod opcodes {
    pub(in super::super) const LOAD_WORD: u16 = 0x20;
    pub(in super::super) const LOAD_HALF: u16 = 0x28;
    pub(in super::super) const LOAD_BYTE: u16 = 0x30;
    pub(in super::super) const LOAD_LEN: u16 = 0x80;
    /// A half word at X and so many bytes.
    pub(in super::super) const LOAD_HALF_AT_X: u16 = 0x48;
    /// The length of an IPv4 header to X, four times the low half of a byte.
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

    /// The end: so many bytes of the frame are wanted.
    pub(in crate::io::live) const fn returning(len: u32) -> Self {
        Self::new(opcodes::RETURN, len)
    }

    pub(super) const fn to_sock_filter(self) -> SockFilter {
        SockFilter::new(self.code, self.on_true, self.on_false, self.operand)
    }
}

/// A place in a program: how many instructions there are from there to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program that is being written.
#[derive(Debug, Default)]
pub(super) struct ProgramBuilder {
    /// The last instruction first.
    reversed: Vec<Instruction>,
}

impl ProgramBuilder {
    /// Where what was written last begins.
    pub(super) const fn current_label(&self) -> Label {
        Label(self.reversed.len())
    }

    /// Puts instructions in front, in their order.
    pub(super) fn prepend(&mut self, instructions: &[Instruction]) -> Label {
        self.reversed.extend(instructions.iter().rev());
        self.current_label()
    }

    /// Puts a test of the accumulator in front, and goes on at one of two places.
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

    /// The program, the first instruction first.
    pub(super) fn build(mut self) -> Vec<Instruction> {
        self.reversed.reverse();
        self.reversed
    }

    /// A place that a conditional jump reaches and from which it goes on to `label`.
    fn reachable_label(&mut self, label: Label) -> Label {
        if self.distance(label) < MAX_BRANCH_DISTANCE {
            return label;
        }
        let distance = u32::try_from(self.distance(label)).unwrap_or(u32::MAX);
        self.prepend(&[Instruction::new(opcodes::JUMP, distance)])
    }

    /// How many instructions lie between the one that is put next and a place.
    const fn distance(&self, label: Label) -> usize {
        self.reversed.len().saturating_sub(label.0)
    }
}

/// Where a part of a program goes on: for what is dropped, and for what goes on or comes whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExitLabels {
    pub(super) reject: Label,
    pub(super) accept: Label,
}

/// A load behind the end of a frame would drop it.
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
