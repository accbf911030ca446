//! Gives a signal back to the system.

use std::io;

/// Lets the signal do again what it does where nobody catches it.
pub(crate) fn restore_default(signal: i32) -> io::Result<()> {
    // SAFETY: `signal` takes two numbers and reads no memory of ours; SIG_DFL runs no code of
    // ours either.
    let previous = unsafe { libc::signal(signal, libc::SIG_DFL) };
    if previous == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}
