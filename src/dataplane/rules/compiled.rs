//! The tables of an engine, and the rules from which they were built.

use std::sync::Arc;

use super::engine::Engine;
use super::list::RulePosition;
use crate::dataplane::index::SessionIndex;
use crate::model::{Direction, Filter, FilterRule, RuleAction};

/// The tables of an engine, and the rules from which they were built.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) engine: Engine,
    pub(super) filters: Vec<Arc<Filter>>,
    pub(super) direction: Direction,
    pub(super) is_ipv4: bool,
    /// By answer: the session and the rule when the tables were built.
    pub(super) positions: Arc<[RulePosition]>,
}

impl Compiled {
    /// The index of the first rule of this session or a later one.
    pub(super) fn start_of(&self, session: SessionIndex) -> u32 {
        let place = self.positions.partition_point(|position| position.session < session);
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// The action of the rule at an index of the list.
    pub(super) fn action(&self, place: usize) -> Option<RuleAction> {
        self.rule(place).map(FilterRule::action)
    }

    /// The rule at an index of the list.
    pub(super) fn rule(&self, place: usize) -> Option<&FilterRule> {
        let position = self.positions.get(place)?;
        self.filters.get(position.session.get())?.all_rules().get(position.rule.get())
    }
}
