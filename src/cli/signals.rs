//! SIGINT and SIGTERM, and SIGHUP in commands that do not reload, request an orderly end. A second
//! signal more than 1 s later ends the process at once.

use std::io;
use std::path::Path;

use super::exit::Failure;
use crate::io::{StopFlag, stop};

/// Sets the flag at the first SIGINT or SIGTERM.
pub(super) fn stop_on_signals(flag: &StopFlag) -> Result<(), Failure> {
    stop::stop_on_signals(flag).map_err(install_failure)
}

/// Sets the flag at the first SIGINT, SIGTERM or SIGHUP, for commands that do not reload.
pub(super) fn stop_on_signals_and_hang_up(flag: &StopFlag) -> Result<(), Failure> {
    stop_on_signals(flag)?;
    stop::stop_on_hang_up(flag).map_err(install_failure)
}

fn install_failure(error: io::Error) -> Failure {
    Failure::failed(format_args!("installing signal handlers: {error}"))
}

/// Sets the message that is printed when a second signal ends the process at once. It names the
/// file that remains.
pub(super) fn set_partial_file(partial: &Path) {
    stop::set_last_message(format!(
        "traffic-mirror: ended at once by a second signal; the frames received so far are in {}\n",
        partial.display()
    ));
}

/// Sets the same message for an output that can be made again from its input. The next run with
/// this output removes the temporary file that remains.
pub(super) fn set_unwritten_file(output: &Path) {
    stop::set_last_message(format!(
        "traffic-mirror: ended at once by a second signal; {} was not written\n",
        output.display()
    ));
}

/// Clears the message: the file has its final name or was removed.
pub(super) fn clear_partial_file() {
    stop::clear_last_message();
}
