//! Filters of an account.

use super::records::Key;
use super::refused::Refused;
use super::tokens::Once;
use super::{Account, Caller};
use crate::model::{Filter, FilterId, Session, Tags};

/// CreateTrafficMirrorFilter.
#[derive(Debug, Clone, Default)]
pub struct CreateFilter {
    /// The description.
    pub description: Option<String>,
    /// The tags.
    pub tags: Tags,
    /// The ClientToken.
    pub once: Option<Once>,
}

impl Account {
    /// Makes a filter without rules.
    ///
    /// # Errors
    /// [`Refused`] beyond the quota.
    pub fn create_filter(
        &mut self,
        caller: &Caller<'_>,
        request: CreateFilter,
    ) -> Result<FilterId, Refused> {
        let kind = ("Filter", FilterId::PREFIX);
        if let Some(id) = self.repeated(caller, request.once.as_ref(), kind)? {
            return Ok(FilterId::new(id)?);
        }
        if self.filters.owned_by(caller.owner) >= self.quotas.filters {
            let most = self.quotas.filters;
            let message = format!("The maximum number of traffic mirror filters is {most}.");
            return Err(Refused::new("TrafficMirrorFilterLimitExceeded", message));
        }
        caller.may_change()?;
        let id = FilterId::from_seed((self.draw)());
        let mut filter = Filter::new(id.clone());
        filter.description = request.description;
        filter.tags = request.tags;
        self.registry.add_filter(filter)?;
        let entry = self.entry(caller.owner, false);
        self.remember(caller.now_s, &entry.owner, request.once, id.as_str());
        self.filters.put(id.clone(), entry);
        self.mark(Key::Filter(id.clone()));
        Ok(id)
    }

    /// Deletes a filter and its rules.
    ///
    /// # Errors
    /// [`Refused`] where there is none, or a session asks it.
    pub fn delete_filter(&mut self, caller: &Caller<'_>, id: &str) -> Result<FilterId, Refused> {
        let id = self.own_filter(caller, id)?;
        if let Some(session) = self.registry.sessions_by(&id).next() {
            let user = named(session);
            let message = format!("Cannot delete {id}. Filter is in use by {user}");
            return Err(Refused::new("TrafficMirrorFilterInUse", message));
        }
        caller.may_change()?;
        let rules = self.registry.filter(&id).into_iter().flat_map(|filter| filter.all_rules());
        let rules: Vec<_> = rules.filter_map(|rule| rule.id.clone()).collect();
        self.registry.remove_filter(&id)?;
        for rule in rules {
            self.rules.take(&rule);
            self.filter_of.remove(&rule);
            self.outlive(rule.as_str(), caller.now_s);
            self.mark(Key::Rule(rule));
        }
        self.filters.take(&id);
        self.mark(Key::Filter(id.clone()));
        self.outlive(id.as_str(), caller.now_s);
        Ok(id)
    }

    /// ModifyTrafficMirrorFilterNetworkServices.
    ///
    /// # Errors
    /// [`Refused`] where there is no such filter or service, or one is both added and removed.
    pub fn modify_network_services(
        &mut self,
        caller: &Caller<'_>,
        id: &str,
        add: &[String],
        remove: &[String],
    ) -> Result<FilterId, Refused> {
        for (parameter, services) in [("AddNetworkService", add), ("RemoveNetworkService", remove)]
        {
            if let Some(other) = services.iter().find(|one| **one != Filter::AMAZON_DNS) {
                return Err(Refused::value(parameter, other, Filter::AMAZON_DNS));
            }
        }
        if !add.is_empty() && !remove.is_empty() {
            let message = "A network service cannot be both added and removed: amazon-dns.";
            return Err(Refused::combination(message));
        }
        let id = self.own_filter(caller, id)?;
        caller.may_change()?;
        if let Some(filter) = self.registry.filter(&id) {
            let mut filter = Filter::clone(filter);
            filter.amazon_dns = !add.is_empty() || filter.amazon_dns && remove.is_empty();
            self.registry.replace_filter(filter)?;
        }
        self.mark(Key::Filter(id.clone()));
        Ok(id)
    }

    /// A filter that the caller may change.
    pub(super) fn own_filter(&self, caller: &Caller<'_>, id: &str) -> Result<FilterId, Refused> {
        let known = FilterId::new(id)
            .ok()
            .filter(|id| self.filters.get(id).is_some_and(|entry| *entry.owner == *caller.owner));
        let Some(known) = known else { return Err(no_such("Filter", FilterId::PREFIX, id)) };
        self.is_no_file(self.filters.get(&known), id)?;
        Ok(known)
    }

    /// A filter that the caller may refer to: own ones, and those of files.
    pub(super) fn known_filter(&self, caller: &Caller<'_>, id: &str) -> Result<FilterId, Refused> {
        let is_visible = |id: &FilterId| {
            self.filters.get(id).is_some_and(|one| one.is_of_file || *one.owner == *caller.owner)
        };
        let known = FilterId::new(id).ok().filter(is_visible);
        known.ok_or_else(|| no_such("Filter", FilterId::PREFIX, id))
    }

    pub(super) fn is_no_file(&self, entry: Option<&super::Entry>, id: &str) -> Result<(), Refused> {
        if entry.is_none_or(|entry| !entry.is_of_file) {
            return Ok(());
        }
        let message = format!("'{id}' is of a configuration file, which alone can change it.");
        Err(Refused::new("OperationNotPermitted", message))
    }
}

/// What stands in the way, by its id.
pub(super) fn named(session: &Session) -> String {
    session.id.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// No resource has that id, or none can have it.
/// `kind` is `Session`, `Target`, `Filter` or `FilterRule`.
#[must_use]
pub fn no_such(kind: &str, prefix: &str, id: &str) -> Refused {
    let hex = id.strip_prefix(prefix).unwrap_or_default();
    let is_id =
        hex.len() == 17 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let code = match (kind, is_id) {
        (_, false) => {
            let parameter = format!("TrafficMirror{kind}Id");
            let expected = format!("an id such as {prefix}0123456789abcdef0");
            return Refused::value(&parameter, id, expected);
        }
        ("Filter", true) => "InvalidTrafficMirrorFilterId.NotFound",
        ("FilterRule", true) => "InvalidTrafficMirrorFilterRuleId.NotFound",
        ("Target", true) => "InvalidTrafficMirrorTargetId.NotFound",
        _ => "InvalidTrafficMirrorSessionId.NotFound",
    };
    Refused::new(code, format!("The TrafficMirror{kind} ID '{id}' does not exist"))
}
