//! The status of a worker, which is written on request.
//!
//! What belongs here: atomics, locks and their order, nothing of what is published.
//! `tests/interleavings.rs` includes this file and runs it through all interleavings.

use super::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering, PoisonError};

/// What a worker publishes, and whether somebody waits for it.
pub(super) struct Status<T> {
    published: Arc<Mutex<T>>,
    is_requested: Arc<AtomicBool>,
    /// Nothing has happened since it was published, and the worker waits for something to happen.
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

    /// Whether the status need not be requested: it would be the same.
    pub(super) fn is_current(&self) -> bool {
        self.is_current.load(Ordering::Acquire)
    }

    /// Tells readers whether something may happen that is not published yet.
    pub(super) fn set_current(&self, is_current: bool) {
        self.is_current.store(is_current, Ordering::Release);
    }

    /// Asks for the status to be written anew.
    pub(super) fn request(&self) {
        self.is_requested.store(true, Ordering::Release);
    }

    /// Whether the status was requested and not written since.
    #[inline]
    pub(super) fn is_requested(&self) -> bool {
        self.is_requested.load(Ordering::Acquire)
    }

    /// Writes the status. The request is cleared under the lock: a reader that no longer sees its
    /// request then waits for the lock, and reads what was written for it. A request that comes
    /// during the writing stays.
    pub(super) fn publish(&self, write: impl FnOnce(&mut T)) {
        let mut published = locked(&self.published);
        self.is_requested.store(false, Ordering::Release);
        write(&mut published);
    }

    /// What was published last.
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

/// A thread that panicked while it wrote leaves an old status, which does no harm.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
