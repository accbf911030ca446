//! Restricts the process to the files (Landlock) and system calls (seccomp) that its task needs.
//!
//! What belongs here: the rights that each kind of task needs. What does not belong here: the files
//! that a command line names (`cli::sandbox`).
//!
//! Both restrictions are permanent and apply to the calling thread and the threads that it starts
//! afterwards, so the sandbox is entered before other threads start. If a kernel lacks one of them,
//! or a part of it, that part is not enforced.

mod filesystem;
mod rights;
mod syscalls;

use std::path::Path;

pub use rights::{KernelTier, NetworkAccess, Sandbox};

/// The restrictions that are enforced. An error says why one is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    /// Files, by Landlock.
    pub filesystem: Result<(), String>,
    /// System calls, by seccomp.
    pub syscalls: Result<(), String>,
}

impl Sandbox {
    /// Restricts the calling thread and the threads that it starts afterwards.
    #[must_use]
    pub fn enter(&self) -> Enforcement {
        // The system call filter is applied second, because it rejects the calls of Landlock.
        let filesystem = filesystem::restrict(self);
        Enforcement { filesystem, syscalls: syscalls::restrict(self.network, self.kernel_tier) }
    }
}

/// The folder of a path, as a path that can be opened.
#[must_use]
pub fn parent_folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
