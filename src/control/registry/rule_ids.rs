//! The ids of the rules of all filters, to find an id that is given twice.

use std::collections::HashSet;

use crate::model::{Filter, FilterRuleId, InvalidValue};

/// The ids of the rules of filters when they were added. `Registry::replace_filter` does not update
/// them, because its cost must not grow with the number of rules; the account that calls it
/// generates the ids. Registries with the same resources are equal, so all values of this type are
/// equal.
#[derive(Debug, Clone, Default)]
pub(super) struct RuleIds(HashSet<FilterRuleId>);

impl RuleIds {
    /// Adds the ids of the rules of a filter, or none on an error.
    ///
    /// # Errors
    /// [`InvalidValue`] if another rule, of this filter or another one, has the id of a rule.
    pub(super) fn add(&mut self, filter: &Filter) -> Result<(), InvalidValue> {
        let mut own = HashSet::new();
        for id in ids(filter) {
            if self.0.contains(id) || !own.insert(id) {
                let expected = "an id that no other rule has";
                return Err(InvalidValue::new("traffic_mirror_filter_rule_id", id, expected));
            }
        }
        self.0.extend(own.into_iter().cloned());
        Ok(())
    }

    /// Removes the ids of the rules of a filter.
    pub(super) fn remove(&mut self, filter: &Filter) {
        for id in ids(filter) {
            self.0.remove(id);
        }
    }
}

fn ids(filter: &Filter) -> impl Iterator<Item = &FilterRuleId> {
    filter.all_rules().iter().filter_map(|rule| rule.id.as_ref())
}

impl PartialEq for RuleIds {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for RuleIds {}
