//! The two streams a user reads.

use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::io::clock;

/// Whether diagnostics are written for programs.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// From now on diagnostics are one JSON object a line: `timestamp` (RFC 3339), `level` (`info`,
/// `warn`, `error`) and `message`.
pub(super) fn log_as_json() {
    IS_JSON.store(true, Ordering::Relaxed);
}

/// Says what is wrong, each line behind the name of the program.
pub(super) fn error(message: &str) {
    message.lines().for_each(|line| log("error", "", line));
}

/// Says what happened, on a line of its own.
pub(super) fn notice(message: &str) {
    log("info", "", message);
}

/// Says what is odd.
pub(super) fn warn(message: &str) {
    message.lines().for_each(|line| log("warn", "warning: ", line));
}

fn log(level: &str, prefix: &str, message: &str) {
    if IS_JSON.load(Ordering::Relaxed) {
        let timestamp = humantime::format_rfc3339_millis(clock::now());
        let timestamp = timestamp.to_string();
        let line = serde_json::json!({"timestamp": timestamp, "level": level, "message": message});
        write_stderr(&format!("{line}\n"));
    } else {
        write_stderr(&format!("traffic-mirror: {prefix}{message}\n"));
    }
}

/// Puts text on standard error as it is.
pub(super) fn write_stderr(text: &str) {
    // Nobody is left to hear that standard error is closed.
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// Standard output, a buffer in front of it.
pub(super) fn stdout() -> BufWriter<io::StdoutLock<'static>> {
    BufWriter::with_capacity(64 * 1024, io::stdout().lock())
}
