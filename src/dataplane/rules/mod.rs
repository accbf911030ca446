//! The rules of all sessions of one interface, direction and address family, fused: one walk says
//! which session takes a packet, and by which rule.
//!
//! What belongs here: the engines and the choice between them. What does not: which packets come
//! here at all, and what becomes of them.

mod classes;
mod field_words;
mod forest;
mod linear;
mod list;
mod words;

use classes::Classes;
use forest::Forest;
use linear::Linear;
use list::RuleList;
pub use list::Seat;
pub(crate) use list::matches;
use words::Words;

use super::flow_key::FlowKey;
use super::verdict::Taken;
use crate::model::{Direction, RuleAction};

/// In place of an answer: no session takes the packet.
const NOBODY: u32 = u32::MAX;

/// What one session does with a packet by its rules alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The session and its first rule that matches.
    pub taken: Taken,
    /// What the rule says.
    pub action: RuleAction,
}

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

/// What compiled rules cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineStats {
    /// How they are asked.
    pub engine: EngineKind,
    /// How many rules can decide; those behind the last accepting one of their session cannot.
    pub rules: usize,
    /// The memory of the tables in bytes, without the rules themselves.
    pub bytes: usize,
    /// How many tables the longest way through them looks into.
    pub depth: usize,
}

/// Compiled rules that answer: which session takes this packet, and by which rule?
#[derive(Debug)]
pub struct RuleSet {
    engine: Engine,
    /// By answer.
    taken: Vec<Taken>,
}

#[derive(Debug)]
enum Engine {
    Linear(Linear),
    Words(Words),
    Classes(Classes),
    Forest(Forest),
}

/// How many rules still go into rows of words.
const MOST_RULES_IN_WORDS: usize = 126;

/// How large class tables may become, in bytes.
const MOST_BYTES_OF_CLASSES: usize = 24 << 20;

impl RuleSet {
    /// In place of an answer: no session takes the packet.
    pub const NOBODY: u32 = NOBODY;

    /// Fuses the rules of one direction and family; `seats` are in the order of asking. How they
    /// are asked follows from how many they are and how they overlap.
    #[must_use]
    pub fn new(seats: &[Seat<'_>], direction: Direction, is_ipv4: bool) -> Self {
        let list = RuleList::new(seats, direction, is_ipv4);
        if list.len() <= MOST_RULES_IN_WORDS {
            return Self::of(&list, Engine::Words(Words::new(&list)));
        }
        let engine = match Classes::new(&list, is_ipv4, MOST_BYTES_OF_CLASSES) {
            Some(classes) => Engine::Classes(classes),
            None => Engine::Forest(Forest::new(&list, is_ipv4)),
        };
        Self::of(&list, engine)
    }

    /// The same, asked in the way that is wanted; nothing where the rules do not allow it.
    #[must_use]
    pub fn with_engine(
        seats: &[Seat<'_>],
        direction: Direction,
        is_ipv4: bool,
        wanted: EngineKind,
    ) -> Option<Self> {
        let list = RuleList::new(seats, direction, is_ipv4);
        let engine = match wanted {
            EngineKind::Linear => Engine::Linear(Linear::new(&list)),
            EngineKind::Words => Engine::Words(Words::new(&list)),
            EngineKind::Classes => {
                Engine::Classes(Classes::new(&list, is_ipv4, MOST_BYTES_OF_CLASSES)?)
            }
            EngineKind::Forest => Engine::Forest(Forest::new(&list, is_ipv4)),
        };
        Some(Self::of(&list, engine))
    }

    fn of(list: &RuleList<'_>, engine: Engine) -> Self {
        Self { engine, taken: list.places().iter().map(|place| place.taken).collect() }
    }

    /// Puts the answer for each key into `answers`: what [`RuleSet::taken`] makes a session of, or
    /// [`RuleSet::NOBODY`]. The keys must be of the family that the rules are of.
    #[inline]
    pub fn classify(&self, keys: &[FlowKey], answers: &mut [u32]) {
        match &self.engine {
            Engine::Linear(linear) => linear.classify(keys, answers),
            Engine::Words(words) => words.classify(keys, answers),
            Engine::Classes(classes) => classes.classify(keys, answers),
            Engine::Forest(forest) => forest.classify(keys, answers),
        }
    }

    /// The first session that accepts, and its rule.
    #[inline]
    #[must_use]
    pub fn first_accept(&self, key: &FlowKey) -> Option<Taken> {
        let mut answer = [NOBODY];
        self.classify(std::slice::from_ref(key), &mut answer);
        let [answer] = answer;
        self.taken(answer)
    }

    /// Which session and rule an answer stands for.
    #[inline]
    #[must_use]
    pub fn taken(&self, answer: u32) -> Option<Taken> {
        self.taken.get(usize::try_from(answer).ok()?).copied()
    }

    /// What it costs.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let (engine, bytes, depth) = match &self.engine {
            Engine::Linear(linear) => (EngineKind::Linear, linear.memory(), self.taken.len()),
            Engine::Words(words) => (EngineKind::Words, words.memory(), words.depth()),
            Engine::Classes(classes) => (EngineKind::Classes, classes.memory(), classes.depth()),
            Engine::Forest(forest) => (EngineKind::Forest, forest.memory(), forest.depth()),
        };
        EngineStats { engine, rules: self.taken.len(), bytes, depth }
    }
}
