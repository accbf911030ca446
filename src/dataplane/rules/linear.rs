//! Evaluates rule after rule, as AWS's documentation describes it: the baseline, and the
//! specification of the other engines.

use super::answer::Answer;
use super::list::{RuleList, matches};
use crate::dataplane::flow_key::FlowKey;
use crate::model::{FilterRule, RuleAction};

/// The rules in evaluation order.
#[derive(Debug)]
pub(super) struct Linear {
    /// Each rule with the index at which the rules of the next session begin.
    rules: Vec<(FilterRule, u32)>,
}

impl Linear {
    pub(super) fn new(list: &RuleList<'_>) -> Self {
        let places = list.rules().iter();
        Self { rules: places.map(|place| (place.rule.clone(), place.session_end)).collect() }
    }

    /// Writes to `answers` the index of the rule that decides on each key, or [`Answer::NONE`].
    pub(super) fn classify(&self, keys: &[FlowKey], answers: &mut [Answer]) {
        for (key, answer) in keys.iter().zip(answers) {
            *answer = self.first_accept(key);
        }
    }

    /// "The first session with a matching filter is the one that mirrors the packets."
    fn first_accept(&self, key: &FlowKey) -> Answer {
        let mut floor = 0;
        for (place, (rule, session_end)) in (0_u32..).zip(&self.rules) {
            if place >= floor && matches(rule, key) {
                match rule.action() {
                    RuleAction::Accept => return Answer::new(place),
                    RuleAction::Reject => floor = *session_end,
                }
            }
        }
        Answer::NONE
    }

    /// The largest number of rules that one lookup evaluates.
    pub(super) const fn depth(&self) -> usize {
        self.rules.len()
    }

    /// Memory in bytes.
    pub(super) const fn memory(&self) -> usize {
        size_of::<(FilterRule, u32)>() * self.rules.len()
    }
}
