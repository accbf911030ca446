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

mod classify;
mod context;
mod counter_layout;
mod decision;
mod direction_tables;
mod does_not_fit;
mod encapsulator;
#[cfg(test)]
mod evaluate;
mod exclusions;
mod far_headers;
mod fit;
mod fixed_sums;
mod frame_sum;
mod groups;
mod hash;
mod known_targets;
mod layout;
mod limits;
mod nesting;
mod outcome;
pub(crate) mod parsed;
mod parser;
mod paths;
mod plain;
mod ports;
#[cfg(test)]
pub(crate) mod random_rules;
mod record;
mod rule_fields;
mod segments;
#[cfg(test)]
pub(crate) mod specification;
mod stack;
mod suspect;
mod table;
mod tables;
mod tap;
mod words;

#[cfg(test)]
pub(crate) use classify::emit_classify;
pub use context::{CONTEXT_LEN, HeaderKind, MirrorState, PATH_LEN, PathEntry};
pub use counter_layout::{CounterLayout, KernelCounts};
pub use does_not_fit::DoesNotFit;
pub use encapsulator::{KernelMarks, Place, encapsulator};
#[cfg(test)]
pub(crate) use far_headers::flow_fields_program;
pub use fit::{check_fit, check_table};
#[cfg(test)]
pub(crate) use outcome::reason_code;
pub use outcome::{KernelOutcome, OutcomeList};
#[cfg(test)]
pub(crate) use parser::emit_parser;
pub use paths::{KernelPath, PathRoute};
pub(crate) use suspect::{TUNNEL_PORTS, TUNNEL_PROTOCOLS};
pub use table::KernelTable;
#[cfg(test)]
pub(crate) use tables::WordTables;
pub use tap::{ChecksumField, TapOptions};
