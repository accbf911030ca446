//! A progress bar, where somebody sits at a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::io::capture::CaptureSource;

/// Shows how much of all captures was read.
pub(super) struct ProgressDisplay {
    bar: Option<ProgressBar>,
    done: u64,
}

impl ProgressDisplay {
    /// A bar over all captures; none where standard error is no terminal.
    pub(super) fn new(sources: &[CaptureSource], passes: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: None, done: 0 };
        }
        let total: Option<u64> = sources.iter().map(CaptureSource::total_bytes).sum();
        let total = total.and_then(|total| total.checked_mul(passes));
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(total, target);
        // Of a stream nobody knows how long it is.
        let template = match total {
            Some(_) => "{bytes:>10} of {total_bytes} [{bar:30}] {bytes_per_sec} {eta}",
            None => "{bytes:>10} in {elapsed} {bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar: Some(bar), done: 0 }
    }

    /// Called once a burst; the bar itself sees to it that it is not drawn as often.
    pub(super) fn update(&self, source: &CaptureSource) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.done + source.position_bytes());
        }
    }

    /// Called at the end of a capture.
    pub(super) fn finish_capture(&mut self, source: &CaptureSource) {
        self.done += source.position_bytes();
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
