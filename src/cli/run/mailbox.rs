//! The two ways between the main thread and a worker: a mailbox, and a board that is written on
//! request.
//!
//! What belongs here: atomics, locks and their order, nothing of what is sent.
//! `tests/interleavings.rs` includes this file and runs it through all interleavings.

use super::sync::{Arc, AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, PoisonError};

/// Messages to a worker, in the order in which they were sent.
pub(super) struct Mailbox<T> {
    letters: Arc<Mutex<Vec<T>>>,
    /// Set after a message was put in; cleared before messages are taken out. Messages may be
    /// there only while it is set, or while their sender is about to set it.
    has_letters: Arc<AtomicBool>,
    /// How many messages were sent, and how many the worker has carried out.
    sent: Arc<AtomicU64>,
    obeyed: Arc<AtomicU64>,
}

impl<T> Mailbox<T> {
    pub(super) fn new() -> Self {
        Self {
            letters: Arc::new(Mutex::new(Vec::new())),
            has_letters: Arc::new(AtomicBool::new(false)),
            sent: Arc::new(AtomicU64::new(0)),
            obeyed: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Puts a message in. It counts as sent before it can be taken out, so the worker is never
    /// said to have carried out a message that it has not.
    pub(super) fn send(&self, letter: T) {
        self.sent.fetch_add(1, Ordering::Release);
        locked(&self.letters).push(letter);
        self.has_letters.store(true, Ordering::Release);
    }

    /// Takes out all messages; one load where there are none.
    #[inline]
    pub(super) fn open(&self) -> Vec<T> {
        if !self.has_letters.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.has_letters.store(false, Ordering::Release);
        std::mem::take(&mut *locked(&self.letters))
    }

    /// The worker has carried out one message.
    pub(super) fn is_obeyed(&self) {
        self.obeyed.fetch_add(1, Ordering::Release);
    }

    /// Whether the worker has carried out all messages.
    pub(super) fn is_up_to_date(&self) -> bool {
        self.obeyed.load(Ordering::Acquire) >= self.sent.load(Ordering::Acquire)
    }
}

/// What a worker shows, and whether somebody waits for it.
pub(super) struct Board<T> {
    shown: Arc<Mutex<T>>,
    is_wanted: Arc<AtomicBool>,
}

impl<T: Default> Board<T> {
    pub(super) fn new() -> Self {
        Self {
            shown: Arc::new(Mutex::new(T::default())),
            is_wanted: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Asks for the board to be written anew.
    pub(super) fn ask(&self) {
        self.is_wanted.store(true, Ordering::Release);
    }

    /// Whether the board was asked for and not written since.
    #[inline]
    pub(super) fn is_asked(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    /// Writes the board. The request is cleared under the lock: a reader who no longer sees his
    /// request then waits for the lock, and reads what was written for it. A request that comes
    /// during the writing stays.
    pub(super) fn show(&self, write: impl FnOnce(&mut T)) {
        let mut shown = locked(&self.shown);
        self.is_wanted.store(false, Ordering::Release);
        write(&mut shown);
    }

    /// What stands on the board.
    pub(super) fn shown(&self) -> MutexGuard<'_, T> {
        locked(&self.shown)
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self {
            letters: Arc::clone(&self.letters),
            has_letters: Arc::clone(&self.has_letters),
            sent: Arc::clone(&self.sent),
            obeyed: Arc::clone(&self.obeyed),
        }
    }
}

impl<T> Clone for Board<T> {
    fn clone(&self) -> Self {
        Self { shown: Arc::clone(&self.shown), is_wanted: Arc::clone(&self.is_wanted) }
    }
}

/// A thread that panicked while it wrote leaves a board that is old, which is no harm.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
