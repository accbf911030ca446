//! The loop guard that all workers share: each takes the newest one between two bursts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::dataplane::LoopGuard;

/// The guard in force. Workers that have no frames are not woken for another one.
#[derive(Clone)]
pub(super) struct SharedGuard {
    shared: Arc<Shared>,
}

struct Shared {
    /// Goes up whenever the guard changes.
    generation: AtomicU64,
    guard: Mutex<Arc<LoopGuard>>,
}

impl SharedGuard {
    pub(super) fn new(guard: Arc<LoopGuard>) -> Self {
        let shared = Shared { generation: AtomicU64::new(1), guard: Mutex::new(guard) };
        Self { shared: Arc::new(shared) }
    }

    /// Puts another guard in force, if it is another one.
    pub(super) fn replace(&self, guard: &Arc<LoopGuard>) {
        let mut known = self.shared.guard.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&known, guard) {
            *known = Arc::clone(guard);
            self.shared.generation.fetch_add(1, Ordering::Release);
        }
    }

    /// A number that changes whenever the guard does.
    #[inline]
    pub(super) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// The guard in force.
    pub(super) fn guard(&self) -> Arc<LoopGuard> {
        Arc::clone(&self.shared.guard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
