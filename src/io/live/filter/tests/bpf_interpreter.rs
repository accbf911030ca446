//! An interpreter of classic BPF in plain Rust, for the opcodes that the filter uses.

use super::super::program::{MARK, PACKET_TYPE};
use super::super::program_builder::{Instruction, opcodes::*};

/// A frame and its metadata in the kernel.
#[derive(Debug, Clone, Copy)]
pub(super) struct TestFrame<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) mark: u32,
    pub(super) packet_type: u32,
}

#[derive(Default)]
struct Registers {
    a: u32,
    x: u32,
    slots: [u32; 16],
}

/// Number of bytes that the program accepts. A load beyond the end of the frame rejects it.
pub(super) fn run(program: &[Instruction], test_frame: TestFrame<'_>) -> u32 {
    let mut registers = Registers::default();
    let mut at = 0;
    loop {
        let one = program[at];
        at += 1;
        match one.code {
            RETURN => return one.operand,
            JUMP => at += to_usize(one.operand),
            IF_EQUAL | IF_EQUAL_X | IF_ABOVE | IF_AT_LEAST | IF_AT_LEAST_X | IF_ANY_BIT => {
                at += usize::from(branch_offset(one, &registers));
            }
            _ => {
                if compute(one, &mut registers, test_frame).is_none() {
                    return 0;
                }
            }
        }
    }
}

fn branch_offset(one: Instruction, Registers { a, x, .. }: &Registers) -> u8 {
    let is_true = match one.code {
        IF_EQUAL => *a == one.operand,
        IF_EQUAL_X => a == x,
        IF_AT_LEAST_X => a >= x,
        IF_ABOVE => *a > one.operand,
        IF_AT_LEAST => *a >= one.operand,
        _ => a & one.operand != 0,
    };
    if is_true { one.on_true } else { one.on_false }
}

fn compute(one: Instruction, registers: &mut Registers, test_frame: TestFrame<'_>) -> Option<()> {
    let k = one.operand;
    let Registers { a, x, slots } = registers;
    match one.code {
        LOAD_WORD => *a = load(test_frame, k, 4)?,
        LOAD_HALF => *a = load(test_frame, k, 2)?,
        LOAD_BYTE => *a = load(test_frame, k, 1)?,
        LOAD_HALF_AT_X => *a = load(test_frame, x.wrapping_add(k), 2)?,
        LOAD_X_HEADER_LEN => *x = 4 * (load(test_frame, k, 1)? & 0xf),
        LOAD_LEN => *a = u32::try_from(test_frame.bytes.len()).unwrap(),
        LOAD_SLOT => *a = slots[to_usize(k)],
        LOAD_X_SLOT => *x = slots[to_usize(k)],
        STORE => slots[to_usize(k)] = *a,
        COPY_TO_X => *x = *a,
        COPY_FROM_X => *a = *x,
        ADD => *a = a.wrapping_add(k),
        ADD_X => *a = a.wrapping_add(*x),
        SUBTRACT => *a = a.wrapping_sub(k),
        AND => *a &= k,
        SHIFT_RIGHT => *a >>= k,
        other => panic!("no such code: {other:#x}"),
    }
    Some(())
}

fn load(test_frame: TestFrame<'_>, at: u32, len: usize) -> Option<u32> {
    match at {
        MARK => return Some(test_frame.mark),
        PACKET_TYPE => return Some(test_frame.packet_type),
        _ => {}
    }
    let bytes = test_frame.bytes.get(to_usize(at)..)?.get(..len)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// Converts a number of the machine to an index.
pub(super) fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap()
}
