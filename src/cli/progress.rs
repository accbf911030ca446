//! A progress bar, where somebody sits at a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::io::capture::CaptureSource;

/// How many bursts pass between two looks at the bar.
const BURSTS: u32 = 256;

/// Shows how much of all captures was read.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    bursts: u32,
    done: u64,
}

impl Progress {
    /// A bar over all captures; none where standard error is no terminal.
    pub(super) fn new(sources: &[CaptureSource], passes: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: None, bursts: 0, done: 0 };
        }
        let total: Option<u64> = sources.iter().map(CaptureSource::total_bytes).sum();
        let total = total.and_then(|total| total.checked_mul(passes));
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(total, target);
        let form = "{bytes:>10} of {total_bytes} [{bar:40}] {bytes_per_sec} {eta}";
        if let (Some(_), Ok(style)) = (total, ProgressStyle::with_template(form)) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar: Some(bar), bursts: 0, done: 0 }
    }

    /// Called once a burst.
    pub(super) fn step(&mut self, source: &CaptureSource) {
        let Some(bar) = &self.bar else { return };
        self.bursts += 1;
        if self.bursts.is_multiple_of(BURSTS) {
            bar.set_position(self.done + source.position_bytes());
        }
    }

    /// Called at the end of a capture.
    pub(super) fn next(&mut self, source: &CaptureSource) {
        self.done += source.position_bytes();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
