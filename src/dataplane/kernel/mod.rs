//! The mirror table as eBPF programs: the kernel tier.
//!
//! What belongs here: the translation of a table into programs and the contents of their maps, as
//! values. What does not: loading and attaching them (`io::kernel`). The programs give the same
//! outcomes as [`MirrorTable::decide`](super::MirrorTable::decide); tests compare both.
//!
//! Conventions of all emitted code: R6 is the `__sk_buff`. A flow key on the stack has the layout
//! of [`FlowKey`](super::FlowKey): addresses in network order (32 bytes; an IPv4 address is in the
//! first four bytes of its half), then source port, destination port and protocol (u16, host
//! order), `has_ports` and `is_ipv4` (u8).

#[expect(dead_code, reason = "the programs that use it follow")]
mod layout;
#[expect(dead_code, reason = "the programs that use it follow")]
mod outcome;

pub use outcome::{KernelOutcome, OutcomeList};
