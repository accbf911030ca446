//! Appends instructions, and resolves labels at the end.

use super::code::{AssemblyError, Code, KernelFunction, MapSlot, Reference};
use super::function::FunctionKind;
use super::instruction::{Alu, Condition, FunctionId, Instruction, Operand, Register, Size};

// Classes and modes of opcodes (RFC 9669, section 3).
const LOAD_IMMEDIATE_DOUBLE: u8 = 0x18;
const LOAD: u8 = 0x61;
const STORE_IMMEDIATE: u8 = 0x62;
const STORE: u8 = 0x63;
const ATOMIC: u8 = 0xc3;
const ALU_32: u8 = 0x04;
const ALU_64: u8 = 0x07;
const JUMP: u8 = 0x05;
const JUMP_32: u8 = 0x06;
/// The second operand is a register.
const FROM_REGISTER: u8 = 0x08;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
const TO_BIG_ENDIAN: u8 = 0xdc;

// Immediates of atomic operations.
const FETCH: i32 = 0x01;
const COMPARE_EXCHANGE: i32 = 0xf0 | FETCH;

// Pseudo source registers (linux/bpf.h).
const MAP_DESCRIPTOR: u8 = 1;
const MAP_VALUE: u8 = 2;
const LOCAL_FUNCTION: u8 = 1;
const KERNEL_FUNCTION: u8 = 2;

/// A place in the program that jumps and calls refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Label(usize);

/// An instruction whose distance to a label is not known yet.
#[derive(Debug, Clone, Copy)]
enum Fixup {
    /// The offset of the instruction.
    Jump(usize, Label),
    /// The immediate of the instruction.
    Call(usize, Label),
}

/// A program under construction.
#[derive(Debug, Default)]
pub struct Assembler {
    instructions: Vec<Instruction>,
    references: Vec<(usize, Reference)>,
    /// By label: the index of the instruction at its place.
    places: Vec<Option<usize>>,
    fixups: Vec<Fixup>,
    functions: Vec<(usize, FunctionKind)>,
}

impl Assembler {
    /// An empty program.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A label without a place.
    pub fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    /// Places a label before the next instruction.
    pub fn place(&mut self, label: Label) {
        if let Some(place) = self.places.get_mut(label.0) {
            *place = Some(self.instructions.len());
        }
    }

    /// Begins a function at the next instruction, which the label denotes. The main function, at the
    /// first instruction, begins without a call of this method.
    pub fn begin_function(&mut self, label: Label, kind: FunctionKind) {
        if self.functions.is_empty() {
            self.functions.push((0, FunctionKind::Local));
        }
        self.functions.push((self.instructions.len(), kind));
        self.place(label);
    }

    /// A new label, placed before the next instruction: the target of a loop.
    pub fn here(&mut self) -> Label {
        let label = self.label();
        self.place(label);
        label
    }

    /// `register = operand`, all 64 bits.
    pub fn set(&mut self, register: Register, operand: impl Into<Operand>) {
        self.alu(Alu::Move, register, operand);
    }

    /// `register = value`, in one instruction if the value fits.
    pub fn set_u64(&mut self, register: Register, value: u64) {
        let signed = value.cast_signed();
        if let Ok(small) = i32::try_from(signed) {
            return self.set(register, small);
        }
        self.push_double(register, 0, halves(value));
    }

    /// `register = address of the map`.
    pub fn set_map(&mut self, register: Register, map: MapSlot) {
        self.references.push((self.instructions.len(), Reference::Map(map)));
        self.push_double(register, MAP_DESCRIPTOR, [0, 0]);
    }

    /// `register = address of the byte at this offset` in the only value of an array map.
    pub fn set_map_value(&mut self, register: Register, map: MapSlot, offset: u32) {
        self.references.push((self.instructions.len(), Reference::Map(map)));
        self.push_double(register, MAP_VALUE, [0, offset.cast_signed()]);
    }

    /// `register = register OP operand`, 64 bits.
    pub fn alu(&mut self, operation: Alu, register: Register, operand: impl Into<Operand>) {
        self.push_with_operand(ALU_64 | operation.code(), register, 0, operand.into());
    }

    /// `register = register OP operand`, lower 32 bits; the upper 32 become zero.
    pub fn alu_32(&mut self, operation: Alu, register: Register, operand: impl Into<Operand>) {
        self.push_with_operand(ALU_32 | operation.code(), register, 0, operand.into());
    }

    /// Converts the lower 16, 32 or 64 bits between host order and network order; the upper bits
    /// become zero.
    pub fn to_big_endian(&mut self, register: Register, size: Size) {
        let bits = match size {
            Size::Byte => return,
            Size::Half => 16,
            Size::Word => 32,
            Size::Double => 64,
        };
        self.push(Instruction::new(TO_BIG_ENDIAN, register, 0, bits));
    }

    /// `register = *(base + offset)`, extended with zeros.
    pub fn load(&mut self, size: Size, register: Register, base: Register, offset: i16) {
        let load = Instruction::new(LOAD | size.code(), register, offset, 0);
        self.push(load.with_source(base.number()));
    }

    /// `*(base + offset) = operand`.
    pub fn store(&mut self, size: Size, base: Register, offset: i16, operand: impl Into<Operand>) {
        match operand.into() {
            Operand::Register(source) => {
                let store = Instruction::new(STORE | size.code(), base, offset, 0);
                self.push(store.with_source(source.number()));
            }
            Operand::Immediate(value) => {
                self.push(Instruction::new(STORE_IMMEDIATE | size.code(), base, offset, value));
            }
        }
    }

    /// `*(base + offset) += register`, eight bytes, atomically.
    pub fn atomic_add(&mut self, base: Register, offset: i16, register: Register) {
        let add = Instruction::new(ATOMIC | Size::Double.code(), base, offset, 0);
        self.push(add.with_source(register.number()));
    }

    /// If the eight bytes at `base + offset` are equal to R0, they become `register`. R0 is then
    /// what they were before, in both cases.
    pub fn compare_exchange(&mut self, base: Register, offset: i16, register: Register) {
        let exchange =
            Instruction::new(ATOMIC | Size::Double.code(), base, offset, COMPARE_EXCHANGE);
        self.push(exchange.with_source(register.number()));
    }

    /// Continues at the label.
    pub fn jump(&mut self, label: Label) {
        self.fixups.push(Fixup::Jump(self.instructions.len(), label));
        self.push(Instruction::new(JUMP, Register::R0, 0, 0));
    }

    /// Continues at the label if the condition holds for all 64 bits.
    pub fn jump_if(
        &mut self,
        condition: Condition,
        register: Register,
        operand: impl Into<Operand>,
        label: Label,
    ) {
        self.fixups.push(Fixup::Jump(self.instructions.len(), label));
        self.push_with_operand(JUMP | condition.code(), register, 0, operand.into());
    }

    /// Continues at the label if the condition holds for the lower 32 bits.
    pub fn jump_if_32(
        &mut self,
        condition: Condition,
        register: Register,
        operand: impl Into<Operand>,
        label: Label,
    ) {
        self.fixups.push(Fixup::Jump(self.instructions.len(), label));
        self.push_with_operand(JUMP_32 | condition.code(), register, 0, operand.into());
    }

    /// Calls a helper of the kernel. Arguments are in R1 to R5, the result in R0.
    pub fn call(&mut self, helper: FunctionId) {
        self.push(Instruction::new(CALL, Register::R0, 0, helper.number()));
    }

    /// Calls a function of the kernel that is found by name.
    pub fn call_kernel(&mut self, function: KernelFunction) {
        self.references.push((self.instructions.len(), Reference::Function(function)));
        let call = Instruction::new(CALL, Register::R0, 0, 0);
        self.push(call.with_source(KERNEL_FUNCTION));
    }

    /// Calls the function of this program that begins at the label
    /// ([`Assembler::begin_function`]). A function ends with [`Assembler::exit`].
    pub fn call_function(&mut self, label: Label) {
        self.fixups.push(Fixup::Call(self.instructions.len(), label));
        let call = Instruction::new(CALL, Register::R0, 0, 0);
        self.push(call.with_source(LOCAL_FUNCTION));
    }

    /// Returns R0.
    pub fn exit(&mut self) {
        self.push(Instruction::new(EXIT, Register::R0, 0, 0));
    }

    /// The number of instructions so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Whether there is no instruction yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }

    /// Resolves all labels.
    ///
    /// # Errors
    /// A jump is too long, or its label has no place.
    pub fn finish(mut self) -> Result<Code, AssemblyError> {
        for fixup in std::mem::take(&mut self.fixups) {
            let (Fixup::Jump(index, label) | Fixup::Call(index, label)) = fixup;
            let place = self.places.get(label.0).copied().flatten();
            let place = place.ok_or(AssemblyError::UnplacedLabel)?;
            let Some(instruction) = self.instructions.get_mut(index) else { continue };
            // Distances count from the next instruction.
            let distance = i64::try_from(place).unwrap_or(i64::MAX)
                - i64::try_from(index + 1).unwrap_or(i64::MAX);
            let too_long = |_| AssemblyError::JumpTooLong;
            *instruction = match fixup {
                Fixup::Jump(..) => {
                    instruction.with_offset(i16::try_from(distance).map_err(too_long)?)
                }
                Fixup::Call(..) => {
                    instruction.with_immediate(i32::try_from(distance).map_err(too_long)?)
                }
            };
        }
        let Self { instructions, references, functions, .. } = self;
        Ok(Code { instructions, references, functions })
    }

    fn push(&mut self, instruction: Instruction) {
        self.instructions.push(instruction);
    }

    fn push_with_operand(&mut self, opcode: u8, register: Register, offset: i16, operand: Operand) {
        self.push(match operand {
            Operand::Immediate(value) => Instruction::new(opcode, register, offset, value),
            Operand::Register(source) => {
                let source = source.number();
                Instruction::new(opcode | FROM_REGISTER, register, offset, 0).with_source(source)
            }
        });
    }

    /// The instruction with an immediate of 64 bits, which takes the place of two.
    fn push_double(&mut self, register: Register, source: u8, [low, high]: [i32; 2]) {
        let first = Instruction::new(LOAD_IMMEDIATE_DOUBLE, register, 0, low);
        self.push(first.with_source(source));
        self.push(Instruction::new(0, Register::R0, 0, high));
    }
}

/// The lower and the upper half.
const fn halves(value: u64) -> [i32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [i32::from_le_bytes([a, b, c, d]), i32::from_le_bytes([e, f, g, h])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use Register::{R0, R1, R2, R6, R10};

    fn encoded(write: impl FnOnce(&mut Assembler)) -> Vec<Instruction> {
        let mut code = Assembler::new();
        write(&mut code);
        code.finish().unwrap().instructions
    }

    fn instruction(bytes: u64) -> Instruction {
        let [opcode, registers, a, b, c, d, e, f] = bytes.to_be_bytes();
        let (offset, immediate) = (i16::from_le_bytes([a, b]), i32::from_le_bytes([c, d, e, f]));
        Instruction { opcode, registers, offset, immediate }
    }

    /// The right column is what `llvm-mc` and `llvm-objdump` print.
    #[test]
    fn instructions_have_the_encoding_of_the_kernel() {
        let cases: [(Vec<Instruction>, &[u64]); 12] = [
            (encoded(|code| code.set(R6, R1)), &[0xbf16_0000_0000_0000]),
            (encoded(|code| code.set(R0, -1)), &[0xb700_0000_ffff_ffff]),
            (encoded(|code| code.set_u64(R1, 1 << 32)), &[0x1801_0000_0000_0000, 0x0100_0000]),
            (encoded(|code| code.alu(Alu::And, R1, R2)), &[0x5f21_0000_0000_0000]),
            (encoded(|code| code.alu_32(Alu::ShiftRight, R1, 8)), &[0x7401_0000_0800_0000]),
            (encoded(|code| code.load(Size::Byte, R0, R1, 16)), &[0x7110_1000_0000_0000]),
            (encoded(|code| code.store(Size::Word, R10, -4, R2)), &[0x632a_fcff_0000_0000]),
            (encoded(|code| code.store(Size::Double, R10, -8, 7)), &[0x7a0a_f8ff_0700_0000]),
            (encoded(|code| code.to_big_endian(R2, Size::Half)), &[0xdc02_0000_1000_0000]),
            (encoded(|code| code.atomic_add(R1, 8, R2)), &[0xdb21_0800_0000_0000]),
            (encoded(|code| code.compare_exchange(R1, 0, R2)), &[0xdb21_0000_f100_0000]),
            (encoded(|code| code.call(FunctionId::KtimeGetNs)), &[0x8500_0000_0500_0000]),
        ];
        for (found, expected) in cases {
            let expected: Vec<Instruction> = expected.iter().copied().map(instruction).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn labels_are_resolved_in_both_directions() {
        let found = encoded(|code| {
            let end = code.label();
            let start = code.here();
            code.jump_if(Condition::Equal, R1, 0, end);
            code.alu(Alu::Subtract, R1, 1);
            code.jump(start);
            code.place(end);
            code.exit();
        });
        let expected = [0x1501_0200_0000_0000, 0x1701_0000_0100_0000, 0x0500_fdff_0000_0000];
        assert_eq!(found[..3], expected.map(instruction));
    }

    #[test]
    fn a_label_without_a_place_and_a_long_jump_are_errors() {
        let mut code = Assembler::new();
        let label = code.label();
        code.jump(label);
        assert_eq!(code.finish(), Err(AssemblyError::UnplacedLabel));
        let mut code = Assembler::new();
        let label = code.label();
        code.jump(label);
        (0..40_000).for_each(|_| code.exit());
        code.place(label);
        assert_eq!(code.finish(), Err(AssemblyError::JumpTooLong));
    }

    #[test]
    fn references_are_resolved_by_the_loader() {
        let mut code = Assembler::new();
        code.set_map_value(R1, MapSlot(3), 40);
        code.call_kernel(KernelFunction::CastToKernelContext);
        let code = code.finish().unwrap();
        let resolved = code.resolved(|reference| match reference {
            Reference::Map(MapSlot(slot)) => Ok::<_, ()>(i32::from(slot) + 100),
            Reference::Function(_) => Ok(77),
        });
        let expected = [0x1821_0000_6700_0000, 0x2800_0000, 0x8520_0000_4d00_0000];
        assert_eq!(resolved.unwrap(), expected.map(instruction));
    }
}
