//! The two streams a user reads.

use std::io::{self, BufWriter, Write};

/// Says what is wrong, each line behind the name of the program.
pub(super) fn complain(sentences: &str) {
    for line in sentences.lines() {
        say(&format!("traffic-mirror: {line}\n"));
    }
}

/// Says what happened, on a line of its own.
pub(super) fn note(sentence: &str) {
    complain(sentence);
}

/// Says what is odd.
pub(super) fn warn(sentence: &str) {
    complain(&format!("warning: {sentence}"));
}

/// Puts text on standard error as it is.
pub(super) fn say(text: &str) {
    // Nobody is left to hear that standard error is closed.
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// Standard output, a buffer in front of it.
pub(super) fn stdout() -> BufWriter<io::StdoutLock<'static>> {
    BufWriter::with_capacity(64 * 1024, io::stdout().lock())
}
