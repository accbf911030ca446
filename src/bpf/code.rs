//! An assembled program, with references that are resolved when it is loaded.

use super::function::FunctionKind;
use super::instruction::Instruction;

/// The place of a map in the list that a program is loaded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MapSlot(pub u8);

/// A function of the kernel that has no fixed number and is found by its name in the kernel's type
/// information (BTF).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KernelFunction {
    /// `bpf_cast_to_kern_ctx`: the `sk_buff` of a `__sk_buff`.
    CastToKernelContext,
}

impl KernelFunction {
    /// Its name in the kernel.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CastToKernelContext => "bpf_cast_to_kern_ctx",
        }
    }
}

/// What the instruction at an index refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// A map: its descriptor becomes the immediate.
    Map(MapSlot),
    /// A function of the kernel: its BTF id becomes the immediate.
    Function(KernelFunction),
}

/// An assembled program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    pub(super) instructions: Vec<Instruction>,
    pub(super) references: Vec<(usize, Reference)>,
    pub(super) functions: Vec<(usize, FunctionKind)>,
}

impl Code {
    /// The instructions. Those with a reference have an immediate of zero.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The references, each with the index of its instruction.
    #[must_use]
    pub fn references(&self) -> &[(usize, Reference)] {
        &self.references
    }

    /// The functions, each with the index of its first instruction; empty if the program has one
    /// function only.
    #[must_use]
    pub fn functions(&self) -> &[(usize, FunctionKind)] {
        &self.functions
    }

    /// The instructions with each reference replaced by the value that `resolve` returns for it.
    ///
    /// # Errors
    /// The first error of `resolve`.
    pub fn resolved<E>(
        &self,
        mut resolve: impl FnMut(Reference) -> Result<i32, E>,
    ) -> Result<Vec<Instruction>, E> {
        let mut instructions = self.instructions.clone();
        for (index, reference) in &self.references {
            let value = resolve(*reference)?;
            if let Some(instruction) = instructions.get_mut(*index) {
                *instruction = instruction.with_immediate(value);
            }
        }
        Ok(instructions)
    }
}

/// The program cannot be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssemblyError {
    /// A jump is longer than 32,767 instructions.
    #[error("the program has a jump of more than 32,767 instructions")]
    JumpTooLong,
    /// A label was used and not placed. This is a defect of the code that made the program.
    #[error("the program has a jump to a label without a place")]
    UnplacedLabel,
}
