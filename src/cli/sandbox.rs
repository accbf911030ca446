//! Derives the sandbox of a command (Landlock and seccomp) from the files and ports that its
//! command line names.

use std::path::{Path, PathBuf};

use clap::Args;

use super::terminal;
use crate::control::config::Format;
use crate::io::record::OutputFile;
use crate::io::sandbox::{Enforcement, KernelTier, NetworkAccess, Sandbox, parent_folder};

/// Files of the host that `run` and `replay --send` read while they run: memory size, limits of the
/// memory cgroup, network devices and their settings, and the machine id from which device ids are
/// derived.
const HOST_PATHS: [&str; 6] = [
    "/proc/self",
    "/proc/meminfo",
    "/proc/sys/net",
    "/sys/fs/cgroup",
    "/sys/class/net",
    "/etc/machine-id",
];

/// The flag that disables the sandbox.
#[derive(Debug, Args)]
pub(super) struct SandboxFlags {
    /// Run without the sandbox. The sandbox limits the process to the files that the command line
    /// names (Landlock) and to the system calls that it needs (seccomp), if the kernel supports
    /// them.
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
            // This also allows a directory that was given by mistake, so that the error can name
            // it.
            sandbox.allow_read(path.clone());
        }
        for path in files.configs.iter().filter(|path| may_name_files(path)) {
            sandbox.allow_read(parent_folder(path));
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
        // On a kernel without Landlock or seccomp, captures are read without it.
        let _ = sandbox.enter();
    }

    /// The sandbox of `run`. It is entered after the files are opened and before threads start.
    pub(super) fn sandbox_for_run(&self, files: &RunFiles<'_>) -> Option<Sandbox> {
        if self.no_sandbox {
            return None;
        }
        let mut sandbox = Sandbox::new(NetworkAccess::Serve);
        HOST_PATHS.iter().for_each(|path| sandbox.allow_read(path));
        for path in files.configs.iter().filter(|path| path.as_os_str() != "-") {
            // A reload opens the file again. It may be a new file or a symbolic link by then.
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
        if let Some(directory) = files.temporary_directory {
            // Landlock grants this right only for the folder that contains the directory.
            sandbox.allow_remove_folders_in(parent_folder(directory));
        }
        files.ports.iter().for_each(|port| sandbox.allow_listen(*port));
        sandbox.set_kernel_tier(files.kernel_tier);
        Some(sandbox)
    }
}

/// Whether a configuration may be a template, which names files beside it.
fn may_name_files(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name != "-" && Format::of_name(&name) != Some(Format::Toml)
}

/// The files that `run` opens after its start, and the ports on which it listens.
pub(super) struct RunFiles<'a> {
    pub(super) configs: &'a [PathBuf],
    pub(super) state: Option<&'a Path>,
    /// The directory of the generated credentials file, which is removed at the end.
    pub(super) credentials_directory: Option<&'a Path>,
    /// The same directory, if it was created for the file and is removed with it.
    pub(super) temporary_directory: Option<&'a Path>,
    pub(super) ports: Vec<u16>,
    /// Whether the run may use the kernel tier.
    pub(super) kernel_tier: KernelTier,
}

/// Reports the parts of the sandbox that the kernel does not enforce.
pub(super) fn report_unenforced(entered: &Enforcement) {
    let parts = [("files", &entered.filesystem), ("system calls", &entered.syscalls)];
    for (what, enforced) in parts {
        if let Err(why) = enforced {
            terminal::notice(&format!("no sandbox for {what}: {why}"));
        }
    }
}
