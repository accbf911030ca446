//! SIGINT, SIGTERM and SIGHUP request an orderly end; a second one, more than a second later, ends
//! the process at once.

use std::io;
use std::path::Path;

use super::exit::Failure;
use crate::io::{StopFlag, stop};

/// Sets the flag at the first SIGINT or SIGTERM.
pub(super) fn stop_on_signals(flag: &StopFlag) -> Result<(), Failure> {
    stop::stop_on_signals(flag).map_err(install_failure)
}

/// Sets the flag at the first SIGINT, SIGTERM or SIGHUP: for commands that reload nothing.
pub(super) fn stop_on_signals_and_hang_up(flag: &StopFlag) -> Result<(), Failure> {
    stop_on_signals(flag)?;
    stop::stop_on_hang_up(flag).map_err(install_failure)
}

fn install_failure(error: io::Error) -> Failure {
    Failure::failed(format_args!("installing signal handlers: {error}"))
}

/// Names the file that a process which is ended at once leaves behind.
pub(super) fn set_partial_file(partial: &Path, content: &str) {
    stop::set_last_message(format!(
        "traffic-mirror: ended at once by a second signal; {content} so far is in {}\n",
        partial.display()
    ));
}

/// Says that the file has its final name, or was removed.
pub(super) fn clear_partial_file() {
    stop::clear_last_message();
}
