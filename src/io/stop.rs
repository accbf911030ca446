//! A flag that requests the orderly end of a run, and the signals that set it.

#[cfg(feature = "live")]
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "live")]
use super::sys::signal;

/// Requests the end of the run. Clones share the flag. It cannot be cleared.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the flag is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sets the flag at the first SIGINT or SIGTERM. Signals within 1 s after it are ignored, because
/// `timeout` and terminals send several; a later signal ends the process at once.
///
/// # Errors
/// The system refuses the handlers.
#[cfg(feature = "live")]
pub fn stop_on_signals(flag: &StopFlag) -> io::Result<()> {
    signal::set_flag_on_signal(libc::SIGINT, flag.clone())?;
    signal::set_flag_on_signal(libc::SIGTERM, flag.clone())
}

/// Handles SIGHUP, which a closing terminal sends, like SIGTERM, unless the process was started
/// with SIGHUP ignored (`nohup`).
///
/// # Errors
/// The system refuses the handler.
#[cfg(feature = "live")]
pub fn stop_on_hang_up(flag: &StopFlag) -> io::Result<()> {
    if signal::is_ignored(libc::SIGHUP) {
        return Ok(());
    }
    signal::set_flag_on_signal(libc::SIGHUP, flag.clone())
}

/// Sets the text, including its line break, that is written to standard error when a later signal
/// ends the process at once. Only the first call has an effect.
#[cfg(feature = "live")]
pub fn set_last_message(text: String) {
    signal::set_last_message(text);
}

/// Clears that text: nothing is written when a later signal ends the process at once.
#[cfg(feature = "live")]
pub fn clear_last_message() {
    signal::clear_last_message();
}
