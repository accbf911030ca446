//! The network namespace of the mirrored interfaces. One thread enters it at the start, so that the
//! process can drop its privileges afterwards.

use std::io;
use std::sync::Arc;

use crate::io::links::NamespaceThread;
use crate::io::sandbox::Sandbox;

/// The network namespace of the mirrored interfaces. Clones share it. The default is the namespace
/// of the process.
#[derive(Debug, Clone, Default)]
pub struct InterfaceNamespace {
    /// The thread that is in another namespace; none for the namespace of the process.
    thread: Option<Arc<NamespaceThread>>,
}

impl InterfaceNamespace {
    /// Starts a thread that enters a namespace and then calls `drop_privileges` once. `name` is a
    /// name of `ip netns` or the path of a namespace file.
    ///
    /// # Errors
    /// The namespace does not exist, the process has no permission to enter it, or the system
    /// refuses the thread.
    pub fn enter(name: &str, drop_privileges: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let thread = NamespaceThread::enter(name, drop_privileges)?;
        Ok(Self { thread: Some(Arc::new(thread)) })
    }

    /// Whether it is the namespace of the process.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        self.thread.is_none()
    }

    /// Calls `act` in the namespace and waits for its result.
    ///
    /// # Errors
    /// The error that `act` returns, or [`io::Error`] if the thread has ended.
    pub fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        match &self.thread {
            Some(thread) => thread.run(act),
            None => act(),
        }
    }

    /// Restricts the thread in the namespace, and the threads that it starts, to a sandbox. Does
    /// nothing for the namespace of the process.
    ///
    /// # Errors
    /// The thread has ended.
    pub fn enter_sandbox(&self, sandbox: Sandbox) -> io::Result<()> {
        self.thread.as_ref().map_or(Ok(()), |thread| {
            thread.restrict(move || {
                let _ = sandbox.enter();
            })
        })
    }
}
