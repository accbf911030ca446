//! Signal handlers: the first signal requests an orderly end, a later one ends the process.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::time::{ClockId, clock_gettime};

use crate::io::StopFlag;

/// Signals within this time after the first belong to the same request. `timeout` signals its
/// child and then its process group, and a terminal and a supervisor may both signal at once.
const SAME_REQUEST_NS: u64 = 1_000_000_000;

/// When the first signal came, in nanoseconds of the monotonic clock; 0 before.
static FIRST_SIGNAL_NS: AtomicU64 = AtomicU64::new(0);

/// The text that is written to standard error when a signal ends the process at once, and whether
/// it is still valid.
static LAST_MESSAGE: OnceLock<String> = OnceLock::new();
static HAS_LAST_MESSAGE: AtomicBool = AtomicBool::new(false);

/// The meaning of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignalRequest {
    /// An orderly end.
    End,
    /// The end that was requested less than a second ago.
    Repeated,
    /// An end at once.
    EndAtOnce,
}

/// Classifies a signal at `now_ns` and stores the time of the first one.
fn classify(first_ns: &AtomicU64, now_ns: u64) -> SignalRequest {
    let now_ns = now_ns.max(1);
    match first_ns.compare_exchange(0, now_ns, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => SignalRequest::End,
        Err(first_ns) if now_ns.saturating_sub(first_ns) < SAME_REQUEST_NS => {
            SignalRequest::Repeated
        }
        Err(_) => SignalRequest::EndAtOnce,
    }
}

/// Installs a handler that sets `flag` at the first signal. A signal more than a second after the
/// first, of any kind that has this handler, ends the process as if there were no handler.
///
/// # Errors
/// The system rejects the handler.
pub(crate) fn set_flag_on_signal(signal: i32, flag: StopFlag) -> io::Result<()> {
    let action = move || match classify(&FIRST_SIGNAL_NS, now_ns()) {
        SignalRequest::End => flag.set(),
        SignalRequest::Repeated => {}
        SignalRequest::EndAtOnce => end_at_once(signal),
    };
    // SAFETY: the action interrupts any code of this process, so it may only do what
    // signal-safety(7) lists. It loads and stores atomics (`OnceLock::get` is one load), calls
    // clock_gettime, poll, write, signal and raise, and neither allocates, locks nor panics.
    // Everything that it calls is in this file, and in `StopFlag::set`, which is one store.
    unsafe { signal_hook_registry::register(signal, action) }.map(drop)
}

/// Sets the text, with its line break, that is written to standard error when a signal ends the
/// process at once. Only the first call has an effect.
pub(crate) fn set_last_message(text: String) {
    let is_first = LAST_MESSAGE.set(text).is_ok();
    HAS_LAST_MESSAGE.store(is_first, Ordering::Release);
}

/// Disables the text of [`set_last_message`].
pub(crate) fn clear_last_message() {
    HAS_LAST_MESSAGE.store(false, Ordering::Release);
}

/// Whether the process was started with the signal ignored, as `nohup` does with SIGHUP.
pub(crate) fn is_ignored(signal: i32) -> bool {
    let mut current = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: with a null pointer for the new action the call changes nothing and writes the
    // current action to `current`, which has room for one.
    let failed = unsafe { libc::sigaction(signal, ptr::null(), current.as_mut_ptr()) } != 0;
    // SAFETY: the call succeeded, so it has written `current`.
    !failed && unsafe { current.assume_init() }.sa_sigaction == libc::SIG_IGN
}

fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}

/// Writes the last message and ends the process by the signal's default action.
fn end_at_once(signal: i32) {
    let stderr = io::stderr();
    let message = LAST_MESSAGE.get().filter(|_| HAS_LAST_MESSAGE.load(Ordering::Acquire));
    if let Some(message) = message {
        // A blocked reader of standard error must not delay the end.
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut ready = [PollFd::new(&stderr, PollFlags::OUT)];
        if poll(&mut ready, Some(&at_once)) == Ok(1) {
            let _ = rustix::io::write(&stderr, message.as_bytes());
        }
    }
    // SAFETY: `signal` and `raise` take numbers and read no memory of ours; SIG_DFL runs no code
    // of ours. The signal is blocked while its handler runs and ends the process on return.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_within_one_second_count_as_one_request() {
        let first = AtomicU64::new(0);
        assert_eq!(classify(&first, 5), SignalRequest::End);
        assert_eq!(classify(&first, 5), SignalRequest::Repeated);
        assert_eq!(classify(&first, 3), SignalRequest::Repeated);
        assert_eq!(classify(&first, 5 + SAME_REQUEST_NS - 1), SignalRequest::Repeated);
        assert_eq!(classify(&first, 5 + SAME_REQUEST_NS), SignalRequest::EndAtOnce);
    }

    #[test]
    fn a_first_signal_at_time_0_is_remembered() {
        let first = AtomicU64::new(0);
        assert_eq!(classify(&first, 0), SignalRequest::End);
        assert_eq!(classify(&first, 0), SignalRequest::Repeated);
    }

    #[test]
    fn an_ignored_signal_is_recognised() {
        // Rust's runtime ignores SIGPIPE at start; nothing ignores SIGWINCH.
        assert!(is_ignored(libc::SIGPIPE));
        assert!(!is_ignored(libc::SIGWINCH));
        assert!(!is_ignored(-1));
    }
}
