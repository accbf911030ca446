//! Who may: the registry of resources, configuration files, compilation of both into a mirror
//! table. Slow; may lock and allocate.
//!
//! What belongs here: whether resources go together, and every way from text to resources and
//! back. What does not: what a single value may be (that is `model`), what becomes of a packet
//! (`dataplane`), exit codes and colours (`cli`).

pub mod account;
pub mod classbench;
mod compile;
pub mod config;
mod interface_tables;
mod nearest;
mod registry;
pub mod render;

pub use compile::{CompileOptions, compile, recompile, with_network_ids};
pub use interface_tables::{FullyCompiledTables, InterfaceTable, InterfaceTables, TableUpdate};
pub use registry::Registry;
