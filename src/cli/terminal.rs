//! Standard output and standard error: diagnostics as text or JSON, the line that is updated in
//! place, and buffered output.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::ProgressBar;

use crate::io::clock;

/// Whether diagnostics are JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Whether lines of text start with the time.
static HAS_TIMES: AtomicBool = AtomicBool::new(false);

/// The line that is updated in place on the terminal, if there is one: a progress bar or the live
/// line. All other text is written above it.
static UPDATED_LINE: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Switches diagnostics to one JSON object per line with `timestamp` (RFC 3339), `level` (`info`,
/// `warn`, `error`) and `message`.
pub(super) fn log_as_json() {
    IS_JSON.store(true, Ordering::Relaxed);
}

/// Starts each further line of text with the time (RFC 3339), for the log of a long run. In the
/// journal of systemd, lines already have a time (systemd.exec(5), `JOURNAL_STREAM`).
pub(super) fn log_times() {
    HAS_TIMES.store(!is_connected_to_journal(), Ordering::Relaxed);
}

/// Whether `JOURNAL_STREAM` names standard error: its device and inode number.
fn is_connected_to_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let descriptor = io::stderr().as_fd().try_clone_to_owned();
    let metadata = descriptor.and_then(|descriptor| File::from(descriptor).metadata());
    metadata.is_ok_and(|file| stream == format!("{}:{}", file.dev(), file.ino()))
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
    let timestamp = || humantime::format_rfc3339_millis(clock::now());
    let line = if IS_JSON.load(Ordering::Relaxed) {
        let timestamp = timestamp().to_string();
        serde_json::json!({"timestamp": timestamp, "level": level, "message": message}).to_string()
    } else if HAS_TIMES.load(Ordering::Relaxed) {
        format!("{} traffic-mirror: {prefix}{message}", timestamp())
    } else {
        format!("traffic-mirror: {prefix}{message}")
    };
    write_stderr(&format!("{line}\n"));
}

/// Writes text to standard error unchanged, above the line that is updated in place.
pub(super) fn write_stderr(text: &str) {
    // There is no place to report that standard error is closed.
    let write = || drop(anstream::stderr().lock().write_all(text.as_bytes()));
    match &*updated_line() {
        Some(line) => line.suspend(write),
        None => write(),
    }
}

/// Shows a line that is updated in place, until [`clear_updated_line`].
pub(super) fn show_updated_line(line: ProgressBar) {
    *updated_line() = Some(line);
}

/// Removes the line that is updated in place, if there is one. Later updates of it show nothing.
pub(super) fn clear_updated_line() {
    if let Some(line) = updated_line().take() {
        line.finish_and_clear();
    }
}

fn updated_line() -> MutexGuard<'static, Option<ProgressBar>> {
    UPDATED_LINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Standard output with a buffer of 64 KiB.
pub(super) fn stdout() -> BufWriter<io::StdoutLock<'static>> {
    BufWriter::with_capacity(64 * 1024, io::stdout().lock())
}
