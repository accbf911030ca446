//! The loop guard that all workers share. Each worker applies the newest one between two bursts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::dataplane::LoopGuard;

/// The current guard. Workers without frames are not woken when it changes.
#[derive(Clone)]
pub(super) struct SharedGuard {
    shared: Arc<Shared>,
}

struct Shared {
    /// Increases with each change of the guard.
    generation: AtomicU64,
    guard: Mutex<Arc<LoopGuard>>,
}

impl SharedGuard {
    pub(super) fn new(guard: Arc<LoopGuard>) -> Self {
        let shared = Shared { generation: AtomicU64::new(1), guard: Mutex::new(guard) };
        Self { shared: Arc::new(shared) }
    }

    /// Replaces the guard, if `guard` is a different one.
    pub(super) fn replace(&self, guard: &Arc<LoopGuard>) {
        let mut known = self.shared.guard.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&known, guard) {
            *known = Arc::clone(guard);
            self.shared.generation.fetch_add(1, Ordering::Release);
        }
    }

    /// A number that increases with each change of the guard.
    #[inline]
    pub(super) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// The current guard.
    pub(super) fn guard(&self) -> Arc<LoopGuard> {
        Arc::clone(&self.shared.guard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
