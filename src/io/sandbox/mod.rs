//! Takes away from the process what its work does not need: files (Landlock) and system calls
//! (seccomp).
//!
//! What belongs here: which rights a kind of work needs. What does not: which files a command line
//! names (`cli::sandbox`).
//!
//! Both are for good and hold for the calling thread and the threads that it starts from then on,
//! so they are entered before other threads start. Both are best effort: a kernel that lacks one
//! of them, or a part of it, leaves that part out.

mod filesystem;
mod syscalls;

use std::path::{Path, PathBuf};

/// What the work needs of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetworkAccess {
    /// Nothing: no socket can be opened.
    #[default]
    None,
    /// Sending copies: no connection is accepted.
    Send,
    /// Capturing, sending, and serving connections.
    Serve,
}

/// What may still be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// What sockets there may be.
    network: NetworkAccess,
    /// Files that may be read, and folders with all that is in them.
    readable: Vec<PathBuf>,
    /// Files that may be written to.
    writable: Vec<PathBuf>,
    /// Folders in which files may be created, written, replaced and removed.
    folders: Vec<PathBuf>,
    /// TCP ports that may be listened on.
    ports: Vec<u16>,
}

/// What is enforced after a sandbox was entered; why not, if something is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    /// Files, by Landlock.
    pub filesystem: Result<(), String>,
    /// System calls, by seccomp.
    pub syscalls: Result<(), String>,
}

impl Sandbox {
    /// Nothing but open descriptors, memory, threads, and this network.
    #[must_use]
    pub fn new(network: NetworkAccess) -> Self {
        Self { network, ..Self::default() }
    }

    /// A file that may be read, or a folder with all that is below it. What is not there is left
    /// out.
    pub fn allow_read(&mut self, path: impl Into<PathBuf>) {
        self.readable.push(path.into());
    }

    /// A device, pipe or file that may be written to.
    pub fn allow_write(&mut self, path: impl Into<PathBuf>) {
        self.writable.push(path.into());
    }

    /// A folder in which files may be created, written, replaced and removed.
    pub fn allow_write_in(&mut self, folder: impl Into<PathBuf>) {
        self.folders.push(folder.into());
    }

    /// A TCP port that may be listened on; 0 is any free one.
    pub fn allow_listen(&mut self, port: u16) {
        self.ports.push(port);
    }

    /// Enters it, for the calling thread and the threads that it starts.
    #[must_use]
    pub fn enter(&self) -> Enforcement {
        // The filter of system calls comes second, because it refuses those of Landlock.
        let filesystem = filesystem::restrict(self);
        Enforcement { filesystem, syscalls: syscalls::restrict(self.network) }
    }
}

/// The folder of a name, as a path that can be opened.
#[must_use]
pub fn parent_folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
