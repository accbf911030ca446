//! Engines by the names that users type.

use clap::ValueEnum;

use crate::dataplane::EngineKind;

/// An engine by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum EngineChoice {
    /// What the rules call for.
    Auto,
    /// Rule after rule: the baseline.
    Linear,
    /// Rows of words with a bit for each rule.
    Words,
    /// Class tables.
    Classes,
    /// Cut trees.
    Forest,
}

impl EngineChoice {
    /// In words of a bit for each rule even this many rules take hundreds of megabytes.
    const MOST_RULES_IN_WORDS: usize = 100_000;

    pub(super) const fn wanted(self) -> Option<EngineKind> {
        match self {
            Self::Auto => None,
            Self::Linear => Some(EngineKind::Linear),
            Self::Words => Some(EngineKind::BitVector),
            Self::Classes => Some(EngineKind::CrossProduct),
            Self::Forest => Some(EngineKind::CutForest),
        }
    }

    pub(super) fn label(self) -> &'static str {
        self.wanted().map_or("auto", EngineKind::label)
    }

    /// Whether it is known beforehand that so many rules take too much memory.
    pub(super) const fn is_beyond(self, rules: usize) -> bool {
        matches!(self, Self::Words) && rules > Self::MOST_RULES_IN_WORDS
    }
}
