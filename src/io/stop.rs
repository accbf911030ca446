//! A flag that says: end at the next good moment; and the signals that set it.

#[cfg(feature = "live")]
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "live")]
use super::sys::signal;

/// Says to everyone who holds a clone of it that the run should end. Once set it stays set.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets it.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has set it.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sets the flag at the first SIGINT or SIGTERM. Further signals within a second belong to the
/// same request, because `timeout` and terminals send several; a later one ends the process.
///
/// # Errors
/// The system refuses the handlers.
#[cfg(feature = "live")]
pub fn stop_on_signals(flag: &StopFlag) -> io::Result<()> {
    signal::set_flag_on_signal(libc::SIGINT, flag.clone())?;
    signal::set_flag_on_signal(libc::SIGTERM, flag.clone())
}

/// Treats SIGHUP, which a closing terminal sends, like SIGTERM, unless the process was started
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

/// Sets the text, with its line break, that is written to standard error when a later signal ends
/// the process at once. Only the first call has an effect.
#[cfg(feature = "live")]
pub fn set_last_message(text: String) {
    signal::set_last_message(text);
}

/// From now on nothing is written when a later signal ends the process at once.
#[cfg(feature = "live")]
pub fn clear_last_message() {
    signal::clear_last_message();
}
