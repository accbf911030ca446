//! Standard output and standard error: diagnostics as text or JSON, and buffered output.

use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::io::clock;

/// Whether diagnostics are JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Switches diagnostics to one JSON object per line with `timestamp` (RFC 3339), `level` (`info`,
/// `warn`, `error`) and `message`.
pub(super) fn log_as_json() {
    IS_JSON.store(true, Ordering::Relaxed);
}

/// Prints an error. Each line starts with the name of the program.
pub(super) fn error(message: &str) {
    message.lines().for_each(|line| log("error", "", line));
}

/// Prints an informational line.
pub(super) fn notice(message: &str) {
    log("info", "", message);
}

/// Prints a warning.
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

/// Writes text to standard error unchanged.
pub(super) fn write_stderr(text: &str) {
    // There is no place to report that standard error is closed.
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// Standard output with a buffer of 64 KiB.
pub(super) fn stdout() -> BufWriter<io::StdoutLock<'static>> {
    BufWriter::with_capacity(64 * 1024, io::stdout().lock())
}
