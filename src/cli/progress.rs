//! The progress bar of `replay`, shown if standard error is a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal;
use crate::io::capture::CaptureSource;

/// Shows how many bytes of all captures, in all passes, were read.
pub(super) struct ProgressDisplay {
    bar: Option<ProgressBar>,
    /// The bytes of finished captures.
    done: u64,
}

impl ProgressDisplay {
    /// A bar over all captures and passes; no bar if standard error is not a terminal.
    pub(super) fn new(sources: &[CaptureSource], passes: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: None, done: 0 };
        }
        let total: Option<u64> = sources.iter().map(CaptureSource::total_bytes).sum();
        let total = total.and_then(|total| total.checked_mul(passes));
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(total, target);
        // The length of a stream is unknown.
        let template = match total {
            Some(_) => "{bytes:>10} of {total_bytes} [{bar:30}] {bytes_per_sec} {eta}",
            None => "{bytes:>10} in {elapsed} {bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        terminal::show_updated_line(bar.clone());
        Self { bar: Some(bar), done: 0 }
    }

    /// Call once per burst. The bar limits how often it is drawn.
    pub(super) fn update(&self, source: &CaptureSource) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.done + source.position_bytes());
        }
    }

    /// Call at the end of a capture.
    pub(super) fn finish_capture(&mut self, source: &CaptureSource) {
        self.done += source.position_bytes();
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        if self.bar.is_some() {
            terminal::clear_updated_line();
        }
    }
}
