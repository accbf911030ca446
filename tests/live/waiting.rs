//! Waits for other processes and the kernel by polling, with long limits, because machines that run
//! tests may be slow.

use std::thread;
use std::time::Duration;

/// A test that waits longer than this has failed.
const LIMIT_MS: u64 = 20_000;

const STEP_MS: u64 = 10;

/// Polls until there is a value.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LIMIT_MS / STEP_MS {
        if let Some(answer) = ask() {
            return answer;
        }
        pause(STEP_MS);
    }
    panic!("waited in vain: {what}")
}

/// Polls until the condition holds.
pub(crate) fn wait_until(what: &str, mut ask: impl FnMut() -> bool) {
    wait_for(what, || ask().then_some(()));
}

#[expect(clippy::disallowed_methods, reason = "a test waits for other processes")]
pub(crate) fn pause(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}
