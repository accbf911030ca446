//! System calls and instructions that no library wraps as we need them: the only `unsafe` of the
//! crate.
//!
//! What belongs here: one call or one small group of calls a file, behind a safe function, each
//! block with the invariant and who keeps it. What does not: any decision about what the numbers
//! that come back mean.
#![expect(unsafe_code, reason = "the one place for it")]

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
