//! System calls and instructions that no library wraps as we need them: the only `unsafe` of the
//! crate.
//!
//! What belongs here: one call or one small group of calls a file, behind a safe function, each
//! block with the invariant and who keeps it. What does not: any decision about what the numbers
//! that come back mean.
#![expect(unsafe_code, reason = "the one place for it")]

pub(crate) mod capability;
pub(crate) mod error_queue;
pub(crate) mod ethtool;
mod mapped_file;
pub(crate) mod memory_size;
pub(crate) mod namespace;
pub(crate) mod option;
pub(crate) mod recvmmsg;
pub(crate) mod resource;
pub(crate) mod ring;
pub(crate) mod ring_memory;
pub(crate) mod ring_slot;
pub(crate) mod sendmmsg;
pub(crate) mod signal;

pub(crate) use mapped_file::{MappedFile, prefetch, prefetch_for_write};
