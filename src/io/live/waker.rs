//! Waking a worker that waits for frames.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::io::sys::resource;

/// Wakes the worker that waits with it, now or when it next waits.
#[derive(Debug, Clone)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A waker that nobody waits with yet.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let descriptor = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        resource::check_reserve(&descriptor)?;
        Ok(Self(Arc::new(descriptor)))
    }

    /// Wakes the worker.
    pub fn wake(&self) {
        // It fails only where the counter is full, and then the worker is woken all the same.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    /// Waits until it is woken, at most for `timeout`.
    pub fn wait(&self, timeout: Duration) {
        // Whatever ends the wait, the caller looks whether there is something to do.
        if let Ok(timeout) = Timespec::try_from(timeout) {
            let _ = poll(&mut [PollFd::new(&*self.0, PollFlags::IN)], Some(&timeout));
        }
        self.reset();
    }

    /// Takes note of having been woken.
    pub(crate) fn reset(&self) {
        // An empty counter says no more than that nobody called.
        let _ = rustix::io::read(&*self.0, &mut [0; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
