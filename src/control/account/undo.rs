//! Undoes changes: the account saves the value that each record had before a change.
//!
//! A change is undone if it cannot be persisted, or if the data plane refuses it. Several changes
//! are undone in reverse order, so that each finds the resources that it left.

use std::sync::Arc;

use super::ownership::Ownership;
use super::record_key::RecordKey;
use super::token_store::{TokenKey, TokenRecord};
use super::{Account, ApiError};
use crate::model::{
    Filter, FilterId, FilterRule, FilterRuleId, NetworkInterface, NetworkInterfaceId, Session,
    SessionId, Target, TargetId,
};

/// The values that records had before a change, in the order in which they were changed.
#[derive(Debug, Default)]
pub struct UndoLog(Vec<SavedRecord>);

/// A record before a change; `None` if it did not exist.
#[derive(Debug)]
enum SavedRecord {
    NetworkInterface(NetworkInterfaceId, Option<(NetworkInterface, Ownership)>),
    Target(TargetId, Option<(Target, Ownership)>),
    Filter(FilterId, Option<SavedFilter>),
    Rule(FilterRuleId, Option<SavedRule>),
    Session(SessionId, Option<(Session, Ownership)>),
    Token(TokenKey, Option<TokenRecord>),
}

#[derive(Debug)]
struct SavedFilter {
    filter: Arc<Filter>,
    ownership: Ownership,
    /// The owners of its rules, if the filter is deleted with them.
    rules: Vec<(FilterRuleId, Ownership)>,
}

#[derive(Debug)]
struct SavedRule {
    filter_id: FilterId,
    rule: FilterRule,
    ownership: Ownership,
}

impl UndoLog {
    /// Whether nothing was changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn keys(&self) -> impl Iterator<Item = RecordKey> {
        self.0.iter().flat_map(SavedRecord::keys)
    }
}

impl SavedRecord {
    fn keys(&self) -> Vec<RecordKey> {
        match self {
            Self::NetworkInterface(id, _) => vec![RecordKey::NetworkInterface(id.clone())],
            Self::Target(id, _) => vec![RecordKey::Target(id.clone())],
            Self::Filter(id, saved) => {
                let rules = saved.iter().flat_map(|saved| &saved.rules);
                let rules = rules.map(|(id, _)| RecordKey::Rule(id.clone()));
                rules.chain([RecordKey::Filter(id.clone())]).collect()
            }
            Self::Rule(id, _) => vec![RecordKey::Rule(id.clone())],
            Self::Session(id, _) => vec![RecordKey::Session(id.clone())],
            Self::Token((owner, token), _) => {
                vec![RecordKey::Token(Arc::clone(owner), token.clone())]
            }
        }
    }
}

impl Account {
    /// What undoes the changes since the last call.
    pub fn take_undo_log(&mut self) -> UndoLog {
        std::mem::take(&mut self.undo_log)
    }

    /// Undoes changes, the newest first. Their records count as changed. A saved value that
    /// contradicts a later change is not restored, so the account stays consistent.
    pub fn undo(&mut self, log: UndoLog) {
        self.changed.extend(log.keys());
        for saved in log.0.into_iter().rev() {
            // An error means that a later change contradicts the saved value.
            let _ = self.undo_one(saved);
        }
    }

    /// Undoes changes that were not persisted. Their records no longer count as changed.
    pub fn undo_unpersisted(&mut self, log: UndoLog) {
        let keys: Vec<RecordKey> = log.keys().collect();
        self.undo(log);
        self.changed.retain(|key| !keys.contains(key));
    }

    /// Saves a record that is about to change, and marks it to be persisted. It must be called
    /// before the change. A record of a resource without an owner does not exist yet.
    pub(super) fn mark_changed(&mut self, key: RecordKey) {
        let saved = match &key {
            RecordKey::NetworkInterface(id) => {
                let known =
                    self.registry.network_interface(id).zip(self.network_interfaces.get(id));
                let known =
                    known.map(|(interface, ownership)| (interface.clone(), ownership.clone()));
                SavedRecord::NetworkInterface(id.clone(), known)
            }
            RecordKey::Target(id) => {
                let known = self.registry.target(id).zip(self.targets.get(id));
                let known = known.map(|(target, ownership)| (target.clone(), ownership.clone()));
                SavedRecord::Target(id.clone(), known)
            }
            RecordKey::Filter(id) => SavedRecord::Filter(id.clone(), self.saved_filter(id)),
            RecordKey::Rule(id) => SavedRecord::Rule(id.clone(), self.saved_rule(id)),
            RecordKey::Session(id) => {
                let known = self.registry.session(id).zip(self.sessions.get(id));
                let known = known.map(|(session, ownership)| (session.clone(), ownership.clone()));
                SavedRecord::Session(id.clone(), known)
            }
            RecordKey::Token(owner, token) => {
                let known = self.tokens.record(owner, token).cloned();
                SavedRecord::Token((Arc::clone(owner), token.clone()), known)
            }
        };
        self.undo_log.0.push(saved);
        self.changed.insert(key);
    }

    /// Saves a filter that is about to be deleted with its rules, and marks all of them to be
    /// persisted. Returns the ids of the rules.
    pub(super) fn mark_filter_deleted(&mut self, id: &FilterId) -> Vec<FilterRuleId> {
        let Some(mut saved) = self.saved_filter(id) else { return Vec::new() };
        let ids = saved.filter.all_rules().iter().filter_map(|rule| rule.id.as_ref());
        let owned = ids.filter_map(|id| Some((id.clone(), self.rules.get(id)?.clone())));
        saved.rules = owned.collect();
        let ids: Vec<FilterRuleId> = saved.rules.iter().map(|(id, _)| id.clone()).collect();
        self.changed.extend(ids.iter().cloned().map(RecordKey::Rule));
        self.changed.insert(RecordKey::Filter(id.clone()));
        self.undo_log.0.push(SavedRecord::Filter(id.clone(), Some(saved)));
        ids
    }

    /// Removes a token that has expired. This is not undone, because the token means nothing.
    pub(super) fn mark_token_expired(&mut self, (owner, token): TokenKey) {
        self.changed.insert(RecordKey::Token(owner, token));
    }

    fn saved_filter(&self, id: &FilterId) -> Option<SavedFilter> {
        let (filter, ownership) = self.registry.filter(id).zip(self.filters.get(id))?;
        let (filter, ownership) = (Arc::clone(filter), ownership.clone());
        Some(SavedFilter { filter, ownership, rules: Vec::new() })
    }

    fn saved_rule(&self, id: &FilterRuleId) -> Option<SavedRule> {
        let ((filter, rule), ownership) = self.rule(id).zip(self.rules.get(id))?;
        let (filter_id, rule, ownership) = (filter.id().clone(), rule.clone(), ownership.clone());
        Some(SavedRule { filter_id, rule, ownership })
    }

    fn undo_one(&mut self, saved: SavedRecord) -> Result<(), ApiError> {
        match saved {
            SavedRecord::NetworkInterface(id, before) => self.undo_interface(&id, before),
            SavedRecord::Target(id, before) => self.undo_target(&id, before),
            SavedRecord::Filter(id, before) => self.undo_filter(&id, before),
            SavedRecord::Rule(id, before) => self.undo_rule(&id, before),
            SavedRecord::Session(id, before) => self.undo_session(&id, before),
            SavedRecord::Token(key, before) => {
                self.tokens.replace(key, before);
                Ok(())
            }
        }
    }

    fn undo_interface(
        &mut self,
        id: &NetworkInterfaceId,
        before: Option<(NetworkInterface, Ownership)>,
    ) -> Result<(), ApiError> {
        let Some((interface, ownership)) = before else {
            self.registry.remove_network_interface(id)?;
            self.network_interfaces.remove(id);
            return Ok(());
        };
        if let Some(known) = self.registry.network_interface_mut(id) {
            *known = interface;
        } else {
            self.registry.add_network_interface(interface)?;
            self.network_interfaces.insert(id.clone(), ownership);
        }
        Ok(())
    }

    fn undo_session(
        &mut self,
        id: &SessionId,
        before: Option<(Session, Ownership)>,
    ) -> Result<(), ApiError> {
        let Some((session, ownership)) = before else {
            self.registry.remove_session(id);
            self.sessions.remove(id);
            return Ok(());
        };
        if self.registry.session(id).is_some() {
            return Ok(self.registry.replace_session(session)?);
        }
        self.ensure_interface(&session.network_interface_id, None)?;
        self.registry.add_session(session)?;
        self.sessions.insert(id.clone(), ownership);
        Ok(())
    }

    fn undo_target(
        &mut self,
        id: &TargetId,
        before: Option<(Target, Ownership)>,
    ) -> Result<(), ApiError> {
        let Some((target, ownership)) = before else {
            self.registry.remove_target(id)?;
            self.targets.remove(id);
            return Ok(());
        };
        if let Some(known) = self.registry.target_mut(id) {
            // What was learned meanwhile is not part of the change.
            let learned = std::mem::take(&mut known.sources.learned);
            *known = target;
            known.sources.learned = learned;
        } else {
            self.registry.add_target(target)?;
            self.targets.insert(id.clone(), ownership);
        }
        // The addresses of devices may have changed meanwhile.
        self.recheck_target(id);
        Ok(())
    }

    fn undo_filter(&mut self, id: &FilterId, before: Option<SavedFilter>) -> Result<(), ApiError> {
        let Some(SavedFilter { filter, ownership, rules }) = before else {
            self.registry.remove_filter(id)?;
            self.filters.remove(id);
            return Ok(());
        };
        if let Some(known) = self.registry.filter(id) {
            // The rules are separate records.
            let mut known = Filter::clone(known);
            known.amazon_dns = filter.amazon_dns;
            known.description.clone_from(&filter.description);
            known.tags.clone_from(&filter.tags);
            return Ok(self.registry.replace_filter(known)?);
        }
        self.registry.add_filter(Arc::unwrap_or_clone(filter))?;
        self.filters.insert(id.clone(), ownership);
        for (rule, ownership) in rules {
            self.filter_of.insert(rule.clone(), id.clone());
            self.rules.insert(rule, ownership);
        }
        Ok(())
    }

    fn undo_rule(&mut self, id: &FilterRuleId, before: Option<SavedRule>) -> Result<(), ApiError> {
        let filter_id = match &before {
            Some(saved) => Some(&saved.filter_id),
            None => self.filter_of.get(id),
        };
        if let Some(filter) = filter_id.and_then(|id| self.registry.filter(id)) {
            let others = filter.all_rules().iter().filter(|one| one.id.as_ref() != Some(id));
            let saved = before.as_ref().map(|saved| saved.rule.clone());
            let changed = self.with_rules(filter, others.cloned().chain(saved).collect())?;
            self.registry.replace_filter(changed)?;
        }
        match before {
            Some(SavedRule { filter_id, ownership, .. }) => {
                if self.rules.get(id).is_none() {
                    self.rules.insert(id.clone(), ownership);
                }
                self.filter_of.insert(id.clone(), filter_id);
            }
            None => {
                self.rules.remove(id);
                self.filter_of.remove(id);
            }
        }
        Ok(())
    }
}
