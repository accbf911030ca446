//! Waits for signals while interfaces are mirrored.

use std::io;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::events::Broken;
use super::flags::RunFlags;
use super::{plan, systemd};
use crate::cli::exit::Failure;
use crate::cli::terminal;
use crate::io::StopFlag;
use crate::runtime::{InterfaceNamespace, LiveMirror};

/// What signals act on.
pub(super) struct Mirroring<'a> {
    pub(super) flags: &'a RunFlags,
    pub(super) mirror: &'a LiveMirror,
    pub(super) namespace: &'a InterfaceNamespace,
    pub(super) stop: &'a StopFlag,
    pub(super) broken: Broken,
}

/// Returns at the first SIGINT or SIGTERM, also one that came before: the stop flag is set by it.
/// False where mirroring cannot go on.
pub(super) fn until_stopped(mirroring: &Mirroring<'_>) -> Result<bool, Failure> {
    let runtime = Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(Failure::failed)?;
    runtime.block_on(wait(mirroring)).map_err(Failure::failed)
}

async fn wait(mirroring: &Mirroring<'_>) -> io::Result<bool> {
    // These streams wake the loop. What a signal means is decided by the handlers that set `stop`.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    systemd::ready();
    let mut is_sound = true;
    while is_sound && !mirroring.stop.is_set() {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hang_up.recv() => reload(mirroring),
            () = mirroring.broken.notified() => is_sound = false,
        }
    }
    systemd::stopping();
    Ok(is_sound)
}

/// Reads the configuration again; where it is wrong the old one stays in force.
fn reload(mirroring: &Mirroring<'_>) {
    let flags = mirroring.flags;
    if flags.endpoint.ec2_endpoint.is_some() {
        return terminal::notice("SIGHUP: with --ec2-endpoint files are read at the start only");
    }
    if !flags.sessions.has_config_files() {
        return terminal::notice("SIGHUP: there is no configuration file to read again");
    }
    systemd::reloading();
    match plan::read_registry(flags, mirroring.namespace) {
        Ok(registry) => {
            mirroring.mirror.replace(&registry);
            terminal::notice("the configuration was read again");
        }
        Err(failure) => {
            mirroring.mirror.count_failed_replace();
            terminal::error(&failure.to_string());
            terminal::warn("the configuration is wrong: going on with the one before");
        }
    }
    systemd::ready();
}
