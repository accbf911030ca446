//! The rules of all sessions of one interface, direction and address family, fused: one walk says
//! which session takes a packet, and by which rule.
//!
//! What belongs here: the engines, the choice between them, and what becomes of compiled rules
//! when some change. What does not: which packets come here at all, and what becomes of them.

mod bit_vector;
mod compiled;
mod cross_product;
mod cut_forest;
mod engine;
mod linear;
mod list;
mod patch;

use std::sync::Arc;

use compiled::Compiled;
use engine::Engine;
pub use engine::EngineKind;
pub(crate) use list::matches;
use list::{NO_MATCH, RuleList};
use patch::Patch;

use super::flow_key::FlowKey;
use super::verdict::SessionMatch;
use crate::model::{Direction, Filter, RuleAction};

/// What one session does with a packet by its rules alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionDecision {
    /// The session and its first rule that matches.
    pub matched: SessionMatch,
    /// What the rule says.
    pub action: RuleAction,
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
    /// How many rules have come or gone since the tables were made: they stand beside them.
    pub changed: usize,
}

/// Compiled rules that answer: which session takes this packet, and by which rule?
#[derive(Debug)]
pub struct RuleSet {
    compiled: Arc<Compiled>,
    patch: Option<Patch>,
    /// By answer.
    matched: Arc<[SessionMatch]>,
}

impl RuleSet {
    /// In place of an answer: no session takes the packet.
    pub const NO_MATCH: u32 = NO_MATCH;

    /// Fuses the rules of one direction and family; `filters` are those of the sessions in the
    /// order of asking. How they are asked follows from how many they are and how they overlap.
    #[must_use]
    pub fn new(filters: &[Arc<Filter>], direction: Direction, is_ipv4: bool) -> Self {
        let list = RuleList::new(filters, direction, is_ipv4);
        let engine = Engine::new(&list, is_ipv4);
        Self::of(filters, direction, is_ipv4, &list, engine)
    }

    /// The same, asked in the way that is wanted; nothing where the rules do not allow it.
    #[must_use]
    pub fn with_engine(
        filters: &[Arc<Filter>],
        direction: Direction,
        is_ipv4: bool,
        wanted: EngineKind,
    ) -> Option<Self> {
        let list = RuleList::new(filters, direction, is_ipv4);
        let engine = Engine::of_kind(wanted, &list, is_ipv4)?;
        Some(Self::of(filters, direction, is_ipv4, &list, engine))
    }

    fn of(
        filters: &[Arc<Filter>],
        direction: Direction,
        is_ipv4: bool,
        list: &RuleList<'_>,
        engine: Engine,
    ) -> Self {
        let matched: Arc<[SessionMatch]> = list.rules().iter().map(|place| place.matched).collect();
        let filters = filters.to_vec();
        let compiled =
            Compiled { engine, filters, direction, is_ipv4, matched: Arc::clone(&matched) };
        Self { compiled: Arc::new(compiled), patch: None, matched }
    }

    /// The same for filters of which a few rules differ, made of the same tables: rules that came
    /// or went stand beside them. Nothing where too much differs, or where new tables are made as
    /// fast.
    #[must_use]
    pub fn patched(&self, filters: &[Arc<Filter>]) -> Option<Self> {
        let (patch, matched) = Patch::from_changes(&self.compiled, filters)?;
        Some(Self { compiled: Arc::clone(&self.compiled), patch, matched })
    }

    /// Whether asking is dearer than memory, so that answers are worth being kept.
    #[inline]
    pub(super) fn is_expensive(&self) -> bool {
        self.compiled.engine.is_expensive(self.compiled.matched.len())
    }

    /// Whether all rules are in the tables.
    #[must_use]
    pub const fn is_fully_compiled(&self) -> bool {
        self.patch.is_none()
    }

    /// Puts the answer for each key into `answers`: what [`RuleSet::session_match`] makes a session
    /// of, or
    /// [`RuleSet::NO_MATCH`]. The keys must be of the family that the rules are of.
    #[inline]
    pub fn classify(&self, keys: &[FlowKey], answers: &mut [u32]) {
        self.compiled.engine.classify(keys, answers);
        if let Some(patch) = &self.patch {
            patch.correct(&self.compiled, &self.matched, keys, answers);
        }
    }

    /// The first session that accepts, and its rule.
    #[inline]
    #[must_use]
    pub fn first_accept(&self, key: &FlowKey) -> Option<SessionMatch> {
        let mut answer = [NO_MATCH];
        self.classify(std::slice::from_ref(key), &mut answer);
        let [answer] = answer;
        self.session_match(answer)
    }

    /// Which session and rule an answer stands for: the session by its place among the filters,
    /// the rule by its place among all rules of the filter.
    #[inline]
    #[must_use]
    pub fn session_match(&self, answer: u32) -> Option<SessionMatch> {
        self.matched.get(usize::try_from(answer).ok()?).copied()
    }

    /// What it costs.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let (engine, bytes, depth) = self.compiled.engine.stats();
        let changed = self.patch.as_ref().map_or(0, Patch::len);
        EngineStats { engine, rules: self.compiled.matched.len(), bytes, depth, changed }
    }
}
