//! The tables of an engine, and the rules from which they were built.

use std::sync::Arc;

use super::engine::Engine;
use crate::dataplane::verdict::SessionMatch;
use crate::model::{Direction, Filter, FilterRule, RuleAction};

/// Tables, and the rules that they were made of.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) engine: Engine,
    pub(super) filters: Vec<Arc<Filter>>,
    pub(super) direction: Direction,
    pub(super) is_ipv4: bool,
    /// By answer; sessions and rules as they were then.
    pub(super) matched: Arc<[SessionMatch]>,
}

impl Compiled {
    /// The first place of that session or a later one.
    pub(super) fn start_of(&self, session: u32) -> u32 {
        let place = self.matched.partition_point(|matched| matched.session < session);
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// What the rule at a place does.
    pub(super) fn action(&self, place: usize) -> Option<RuleAction> {
        self.rule(place).map(FilterRule::action)
    }

    pub(super) fn rule(&self, place: usize) -> Option<&FilterRule> {
        let matched = self.matched.get(place)?;
        let filter = self.filters.get(usize::try_from(matched.session).ok()?)?;
        filter.all_rules().get(usize::try_from(matched.rule).ok()?)
    }
}
