//! Waits for signals while interfaces are mirrored.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::events::Broken;
use super::flags::RunFlags;
use super::{plan, systemd};
use crate::cli::exit::Failure;
use crate::cli::terminal;
use crate::io::StopFlag;
use crate::runtime::{InterfaceNamespace, LiveMirror};

/// A run, and what is needed to reload and stop it.
pub(super) struct Mirroring<'a> {
    pub(super) flags: &'a RunFlags,
    pub(super) mirror: &'a LiveMirror,
    pub(super) namespace: &'a InterfaceNamespace,
    pub(super) stop: &'a StopFlag,
    pub(super) broken: Broken,
    /// The devices of the configuration in force.
    pub(super) devices: BTreeSet<String>,
}

/// Receives SIGHUP from its creation on, so that a SIGHUP during the start does not end the process
/// but reloads the configuration when mirroring has started.
pub(super) struct ReloadSignal {
    runtime: Runtime,
    hang_up: Signal,
}

impl ReloadSignal {
    /// Installs the signal handler.
    pub(super) fn install() -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_io().build();
        let runtime = runtime.map_err(Failure::failed)?;
        let installed = {
            let _entered = runtime.enter();
            signal(SignalKind::hangup())
        };
        Ok(Self { hang_up: installed.map_err(Failure::failed)?, runtime })
    }

    /// Waits for the first SIGINT or SIGTERM, and reloads at each SIGHUP. Returns at once if the
    /// stop flag was set before the call. Returns false if mirroring cannot continue.
    pub(super) fn until_stopped(mut self, mut mirroring: Mirroring<'_>) -> Result<bool, Failure> {
        let ended = self.runtime.block_on(wait(&mut mirroring, &mut self.hang_up));
        ended.map_err(Failure::failed)
    }
}

async fn wait(mirroring: &mut Mirroring<'_>, hang_up: &mut Signal) -> io::Result<bool> {
    // These streams only wake the loop; the signal handlers set `stop`.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    systemd::ready();
    let broken = Arc::clone(&mirroring.broken);
    let mut can_continue = true;
    while can_continue && !mirroring.stop.is_set() {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hang_up.recv() => reload(mirroring),
            () = broken.notified() => can_continue = false,
        }
    }
    systemd::stopping();
    Ok(can_continue)
}

/// Reloads the configuration. If it is invalid, this is reported and the previous one stays in
/// force.
fn reload(mirroring: &mut Mirroring<'_>) {
    let flags = mirroring.flags;
    if flags.endpoint.ec2_endpoint.is_some() {
        return terminal::notice(
            "SIGHUP ignored: with --ec2-endpoint, files are read only at start",
        );
    }
    if !flags.sessions.has_config_files() {
        return terminal::notice("SIGHUP ignored: there is no configuration file to reload");
    }
    if flags.sessions.uses_standard_input() {
        return terminal::notice("SIGHUP ignored: --config `-` cannot be read again");
    }
    systemd::reloading();
    match plan::read_registry(flags, mirroring.namespace, &mirroring.devices) {
        Ok(registry) => {
            mirroring.mirror.replace(&registry);
            mirroring.devices = plan::devices(&registry);
            terminal::notice("configuration reloaded");
        }
        Err(failure) => {
            mirroring.mirror.count_failed_replace();
            terminal::error(&failure.to_string());
            terminal::warn("the configuration was not reloaded; the previous one stays in force");
        }
    }
    systemd::ready();
}
