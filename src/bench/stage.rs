//! The stages of the data plane.

use std::fmt;

/// A stage of the data plane, or all stages together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Read the flow key from the headers, by [`FlowKey::parse`](crate::dataplane::FlowKey::parse).
    /// `Whole` reads plain frames at fixed offsets instead, so the sum of the stages is not its
    /// time.
    Parse,
    /// Evaluate the rules, without the flow cache that `Whole` uses for large forests.
    Classify,
    /// Write the outer headers.
    Wrap,
    /// Write outer headers and inner bytes to a buffer, as for a socket.
    Send,
    /// Everything that a worker does with a burst: from frames to the buffer, with the counters.
    Whole,
}

impl Stage {
    /// All stages, in the order of a packet.
    pub const ALL: [Self; 5] = [Self::Parse, Self::Classify, Self::Wrap, Self::Send, Self::Whole];

    /// `parse`, `classify`, `wrap`, `send` or `whole`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Classify => "classify",
            Self::Wrap => "wrap",
            Self::Send => "send",
            Self::Whole => "whole",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
