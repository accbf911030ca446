//! Notifies systemd of the state of a run (sd_notify(3)). Without systemd it does nothing.

use sd_notify::{NotifyState, notify};

/// Mirroring has started.
pub(super) fn ready() {
    send(&[NotifyState::Ready]);
}

/// The configuration is being reloaded.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

/// The run is ending.
pub(super) fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// All workers are alive; `status` is shown by `systemctl status`.
pub(super) fn alive(status: &str) {
    send(&[NotifyState::Watchdog, NotifyState::Status(status)]);
}

fn send(states: &[NotifyState<'_>]) {
    // A failed notification does not affect mirroring.
    let _ = notify(states);
}
