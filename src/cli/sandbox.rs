//! Which files and sockets a command line needs, for the sandbox that the command works in.

use std::path::{Path, PathBuf};

use clap::Args;

use super::terminal;
use crate::io::record::OutputFile;
use crate::io::sandbox::{Enforcement, NetworkAccess, Sandbox, parent_folder};

/// Files of the kernel that are read while interfaces come and go: memory, limits of the memory
/// cgroup and of processors, and the number that the ids of devices are made from.
const HOST_PATHS: [&str; 6] = [
    "/proc/self",
    "/proc/meminfo",
    "/proc/sys/net",
    "/sys/fs/cgroup",
    "/sys/class/net",
    "/etc/machine-id",
];

/// Whether there is a sandbox.
#[derive(Debug, Args)]
pub(super) struct SandboxFlags {
    /// Run without the sandbox. In it, the process can open only the files that the command line
    /// names (Landlock), and make only the system calls that it needs (seccomp), as far as the
    /// kernel has these.
    #[arg(long)]
    no_sandbox: bool,
}

/// The files that a command about captures reads and writes.
pub(super) struct CaptureFiles<'a> {
    pub(super) inputs: &'a [PathBuf],
    pub(super) configs: &'a [PathBuf],
    pub(super) output: Option<&'a Path>,
    /// Whether copies are sent.
    pub(super) sends: bool,
}

impl SandboxFlags {
    /// Enters the sandbox of a command that reads captures, before anything is read.
    pub(super) fn enter_for_captures(&self, files: &CaptureFiles<'_>) {
        if self.no_sandbox {
            return;
        }
        let network = if files.sends { NetworkAccess::Send } else { NetworkAccess::None };
        let mut sandbox = Sandbox::new(network);
        for path in files.inputs.iter().chain(files.configs) {
            // A folder that was named by mistake is to be reported as one.
            sandbox.allow_read(path.clone());
        }
        if files.sends {
            HOST_PATHS.iter().for_each(|path| sandbox.allow_read(path));
        }
        match files.output {
            Some(path) if OutputFile::is_atomic(path) => {
                OutputFile::folder(path)
                    .into_iter()
                    .for_each(|folder| sandbox.allow_write_in(folder));
            }
            Some(path) => sandbox.allow_write(path),
            None => {}
        }
        // Where a kernel lacks a sandbox, reading a capture is as it is for other programs.
        let _ = sandbox.enter();
    }

    /// The sandbox of a run, which is entered after its files were opened and before its threads
    /// start.
    pub(super) fn sandbox_for_run(&self, files: &RunFiles<'_>) -> Option<Sandbox> {
        if self.no_sandbox {
            return None;
        }
        let mut sandbox = Sandbox::new(NetworkAccess::Serve);
        HOST_PATHS.iter().for_each(|path| sandbox.allow_read(path));
        for path in files.configs {
            // A file that is read again may have been replaced, and may be a link.
            sandbox.allow_read(parent_folder(path));
            if let Ok(real) = path.canonicalize() {
                sandbox.allow_read(parent_folder(&real));
            }
        }
        if let Some(path) = files.state {
            sandbox.allow_write_in(parent_folder(path));
            if let Ok(real) = path.canonicalize() {
                sandbox.allow_write_in(parent_folder(&real));
            }
        }
        if let Some(directory) = files.credentials_directory {
            sandbox.allow_write_in(directory);
        }
        files.ports.iter().for_each(|port| sandbox.allow_listen(*port));
        Some(sandbox)
    }
}

/// The files that a run opens after it has begun, and the ports that it listens on.
pub(super) struct RunFiles<'a> {
    pub(super) configs: &'a [PathBuf],
    pub(super) state: Option<&'a Path>,
    /// Where the file with generated credentials is, which is removed at the end.
    pub(super) credentials_directory: Option<&'a Path>,
    pub(super) ports: Vec<u16>,
}

/// Says what is not enforced.
pub(super) fn report_unenforced(entered: &Enforcement) {
    let lacks = [("files", &entered.filesystem), ("system calls", &entered.syscalls)];
    for (what, enforced) in lacks {
        if let Err(why) = enforced {
            terminal::notice(&format!("no sandbox for {what}: {why}"));
        }
    }
}
