//! The rule engines that can be measured.

use crate::dataplane::EngineKind;

/// A rule engine, or the automatic selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineChoice {
    /// The engine that the data plane selects by the number and overlap of the rules.
    Auto,
    /// Compares the packet with one rule after the other; the baseline.
    Linear,
    /// One bit for each rule, in words.
    BitVector,
    /// Tables of equivalence classes.
    CrossProduct,
    /// Decision trees that cut the address space.
    CutForest,
}

impl EngineChoice {
    /// With more rules, bit vectors need hundreds of megabytes of memory, and are not measured.
    const MAX_BIT_VECTOR_RULES: usize = 100_000;

    /// The engine; `None` for the automatic selection.
    #[must_use]
    pub const fn kind(self) -> Option<EngineKind> {
        match self {
            Self::Auto => None,
            Self::Linear => Some(EngineKind::Linear),
            Self::BitVector => Some(EngineKind::BitVector),
            Self::CrossProduct => Some(EngineKind::CrossProduct),
            Self::CutForest => Some(EngineKind::CutForest),
        }
    }

    /// `auto`, `linear`, `words`, `classes` or `forest`.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.kind().map_or("auto", EngineKind::label)
    }

    /// Whether the engine needs too much memory for this number of rules.
    pub(super) const fn exceeds_memory(self, rules: usize) -> bool {
        matches!(self, Self::BitVector) && rules > Self::MAX_BIT_VECTOR_RULES
    }
}
