//! The control plane: the registry of resources, configuration files, AWS's rules for an account,
//! and the compilation of resources into a mirror table. It is not on the path of packets, so it
//! may be slow, lock and allocate.
//!
//! What belongs here: the consistency of resources, and conversions between texts and resources.
//! What does not: the range of a single value (`model`), the processing of a packet (`dataplane`),
//! exit codes and colours (`cli`).

pub mod account;
pub mod classbench;
mod compile;
pub mod config;
mod derived_ids;
mod interface_tables;
#[cfg(feature = "live")]
mod kernel_fit;
mod nearest;
mod registry;
pub mod render;
pub mod vpc;

pub use compile::{CompileOptions, compile, recompile, with_network_ids};
pub use interface_tables::{FullyCompiledTables, InterfaceTable, InterfaceTables, TableUpdate};
#[cfg(feature = "live")]
pub use kernel_fit::kernel_fit;
pub use registry::Registry;
