//! Tells systemd how a run is doing (sd_notify(3)); elsewhere nobody listens, and nothing happens.

use sd_notify::{NotifyState, notify};

/// Frames are taken from now on.
pub(super) fn ready() {
    send(&[NotifyState::Ready]);
}

/// The configuration is being read again.
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

/// All workers are alive; how the run is doing in a few words.
pub(super) fn alive(status: &str) {
    send(&[NotifyState::Watchdog, NotifyState::Status(status)]);
}

fn send(states: &[NotifyState<'_>]) {
    // A manager that does not listen is no reason to stop mirroring.
    let _ = notify(states);
}
