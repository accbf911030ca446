//! The live line of `run`: the rates of the last second. It is updated in place on a terminal.

use std::fmt::Write;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::terminal;
use crate::dataplane::{Counters, DropCause};
use crate::io::clock::Stopwatch;
use crate::io::udp::TargetState;

/// The maximum number of failing targets in the line.
const MAX_FAILING_SHOWN: usize = 3;

/// Shows the rates between two heartbeats.
pub(super) struct LiveLine {
    bar: Option<ProgressBar>,
    last: Counters,
    since: Stopwatch,
}

impl LiveLine {
    /// A line that is shown if standard error is a terminal, from the first heartbeat until
    /// [`terminal::clear_updated_line`].
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.with_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| {
                // Unreachable, because the template is valid; the default also shows the message.
                ProgressStyle::default_spinner()
            }))
        });
        Self { bar, last: Counters::default(), since: Stopwatch::start() }
    }

    /// Updates the line with the rates since the last call, and returns its text.
    pub(super) fn show(&mut self, now: Counters, failing: &[(SocketAddr, TargetState)]) -> String {
        let elapsed = std::mem::replace(&mut self.since, Stopwatch::start()).elapsed();
        let mut text = rates_text(&self.last, &now, elapsed);
        for (address, state) in failing.iter().take(MAX_FAILING_SHOWN) {
            // Writing to a string does not fail.
            let _ = write!(text, ", {address} {}", state.label());
        }
        self.last = now;
        if let Some(bar) = &self.bar {
            terminal::show_updated_line(bar.clone());
            bar.set_message(text.clone());
            bar.tick();
        }
        text
    }
}

fn rates_text(before: &Counters, now: &Counters, elapsed: Duration) -> String {
    let milliseconds = elapsed.as_millis().max(1);
    let per_second =
        |before: u64, now: u64| u128::from(now.saturating_sub(before)) * 1_000 / milliseconds;
    let megabits = per_second(before.mirrored_bytes(), now.mirrored_bytes()) * 8 / 1_000_000;
    let mut text = format!(
        "{} frames/s, {} mirrored/s, {megabits} Mbit/s",
        per_second(before.received, now.received),
        per_second(before.mirrored(), now.mirrored()),
    );
    for cause in DropCause::ALL {
        let dropped = per_second(before.dropped(cause), now.dropped(cause));
        if dropped > 0 {
            // Writing to a string does not fail.
            let _ = write!(text, ", {dropped} dropped/s ({})", cause.label());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_computed_from_the_elapsed_time() {
        let (before, mut now) = (Counters::default(), Counters::default());
        now.received = 500;
        let text = rates_text(&before, &now, Duration::from_millis(500));
        assert_eq!(text, "1000 frames/s, 0 mirrored/s, 0 Mbit/s");
    }
}
