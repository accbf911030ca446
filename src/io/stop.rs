//! A flag that says: end at the next good moment.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Lets SIGINT and SIGTERM end the program again, whoever caught them before.
///
/// # Errors
/// The system refuses.
pub fn restore_default_signals() -> io::Result<()> {
    signal::restore_default(libc::SIGINT)?;
    signal::restore_default(libc::SIGTERM)
}
