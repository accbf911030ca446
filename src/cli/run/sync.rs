//! The primitives of mailbox and board; `tests/interleavings.rs` puts those of shuttle in their place.

pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
