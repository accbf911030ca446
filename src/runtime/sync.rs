//! The primitives of mailbox, status and receipt; `tests/interleavings.rs` puts those of shuttle in
//! their place.

pub(super) use std::sync::atomic::{AtomicBool, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
