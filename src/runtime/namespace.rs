//! The network namespace of the mirrored interfaces, entered once.

use std::io;
use std::sync::Arc;

use crate::io::links::NamespaceThread;
use crate::io::sandbox::Sandbox;

/// The network namespace of the mirrored interfaces. Clones share it. The default is the namespace
/// of the process.
#[derive(Debug, Clone, Default)]
pub struct InterfaceNamespace {
    /// The thread that lives in another namespace.
    thread: Option<Arc<NamespaceThread>>,
}

impl InterfaceNamespace {
    /// Enters the namespace of that name (of `ip netns`) or path with a thread, which then calls
    /// `drop_privileges` and keeps what that leaves it.
    ///
    /// # Errors
    /// There is no such namespace, the process may not enter it, or the system refuses the thread.
    pub fn enter(name: &str, drop_privileges: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let thread = NamespaceThread::enter(name, drop_privileges)?;
        Ok(Self { thread: Some(Arc::new(thread)) })
    }

    /// Whether it is the namespace of the process.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        self.thread.is_none()
    }

    /// Calls `act` in the namespace and waits for its end.
    ///
    /// # Errors
    /// What `act` returns, or that there is no thread for it.
    pub fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        match &self.thread {
            Some(thread) => thread.run(act),
            None => act(),
        }
    }

    /// Puts the thread in the namespace, and all that it starts, into a sandbox.
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
