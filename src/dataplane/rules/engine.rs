//! The engines, and the choice between them.

use super::classes::Classes;
use super::forest::Forest;
use super::linear::Linear;
use super::list::RuleList;
use super::words::Words;
use crate::dataplane::flow_key::FlowKey;

/// The ways in which rules are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// Rule after rule: the baseline, and what the others are held against.
    Linear,
    /// Rows of words with a bit for each rule.
    Words,
    /// Class tables: recursive flow classification.
    Classes,
    /// A forest of cut trees.
    Forest,
}

impl EngineKind {
    /// Every kind, plainest first.
    pub const ALL: [Self; 4] = [Self::Linear, Self::Words, Self::Classes, Self::Forest];

    /// What reports and options call it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Words => "words",
            Self::Classes => "classes",
            Self::Forest => "forest",
        }
    }
}

/// Rules made ready to be asked.
#[derive(Debug)]
pub(super) enum Engine {
    Linear(Linear),
    Words(Words),
    /// The trees are asked while rules that have changed wait for new tables.
    Classes(Box<Classes>, Forest),
    Forest(Forest),
}

/// How many rules still go into rows of words.
const MOST_RULES_IN_WORDS: usize = 126;

/// From so many rules on a forest is dear.
const FEWEST_DEAR: usize = 4096;

/// How large class tables may become, in bytes.
const MOST_BYTES_OF_CLASSES: usize = 24 << 20;

impl Engine {
    /// What the number of the rules and their overlap call for.
    pub(super) fn new(list: &RuleList<'_>, is_ipv4: bool) -> Self {
        if list.len() <= MOST_RULES_IN_WORDS {
            return Self::Words(Words::new(list, is_ipv4));
        }
        let classes = Self::of_kind(EngineKind::Classes, list, is_ipv4);
        classes.unwrap_or_else(|| Self::Forest(Forest::new(list, is_ipv4)))
    }

    /// What is wanted; nothing where the rules do not allow it.
    pub(super) fn of_kind(kind: EngineKind, list: &RuleList<'_>, is_ipv4: bool) -> Option<Self> {
        Some(match kind {
            EngineKind::Linear => Self::Linear(Linear::new(list)),
            EngineKind::Words => Self::Words(Words::new(list, is_ipv4)),
            EngineKind::Classes => {
                if !is_ipv4 {
                    return None;
                }
                let classes = Classes::new(list, MOST_BYTES_OF_CLASSES)?;
                Self::Classes(Box::new(classes), Forest::quickly(list, is_ipv4))
            }
            EngineKind::Forest => Self::Forest(Forest::new(list, is_ipv4)),
        })
    }

    /// Puts the place of the rule that decides on each key into `answers`, or
    /// [`NOBODY`](super::NOBODY).
    #[inline]
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [u32]) {
        match self {
            Self::Linear(linear) => linear.classify(keys, answers),
            Self::Words(words) => words.classify(keys, answers),
            Self::Classes(classes, _) => classes.classify(keys, answers),
            Self::Forest(forest) => forest.classify(keys, answers),
        }
    }

    /// Whether so many rules take longer to be asked than an answer to be found in memory.
    #[inline]
    pub(super) const fn is_dear(&self, rules: usize) -> bool {
        matches!(self, Self::Forest(_)) && rules >= FEWEST_DEAR
    }

    /// The trees, which tell first matches from any place on.
    pub(super) const fn forest(&self) -> Option<&Forest> {
        match self {
            Self::Classes(_, forest) | Self::Forest(forest) => Some(forest),
            Self::Linear(_) | Self::Words(_) => None,
        }
    }

    /// The kind, the memory in bytes, and how many tables the longest way looks into.
    pub(super) fn stats(&self) -> (EngineKind, usize, usize) {
        match self {
            Self::Linear(linear) => (EngineKind::Linear, linear.memory(), linear.depth()),
            Self::Words(words) => (EngineKind::Words, words.memory(), words.depth()),
            Self::Classes(classes, forest) => {
                (EngineKind::Classes, classes.memory() + forest.memory(), classes.depth())
            }
            Self::Forest(forest) => (EngineKind::Forest, forest.memory(), forest.depth()),
        }
    }
}
