//! System calls and instructions that no library provides in the needed form. This is the only
//! folder with `unsafe` code.
//!
//! What belongs here: one call or one small group of calls per file, behind a safe function. Each
//! `unsafe` block states the invariant and the code that upholds it. What does not: decisions about
//! the meaning of the returned values.
#![expect(unsafe_code, reason = "the only folder with unsafe code")]

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
