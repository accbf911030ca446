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
    #[value(name = "words")]
    BitVector,
    /// Class tables.
    #[value(name = "classes")]
    CrossProduct,
    /// Cut trees.
    #[value(name = "forest")]
    CutForest,
}

impl EngineChoice {
    /// In words of a bit for each rule even this many rules take hundreds of megabytes.
    const MAX_BIT_VECTOR_RULES: usize = 100_000;

    pub(super) const fn kind(self) -> Option<EngineKind> {
        match self {
            Self::Auto => None,
            Self::Linear => Some(EngineKind::Linear),
            Self::BitVector => Some(EngineKind::BitVector),
            Self::CrossProduct => Some(EngineKind::CrossProduct),
            Self::CutForest => Some(EngineKind::CutForest),
        }
    }

    pub(super) fn label(self) -> &'static str {
        self.kind().map_or("auto", EngineKind::label)
    }

    /// Whether it is known beforehand that so many rules take too much memory.
    pub(super) const fn exceeds_memory(self, rules: usize) -> bool {
        matches!(self, Self::BitVector) && rules > Self::MAX_BIT_VECTOR_RULES
    }
}
