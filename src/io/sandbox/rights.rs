//! The files and sockets that a sandbox permits.

use std::path::PathBuf;

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

/// Whether eBPF programs can be loaded and attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KernelTier {
    /// The call bpf(2) is denied.
    #[default]
    Denied,
    /// The commands of bpf(2) that the kernel tier uses are permitted.
    Allowed,
}

/// The rights that remain after entering the sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// The permitted sockets.
    pub(super) network: NetworkAccess,
    /// Files that may be read, and folders whose contents may be read.
    pub(super) readable: Vec<PathBuf>,
    /// Files that may be written to.
    pub(super) writable: Vec<PathBuf>,
    /// Folders in which files may be created, written, replaced and removed.
    pub(super) folders: Vec<PathBuf>,
    /// Folders in which empty folders may be removed.
    pub(super) parents: Vec<PathBuf>,
    /// TCP ports that may be listened on.
    pub(super) ports: Vec<u16>,
    /// The permitted use of bpf(2).
    pub(super) kernel_tier: KernelTier,
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

    /// Permits removing empty folders below a folder.
    pub fn allow_remove_folders_in(&mut self, folder: impl Into<PathBuf>) {
        self.parents.push(folder.into());
    }

    /// Permits listening on a TCP port; 0 is any free port.
    pub fn allow_listen(&mut self, port: u16) {
        self.ports.push(port);
    }

    /// Permits what the kernel tier needs after the start: bpf(2), the type information of the
    /// kernel, and the number of possible processors. `Denied` changes nothing.
    pub fn set_kernel_tier(&mut self, kernel_tier: KernelTier) {
        self.kernel_tier = kernel_tier;
        if kernel_tier == KernelTier::Allowed {
            self.allow_read("/sys/kernel/btf/vmlinux");
            self.allow_read("/sys/kernel/realtime");
            self.allow_read("/sys/devices/system/cpu/possible");
        }
    }
}
