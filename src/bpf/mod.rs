//! A small typed assembler for eBPF.
//!
//! What belongs here: instructions, labels and references to maps and functions of the kernel, as
//! values. What does not: system calls (`io::sys::bpf`) and the meaning of a program
//! (`dataplane::kernel`).
//!
//! ```
//! use traffic_mirror::bpf::{Assembler, Condition, Register::*, Size};
//!
//! // Returns 1 if the packet has more than 100 bytes (`__sk_buff.len` is at offset 0), else 0.
//! let mut code = Assembler::new();
//! let short = code.label();
//! code.load(Size::Word, R2, R1, 0);
//! code.set(R0, 0);
//! code.jump_if(Condition::AtMost, R2, 100, short);
//! code.set(R0, 1);
//! code.place(short);
//! code.exit();
//! assert_eq!(code.finish()?.instructions().len(), 5);
//! # Ok::<(), traffic_mirror::bpf::AssemblyError>(())
//! ```

mod assembler;
mod code;
mod function;
mod instruction;

pub use assembler::{Assembler, Label};
pub use code::{AssemblyError, Code, KernelFunction, MapSlot, Reference};
pub use function::{FunctionKind, type_information};
pub use instruction::{Alu, Condition, FunctionId, Instruction, Operand, Register, Size};
