//! Filters of an account: create, modify and delete, with AWS's checks.

use super::api_error::{ApiError, NOT_PERMITTED, not_found};
use super::record_key::RecordKey;
use super::token_store::ClientToken;
use super::{Account, Caller, Resource};
use crate::model::{Filter, FilterId, Session, Tags};

/// CreateTrafficMirrorFilter.
#[derive(Debug, Clone, Default)]
pub struct CreateFilter {
    /// The description.
    pub description: Option<String>,
    /// The tags.
    pub tags: Tags,
    /// The ClientToken.
    pub client_token: Option<ClientToken>,
}

impl Account {
    /// Creates a filter without rules.
    ///
    /// # Errors
    /// [`ApiError`] if the quota is reached.
    pub fn create_filter(
        &mut self,
        caller: &Caller<'_>,
        request: CreateFilter,
    ) -> Result<FilterId, ApiError> {
        let kind = ("Filter", FilterId::PREFIX);
        if let Some(id) = self.find_repeated(caller, request.client_token.as_ref(), kind)? {
            return Ok(FilterId::new(&id)?);
        }
        if self.filters.count_owned_by(caller.owner) >= self.quotas.filters {
            let limit = self.quotas.filters;
            let message = format!("The maximum number of traffic mirror filters is {limit}.");
            return Err(ApiError::new("TrafficMirrorFilterLimitExceeded", message));
        }
        caller.check_not_dry_run()?;
        let id = FilterId::from_seed((self.draw)());
        let mut filter = Filter::new(id.clone());
        filter.description = request.description;
        filter.tags = request.tags;
        self.registry.add_filter(filter)?;
        self.insert_created(caller, Resource::Filter(id.clone()), request.client_token);
        Ok(id)
    }

    /// Deletes a filter and its rules.
    ///
    /// # Errors
    /// [`ApiError`] if the filter does not exist or comes from a configuration file, or a session
    /// uses it.
    pub fn delete_filter(&mut self, caller: &Caller<'_>, id: &str) -> Result<FilterId, ApiError> {
        let id = self.owned_filter(caller, id)?;
        if let Some(session) = self.registry.sessions_by(&id).next() {
            let user = session_name(session);
            let message = format!("Cannot delete {id}. Filter is in use by {user}");
            return Err(ApiError::new("TrafficMirrorFilterInUse", message));
        }
        caller.check_not_dry_run()?;
        let rules = self.mark_filter_deleted(&id);
        self.registry.remove_filter(&id)?;
        for rule in rules {
            self.remove_deleted(caller.now_s, &Resource::Rule(rule));
        }
        self.remove_deleted(caller.now_s, &Resource::Filter(id.clone()));
        Ok(id)
    }

    /// ModifyTrafficMirrorFilterNetworkServices.
    ///
    /// # Errors
    /// [`ApiError`] if the filter or a service does not exist, or a service is both added and
    /// removed.
    pub fn modify_network_services(
        &mut self,
        caller: &Caller<'_>,
        id: &str,
        add: &[String],
        remove: &[String],
    ) -> Result<FilterId, ApiError> {
        for (parameter, services) in [("AddNetworkService", add), ("RemoveNetworkService", remove)]
        {
            let is_unknown = |one: &&String| !one.eq_ignore_ascii_case(Filter::AMAZON_DNS);
            if let Some(other) = services.iter().find(is_unknown) {
                return Err(ApiError::invalid_value(parameter, other, Filter::AMAZON_DNS));
            }
        }
        if !add.is_empty() && !remove.is_empty() {
            let message = "A network service cannot be both added and removed: amazon-dns.";
            return Err(ApiError::invalid_combination(message));
        }
        let id = self.owned_filter(caller, id)?;
        caller.check_not_dry_run()?;
        self.mark_changed(RecordKey::Filter(id.clone()));
        if let Some(filter) = self.registry.filter(&id) {
            let mut filter = Filter::clone(filter);
            filter.amazon_dns = !add.is_empty() || filter.amazon_dns && remove.is_empty();
            self.registry.replace_filter(filter)?;
        }
        Ok(id)
    }

    /// A filter that the caller may change.
    pub(super) fn owned_filter(&self, caller: &Caller<'_>, id: &str) -> Result<FilterId, ApiError> {
        let known = FilterId::new(id).ok();
        let known = known.filter(|id| self.filters.is_owned_by(id, caller.owner));
        let Some(known) = known else { return Err(not_found("Filter", FilterId::PREFIX, id)) };
        self.check_not_from_file(self.filters.get(&known), id)?;
        Ok(known)
    }

    /// A filter that the caller may refer to: its own, or one of a configuration file.
    pub(super) fn visible_filter(
        &self,
        caller: &Caller<'_>,
        id: &str,
    ) -> Result<FilterId, ApiError> {
        let known = FilterId::new(id).ok();
        let known = known.filter(|id| self.filters.is_visible_to(id, caller.owner));
        known.ok_or_else(|| not_found("Filter", FilterId::PREFIX, id))
    }

    /// Checks that a resource does not come from a configuration file.
    pub(super) fn check_not_from_file(
        &self,
        ownership: Option<&super::Ownership>,
        id: &str,
    ) -> Result<(), ApiError> {
        if ownership.is_none_or(|ownership| !ownership.is_from_file) {
            return Ok(());
        }
        let message =
            format!("'{id}' is defined in a configuration file and can be changed only there.");
        Err(ApiError::new(NOT_PERMITTED, message))
    }
}

/// The id of a session, for error messages.
pub(super) fn session_name(session: &Session) -> String {
    session.id.as_ref().map(ToString::to_string).unwrap_or_default()
}
