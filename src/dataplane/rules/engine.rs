//! The engines, and the choice between them by the number and the overlap of the rules.

use super::answer::Answer;
use super::bit_vector::BitVector;
use super::cross_product::CrossProduct;
use super::cut_forest::CutForest;
use super::linear::Linear;
use super::list::RuleList;
use crate::dataplane::flow_key::FlowKey;

/// The engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// Evaluates rule after rule: the baseline, and the specification of the others.
    Linear,
    /// Bit vectors: words with one bit for each rule.
    BitVector,
    /// Cross-product tables of classes: recursive flow classification.
    CrossProduct,
    /// A forest of decision trees.
    CutForest,
}

impl EngineKind {
    /// Every engine, the simplest first.
    pub const ALL: [Self; 4] = [Self::Linear, Self::BitVector, Self::CrossProduct, Self::CutForest];

    /// The name in reports and options.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::BitVector => "words",
            Self::CrossProduct => "classes",
            Self::CutForest => "forest",
        }
    }
}

/// Compiled rules in one of the engines.
#[derive(Debug)]
pub(super) enum Engine {
    Linear(Linear),
    BitVector(BitVector),
    /// The forest evaluates packets that match a rule of a patch.
    CrossProduct(Box<CrossProduct>, CutForest),
    CutForest(CutForest),
}

/// The largest number of rules for bit vectors.
const MAX_BIT_VECTOR_RULES: usize = 126;

/// From this number of rules on, a lookup in a forest is slower than one in the flow cache.
const MIN_EXPENSIVE_RULES: usize = 4096;

/// The largest size of cross-product tables in bytes.
const MAX_CROSS_PRODUCT_BYTES: usize = 32 << 20;

impl Engine {
    /// Selects the engine by the number of the rules and the size that cross-product tables would
    /// have.
    pub(super) fn new(list: &RuleList<'_>, is_ipv4: bool) -> Self {
        if list.len() <= MAX_BIT_VECTOR_RULES {
            return Self::BitVector(BitVector::new(list, is_ipv4));
        }
        let classes = Self::of_kind(EngineKind::CrossProduct, list, is_ipv4);
        classes.unwrap_or_else(|| Self::CutForest(CutForest::new(list, is_ipv4)))
    }

    /// The given engine; `None` if it cannot hold the rules.
    pub(super) fn of_kind(kind: EngineKind, list: &RuleList<'_>, is_ipv4: bool) -> Option<Self> {
        Some(match kind {
            EngineKind::Linear => Self::Linear(Linear::new(list)),
            EngineKind::BitVector => Self::BitVector(BitVector::new(list, is_ipv4)),
            EngineKind::CrossProduct => {
                let classes = CrossProduct::new(list, is_ipv4, MAX_CROSS_PRODUCT_BYTES)?;
                Self::CrossProduct(Box::new(classes), CutForest::new_fast(list, is_ipv4))
            }
            EngineKind::CutForest => Self::CutForest(CutForest::new(list, is_ipv4)),
        })
    }

    /// Writes to `answers` the index in the list of the rule that decides on each key, or
    /// [`Answer::NONE`].
    #[inline]
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [Answer]) {
        match self {
            Self::Linear(linear) => linear.classify(keys, answers),
            Self::BitVector(words) => words.classify(keys, answers),
            Self::CrossProduct(classes, _) => classes.classify(keys, answers),
            Self::CutForest(forest) => forest.classify(keys, answers),
        }
    }

    /// Whether a lookup in this number of rules is slower than a memory access.
    #[inline]
    pub(super) const fn is_expensive(&self, rules: usize) -> bool {
        matches!(self, Self::CutForest(_)) && rules >= MIN_EXPENSIVE_RULES
    }

    /// The forest, which can search the first match from any index on.
    pub(super) const fn forest(&self) -> Option<&CutForest> {
        match self {
            Self::CrossProduct(_, forest) | Self::CutForest(forest) => Some(forest),
            Self::Linear(_) | Self::BitVector(_) => None,
        }
    }

    /// The engine, the memory in bytes, and the largest number of tables that one lookup reads.
    pub(super) fn stats(&self) -> (EngineKind, usize, usize) {
        match self {
            Self::Linear(linear) => (EngineKind::Linear, linear.memory(), linear.depth()),
            Self::BitVector(words) => (EngineKind::BitVector, words.memory(), words.depth()),
            Self::CrossProduct(classes, forest) => {
                (EngineKind::CrossProduct, classes.memory() + forest.memory(), classes.depth())
            }
            Self::CutForest(forest) => (EngineKind::CutForest, forest.memory(), forest.depth()),
        }
    }
}
