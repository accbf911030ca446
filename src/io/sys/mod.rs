//! System calls and instructions that no library provides in the needed form. This is the only
//! folder with `unsafe` code.
//!
//! What belongs here: one call or one small group of calls per file, behind a safe function. Each
//! `unsafe` block states the invariant and the code that upholds it. What does not: decisions about
//! the meaning of the returned values.
#![expect(unsafe_code, reason = "the only folder with unsafe code")]

#[cfg(feature = "live")]
pub(crate) mod bpf;
#[cfg(feature = "live")]
pub(crate) mod capability;
#[cfg(feature = "live")]
pub(crate) mod error_queue;
#[cfg(feature = "live")]
pub(crate) mod ethtool;
mod mapped_file;
#[cfg(feature = "live")]
pub(crate) mod memory_size;
#[cfg(feature = "live")]
pub(crate) mod namespace;
#[cfg(feature = "live")]
pub(crate) mod option;
#[cfg(feature = "live")]
pub(crate) mod recvmmsg;
#[cfg(feature = "live")]
pub(crate) mod resource;
#[cfg(feature = "live")]
pub(crate) mod ring;
#[cfg(feature = "live")]
pub(crate) mod ring_memory;
#[cfg(feature = "live")]
pub(crate) mod ring_slot;
#[cfg(feature = "live")]
pub(crate) mod sendmmsg;
#[cfg(feature = "live")]
pub(crate) mod signal;

#[cfg(feature = "live")]
pub(crate) use mapped_file::prefetch_for_write;
pub(crate) use mapped_file::{MappedFile, prefetch};
