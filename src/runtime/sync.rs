//! The synchronisation primitives of status and receipt. `tests/interleavings.rs` replaces them by
//! those of the crate shuttle.

pub(super) use std::sync::atomic::{AtomicBool, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
