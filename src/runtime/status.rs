//! The status of a worker, which the worker publishes on request.
//!
//! What belongs here: the atomics, the lock and their order. What does not belong here: the
//! contents of the status. `tests/interleavings.rs` includes this file and tests all interleavings.

use super::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering, PoisonError};

/// A published value, and whether a reader has requested a new one.
pub(super) struct Status<T> {
    published: Arc<Mutex<T>>,
    is_requested: Arc<AtomicBool>,
    /// Whether the worker is idle and nothing has changed since the last publication.
    is_current: Arc<AtomicBool>,
}

impl<T: Default> Status<T> {
    pub(super) fn new() -> Self {
        Self {
            published: Arc::new(Mutex::new(T::default())),
            is_requested: Arc::new(AtomicBool::new(false)),
            is_current: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Whether the published status is complete, so that a request is not needed.
    pub(super) fn is_current(&self) -> bool {
        self.is_current.load(Ordering::Acquire)
    }

    /// Sets whether the published status is complete.
    pub(super) fn set_current(&self, is_current: bool) {
        self.is_current.store(is_current, Ordering::Release);
    }

    /// Requests a new status.
    pub(super) fn request(&self) {
        self.is_requested.store(true, Ordering::Release);
    }

    /// Whether a status was requested and not yet published.
    #[inline]
    pub(super) fn is_requested(&self) -> bool {
        self.is_requested.load(Ordering::Acquire)
    }

    /// Publishes the status. The request is cleared under the lock and before the write: a reader
    /// that sees its request cleared waits for the lock and reads the new status. A request that
    /// arrives during the write stays.
    pub(super) fn publish(&self, write: impl FnOnce(&mut T)) {
        let mut published = locked(&self.published);
        self.is_requested.store(false, Ordering::Release);
        write(&mut published);
    }

    /// The status that was published last.
    pub(super) fn read(&self) -> MutexGuard<'_, T> {
        locked(&self.published)
    }
}

impl<T> Clone for Status<T> {
    fn clone(&self) -> Self {
        Self {
            published: Arc::clone(&self.published),
            is_requested: Arc::clone(&self.is_requested),
            is_current: Arc::clone(&self.is_current),
        }
    }
}

/// Locks a mutex. If a thread panicked while it held the lock, the last status is used.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
