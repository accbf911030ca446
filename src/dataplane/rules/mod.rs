//! Classification: the rules of all sessions of one interface, direction and address family are
//! compiled into one rule set. One lookup returns the session that mirrors a packet, and the rule.
//!
//! What belongs here: the engines, the choice between them, and patches of compiled rules. What
//! does not belong here: the checks before the rules (`table`) and the copies (`encap`).
//!
//! All engines give the same answers as `linear`, which is the specification. They differ in speed:
//!
//! ```text
//! bit_vector     up to 126 rules          a bit for each rule, an AND over the fields
//! cross_product  up to 65,534 rules       a fixed number of table lookups, within 32 MiB
//! cut_forest     all other rules          decision trees, whose depth depends on the rules
//! ```

mod answer;
mod bit_vector;
mod compiled;
mod cross_product;
mod cut_forest;
mod engine;
mod linear;
mod list;
mod patch;

use std::sync::Arc;

pub use answer::Answer;
#[cfg(feature = "live")]
pub(super) use bit_vector::block_byte_range;
use compiled::Compiled;
use engine::Engine;
pub use engine::EngineKind;
pub(super) use list::RuleList;
use list::RulePosition;
pub(crate) use list::matches;
#[cfg(feature = "live")]
pub(super) use list::rules_of;
use patch::Patch;

use super::flow_key::FlowKey;
use super::verdict::{AcceptedBy, SessionMatch};
use crate::model::{Direction, Filter, RuleAction};

/// The decision of one session on a packet by its rules alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionDecision {
    /// The session and its first matching rule.
    pub matched: SessionMatch,
    /// The action of the rule.
    pub action: RuleAction,
}

/// The size and depth of a compiled rule set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineStats {
    /// The engine.
    pub engine: EngineKind,
    /// The number of rules that can decide. Rejecting rules after the last accepting rule of a
    /// session cannot.
    pub rules: usize,
    /// Memory of the tables in bytes, without the rules themselves.
    pub bytes: usize,
    /// The largest number of tables that one lookup reads.
    pub depth: usize,
    /// The number of rules in the patch: those added or removed since the tables were built.
    pub changed: usize,
}

/// Compiled rules: for a packet, the session that mirrors it and the rule that accepts it.
#[derive(Debug)]
pub struct RuleSet {
    compiled: Arc<Compiled>,
    patch: Option<Patch>,
    /// By answer: the session and the rule.
    positions: Arc<[RulePosition]>,
}

impl RuleSet {
    /// Compiles the rules of one direction and address family. `filters` are the filters of the
    /// sessions in evaluation order. The number of the rules and their overlap select the engine.
    #[must_use]
    pub fn new(filters: &[Arc<Filter>], direction: Direction, is_ipv4: bool) -> Self {
        let list = RuleList::new(filters, direction, is_ipv4);
        let engine = Engine::new(&list, is_ipv4);
        Self::of(filters, direction, is_ipv4, &list, engine)
    }

    /// The same with a given engine; `None` if the engine cannot hold the rules.
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
        let positions: Arc<[RulePosition]> =
            list.rules().iter().map(|place| place.position).collect();
        let filters = filters.to_vec();
        let compiled =
            Compiled { engine, filters, direction, is_ipv4, positions: Arc::clone(&positions) };
        Self { compiled: Arc::new(compiled), patch: None, positions }
    }

    /// A rule set for filters with a few different rules. It has the same tables and a patch for
    /// the rules that were added or removed. `None` if too many rules differ, or if compiling is as
    /// fast.
    #[must_use]
    pub fn patched(&self, filters: &[Arc<Filter>]) -> Option<Self> {
        let (patch, positions) = Patch::from_changes(&self.compiled, filters)?;
        Some(Self { compiled: Arc::clone(&self.compiled), patch, positions })
    }

    /// Whether a lookup is slower than a memory access, so that a cache of answers is worthwhile.
    #[inline]
    pub(super) fn is_expensive(&self) -> bool {
        self.compiled.engine.is_expensive(self.compiled.positions.len())
    }

    /// Whether all rules are in the tables, so that there is no patch.
    #[must_use]
    pub const fn is_fully_compiled(&self) -> bool {
        self.patch.is_none()
    }

    /// Writes the answer for each key to `answers`. The keys must be of the address family of the
    /// rules.
    #[inline]
    pub fn classify(&self, keys: &[FlowKey], answers: &mut [Answer]) {
        self.compiled.engine.classify(keys, answers);
        if let Some(patch) = &self.patch {
            patch.correct(&self.compiled, &self.positions, keys, answers);
        }
    }

    /// The first session that accepts the packet, and its rule.
    #[inline]
    #[must_use]
    pub fn first_accept(&self, key: &FlowKey) -> Option<SessionMatch> {
        let mut answer = [Answer::NONE];
        self.classify(std::slice::from_ref(key), &mut answer);
        let [answer] = answer;
        self.session_match(answer)
    }

    /// The session and the rule that an answer denotes. The session is the index of its filter
    /// among the filters of the rule set.
    #[inline]
    #[must_use]
    pub fn session_match(&self, answer: Answer) -> Option<SessionMatch> {
        let position = self.positions.get(usize::try_from(answer.place()).ok()?)?;
        Some(SessionMatch { session: position.session, by: AcceptedBy::Rule(position.rule) })
    }

    /// The size and depth of the rule set.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let (engine, bytes, depth) = self.compiled.engine.stats();
        let changed = self.patch.as_ref().map_or(0, Patch::len);
        EngineStats { engine, rules: self.compiled.positions.len(), bytes, depth, changed }
    }
}
