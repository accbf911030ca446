//! The kernel tier: loads and attaches the programs of a mirror table, and reads their counters.
//!
//! What belongs here: maps, programs, links, the pad and the paths to the targets. What does not:
//! the translation of a table into programs (`dataplane::kernel`) and the choice of the tier
//! (`runtime`).

mod btf;
mod error;
mod generation;
mod mirror;
mod oracle;
mod path_maps;
mod programs;
#[cfg(test)]
mod tests;
mod tier;

pub use error::KernelTierError;
pub use mirror::KernelMirror;
pub use oracle::KernelOracle;
pub use tier::KernelTier;
