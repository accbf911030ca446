//! The machine of classic BPF in plain Rust, for the codes that the filter uses.

use super::super::code::{Instruction, codes::*};
use super::super::program::{MARK, PACKET_TYPE};

/// A frame and what the kernel knows of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
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

/// How many bytes the program takes. A load behind the end is the end.
pub(super) fn run(program: &[Instruction], seen: Seen<'_>) -> u32 {
    let mut registers = Registers::default();
    let mut at = 0;
    loop {
        let one = program[at];
        at += 1;
        match one.code {
            RETURN => return one.operand,
            JUMP => at += place(one.operand),
            IF_EQUAL | IF_EQUAL_X | IF_ABOVE | IF_AT_LEAST | IF_AT_LEAST_X | IF_ANY_BIT => {
                at += usize::from(way(one, &registers));
            }
            _ => {
                if compute(one, &mut registers, seen).is_none() {
                    return 0;
                }
            }
        }
    }
}

fn way(one: Instruction, Registers { a, x, .. }: &Registers) -> u8 {
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

fn compute(one: Instruction, registers: &mut Registers, seen: Seen<'_>) -> Option<()> {
    let k = one.operand;
    let Registers { a, x, slots } = registers;
    match one.code {
        LOAD_WORD => *a = load(seen, k, 4)?,
        LOAD_HALF => *a = load(seen, k, 2)?,
        LOAD_BYTE => *a = load(seen, k, 1)?,
        LOAD_HALF_AT_X => *a = load(seen, x.wrapping_add(k), 2)?,
        LOAD_X_HEADER_LEN => *x = 4 * (load(seen, k, 1)? & 0xf),
        LOAD_LEN => *a = u32::try_from(seen.bytes.len()).unwrap(),
        LOAD_SLOT => *a = slots[place(k)],
        LOAD_X_SLOT => *x = slots[place(k)],
        STORE => slots[place(k)] = *a,
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

fn load(seen: Seen<'_>, at: u32, len: usize) -> Option<u32> {
    match at {
        MARK => return Some(seen.mark),
        PACKET_TYPE => return Some(seen.packet_type),
        _ => {}
    }
    let bytes = seen.bytes.get(place(at)..)?.get(..len)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// A number of the machine as an index.
pub(super) fn place(number: u32) -> usize {
    usize::try_from(number).unwrap()
}
