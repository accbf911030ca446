//! Waits for other processes and the kernel by polling, with long limits, because machines that run
//! tests may be slow.

use std::thread;
use std::time::Duration;

/// The time limit of a wait.
const LIMIT_MS: u64 = 20_000;

const STEP_MS: u64 = 10;

/// Polls until there is a value. `what` describes it in the error after the time limit.
pub(crate) fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LIMIT_MS / STEP_MS {
        if let Some(value) = poll() {
            return value;
        }
        pause(STEP_MS);
    }
    panic!("timed out after {LIMIT_MS} ms: {what}")
}

/// Polls until the condition holds.
pub(crate) fn wait_until(what: &str, mut poll: impl FnMut() -> bool) {
    wait_for(what, || poll().then_some(()));
}

#[expect(clippy::disallowed_methods, reason = "a test waits for other processes")]
pub(crate) fn pause(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}
