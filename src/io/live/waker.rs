//! Wakes a worker that waits for frames (eventfd(2)).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::io::sys::resource;

/// Wakes the worker that waits for it, now or at its next wait.
#[derive(Debug, Clone)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A new waker.
    ///
    /// # Errors
    /// The process has no free descriptor.
    pub fn new() -> io::Result<Self> {
        let descriptor = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        resource::check_reserve(&descriptor)?;
        Ok(Self(Arc::new(descriptor)))
    }

    /// Wakes the worker.
    pub fn wake(&self) {
        // It fails only if the counter is full, and then the worker wakes anyway.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    /// Waits for a wake-up, at most for `timeout`.
    pub fn wait(&self, timeout: Duration) {
        // The reason for the end of the wait does not matter: the caller checks for work.
        if let Ok(timeout) = Timespec::try_from(timeout) {
            let _ = poll(&mut [PollFd::new(&*self.0, PollFlags::IN)], Some(&timeout));
        }
        self.reset();
    }

    /// Clears the pending wake-up.
    pub(crate) fn reset(&self) {
        // An empty counter means that there was no wake-up.
        let _ = rustix::io::read(&*self.0, &mut [0; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
