//! The signals that request the orderly end of a run.

use std::io;

use super::StopFlag;
use super::sys::signal;

/// Sets the flag at the first SIGINT or SIGTERM. Signals within 1 s after it are ignored, because
/// `timeout` and terminals send several; a later signal ends the process at once.
///
/// # Errors
/// The system refuses the handlers.
pub fn stop_on_signals(flag: &StopFlag) -> io::Result<()> {
    signal::set_flag_on_signal(libc::SIGINT, flag.clone())?;
    signal::set_flag_on_signal(libc::SIGTERM, flag.clone())
}

/// Handles SIGHUP, which a closing terminal sends, like SIGTERM, unless the process was started
/// with SIGHUP ignored (`nohup`).
///
/// # Errors
/// The system refuses the handler.
pub fn stop_on_hang_up(flag: &StopFlag) -> io::Result<()> {
    if signal::is_ignored(libc::SIGHUP) {
        return Ok(());
    }
    signal::set_flag_on_signal(libc::SIGHUP, flag.clone())
}

/// Sets the text, including its line break, that is written to standard error when a later signal
/// ends the process at once. Only the first call has an effect.
pub fn set_last_message(text: String) {
    signal::set_last_message(text);
}

/// Clears that text: nothing is written when a later signal ends the process at once.
pub fn clear_last_message() {
    signal::clear_last_message();
}
