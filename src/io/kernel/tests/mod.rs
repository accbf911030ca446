//! Compares functions of programs with the code of user space, by test runs in the kernel.

mod classify;
mod encapsulator;
mod frames;
mod nesting;
mod parser;
mod test_program;
mod whole_frames;
