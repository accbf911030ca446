//! Restricts the process to the files (Landlock) and system calls (seccomp) that its task needs.
//!
//! What belongs here: the rights that each kind of task needs. What does not belong here: the files
//! that a command line names (`cli::sandbox`).
//!
//! Both restrictions are permanent and apply to the calling thread and the threads that it starts
//! afterwards, so the sandbox is entered before other threads start. If a kernel lacks one of them,
//! or a part of it, that part is not enforced.

mod filesystem;
mod syscalls;

use std::path::{Path, PathBuf};

/// The access to the network that a task needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetworkAccess {
    /// No socket can be opened.
    #[default]
    None,
    /// Copies can be sent. No connection can be accepted.
    Send,
    /// Frames can be captured, copies sent, and connections served.
    Serve,
}

/// The rights that remain after entering the sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// The permitted sockets.
    network: NetworkAccess,
    /// Files that may be read, and folders whose contents may be read.
    readable: Vec<PathBuf>,
    /// Files that may be written to.
    writable: Vec<PathBuf>,
    /// Folders in which files may be created, written, replaced and removed.
    folders: Vec<PathBuf>,
    /// TCP ports that may be listened on.
    ports: Vec<u16>,
}

/// The restrictions that are enforced. An error says why one is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    /// Files, by Landlock.
    pub filesystem: Result<(), String>,
    /// System calls, by seccomp.
    pub syscalls: Result<(), String>,
}

impl Sandbox {
    /// Permits only open descriptors, memory, threads, and this network access.
    #[must_use]
    pub fn new(network: NetworkAccess) -> Self {
        Self { network, ..Self::default() }
    }

    /// Permits reading a file, or all files below a folder. A path that does not exist is ignored.
    pub fn allow_read(&mut self, path: impl Into<PathBuf>) {
        self.readable.push(path.into());
    }

    /// Permits writing to a device, pipe or file.
    pub fn allow_write(&mut self, path: impl Into<PathBuf>) {
        self.writable.push(path.into());
    }

    /// Permits creating, writing, replacing and removing files in a folder.
    pub fn allow_write_in(&mut self, folder: impl Into<PathBuf>) {
        self.folders.push(folder.into());
    }

    /// Permits listening on a TCP port; 0 is any free port.
    pub fn allow_listen(&mut self, port: u16) {
        self.ports.push(port);
    }

    /// Restricts the calling thread and the threads that it starts afterwards.
    #[must_use]
    pub fn enter(&self) -> Enforcement {
        // The system call filter is applied second, because it rejects the calls of Landlock.
        let filesystem = filesystem::restrict(self);
        Enforcement { filesystem, syscalls: syscalls::restrict(self.network) }
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
