//! The engines, and the choice between them.

use super::bit_vector::BitVector;
use super::cross_product::CrossProduct;
use super::cut_forest::CutForest;
use super::linear::Linear;
use super::list::RuleList;
use crate::dataplane::flow_key::FlowKey;

/// The ways in which rules are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// Rule after rule: the baseline, and what the others are held against.
    Linear,
    /// Rows of words with a bit for each rule.
    BitVector,
    /// Class tables: recursive flow classification.
    CrossProduct,
    /// A forest of cut trees.
    CutForest,
}

impl EngineKind {
    /// Every kind, plainest first.
    pub const ALL: [Self; 4] = [Self::Linear, Self::BitVector, Self::CrossProduct, Self::CutForest];

    /// What reports and options call it.
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

/// Rules made ready to be asked.
#[derive(Debug)]
pub(super) enum Engine {
    Linear(Linear),
    BitVector(BitVector),
    /// The trees are asked while rules that have changed wait for new tables.
    CrossProduct(Box<CrossProduct>, CutForest),
    CutForest(CutForest),
}

/// How many rules still go into rows of words.
const MAX_BIT_VECTOR_RULES: usize = 126;

/// From so many rules on a forest is dear.
const MIN_EXPENSIVE_RULES: usize = 4096;

/// How large class tables may become, in bytes.
const MAX_CROSS_PRODUCT_BYTES: usize = 24 << 20;

impl Engine {
    /// What the number of the rules and their overlap call for.
    pub(super) fn new(list: &RuleList<'_>, is_ipv4: bool) -> Self {
        if list.len() <= MAX_BIT_VECTOR_RULES {
            return Self::BitVector(BitVector::new(list, is_ipv4));
        }
        let classes = Self::of_kind(EngineKind::CrossProduct, list, is_ipv4);
        classes.unwrap_or_else(|| Self::CutForest(CutForest::new(list, is_ipv4)))
    }

    /// What is wanted; nothing where the rules do not allow it.
    pub(super) fn of_kind(kind: EngineKind, list: &RuleList<'_>, is_ipv4: bool) -> Option<Self> {
        Some(match kind {
            EngineKind::Linear => Self::Linear(Linear::new(list)),
            EngineKind::BitVector => Self::BitVector(BitVector::new(list, is_ipv4)),
            EngineKind::CrossProduct => {
                if !is_ipv4 {
                    return None;
                }
                let classes = CrossProduct::new(list, MAX_CROSS_PRODUCT_BYTES)?;
                Self::CrossProduct(Box::new(classes), CutForest::new_fast(list, is_ipv4))
            }
            EngineKind::CutForest => Self::CutForest(CutForest::new(list, is_ipv4)),
        })
    }

    /// Puts the place of the rule that decides on each key into `answers`, or
    /// [`NO_MATCH`](super::list::NO_MATCH).
    #[inline]
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [u32]) {
        match self {
            Self::Linear(linear) => linear.classify(keys, answers),
            Self::BitVector(words) => words.classify(keys, answers),
            Self::CrossProduct(classes, _) => classes.classify(keys, answers),
            Self::CutForest(forest) => forest.classify(keys, answers),
        }
    }

    /// Whether so many rules take longer to be asked than an answer to be found in memory.
    #[inline]
    pub(super) const fn is_expensive(&self, rules: usize) -> bool {
        matches!(self, Self::CutForest(_)) && rules >= MIN_EXPENSIVE_RULES
    }

    /// The trees, which tell first matches from any place on.
    pub(super) const fn forest(&self) -> Option<&CutForest> {
        match self {
            Self::CrossProduct(_, forest) | Self::CutForest(forest) => Some(forest),
            Self::Linear(_) | Self::BitVector(_) => None,
        }
    }

    /// The kind, the memory in bytes, and how many tables the longest way looks into.
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
