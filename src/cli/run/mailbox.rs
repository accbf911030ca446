//! The two ways between the main thread and a worker: a mailbox, and a status that is written on
//! request.
//!
//! What belongs here: atomics, locks and their order, nothing of what is sent.
//! `tests/interleavings.rs` includes this file and runs it through all interleavings.

use super::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering, PoisonError};

/// Messages to a worker, in the order in which they were sent.
pub(super) struct Mailbox<T> {
    messages: Arc<Mutex<Vec<T>>>,
    /// Set after a message was put in; cleared before messages are taken out. Messages may be
    /// there only while it is set, or while their sender is about to set it.
    has_messages: Arc<AtomicBool>,
}

impl<T> Mailbox<T> {
    pub(super) fn new() -> Self {
        Self {
            messages: Arc::new(Mutex::new(Vec::new())),
            has_messages: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Puts a message in.
    pub(super) fn send(&self, message: T) {
        locked(&self.messages).push(message);
        self.has_messages.store(true, Ordering::Release);
    }

    /// Takes out all messages; one load where there are none.
    #[inline]
    pub(super) fn take_all(&self) -> Vec<T> {
        if !self.has_messages.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.has_messages.store(false, Ordering::Release);
        std::mem::take(&mut *locked(&self.messages))
    }
}

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

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self { messages: Arc::clone(&self.messages), has_messages: Arc::clone(&self.has_messages) }
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
