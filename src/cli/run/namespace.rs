//! The network namespace of the interfaces (`--netns`), entered once at start.

use std::io;
use std::sync::OnceLock;

use super::rights;
use crate::io::links::NamespaceThread;
use crate::io::sandbox::Sandbox;

/// The thread that lives in the namespace, from the first use on. A process runs one `run`.
static NAMESPACE: OnceLock<NamespaceThread> = OnceLock::new();

/// Puts the thread in the namespace, and all that it starts, into a sandbox.
///
/// # Errors
/// The thread has ended.
pub(super) fn enter_sandbox(sandbox: Sandbox) -> io::Result<()> {
    NAMESPACE.get().map_or(Ok(()), |namespace| {
        namespace.restrict(move || {
            let _ = sandbox.enter();
        })
    })
}

/// Does something in the network namespace of the interfaces, in a thread of its own: it is the
/// thread that is in a namespace. The namespace is entered at the first call.
///
/// # Errors
/// What `act` returns, or why the namespace cannot be entered.
pub(super) fn in_namespace<T: Send + 'static>(
    name: Option<&str>,
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let Some(name) = name else { return act() };
    if let Some(namespace) = NAMESPACE.get() {
        return namespace.run(act);
    }
    let entered = NamespaceThread::enter(name, rights::drop_in_namespace)?;
    NAMESPACE.get_or_init(|| entered).run(act)
}
