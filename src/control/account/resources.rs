//! Resources by id, and the steps that every creation and deletion shares: the owner, the client
//! token and the record to persist.

use std::sync::Arc;

use super::api_error::{ApiError, NOT_PERMITTED};
use super::ownership::Ownership;
use super::record_key::RecordKey;
use super::token_store::ClientToken;
use super::{Account, Caller};
use crate::model::{FilterId, FilterRuleId, NetworkInterfaceId, SessionId, TargetId};

/// The id of a resource that has an owner and tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// `eni-`; a synthetic instance, `i-`, is named by its interface too.
    NetworkInterface(NetworkInterfaceId),
    /// `tms-`
    Session(SessionId),
    /// `tmt-`
    Target(TargetId),
    /// `tmf-`
    Filter(FilterId),
    /// `tmfr-`
    Rule(FilterRuleId),
}

/// The resource of a Create request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedResource {
    /// Its id.
    pub id: String,
    /// Whether it is a session.
    pub is_session: bool,
    /// Whether an earlier request with the same ClientToken created it.
    pub is_repeated: bool,
}

impl Resource {
    /// The text of the id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::NetworkInterface(id) => id.as_str(),
            Self::Session(id) => id.as_str(),
            Self::Target(id) => id.as_str(),
            Self::Filter(id) => id.as_str(),
            Self::Rule(id) => id.as_str(),
        }
    }
}

impl From<Resource> for RecordKey {
    fn from(resource: Resource) -> Self {
        match resource {
            Resource::NetworkInterface(id) => Self::NetworkInterface(id),
            Resource::Session(id) => Self::Session(id),
            Resource::Target(id) => Self::Target(id),
            Resource::Filter(id) => Self::Filter(id),
            Resource::Rule(id) => Self::Rule(id),
        }
    }
}

impl Account {
    /// The resource that an id of any kind names, if the caller may change it.
    ///
    /// # Errors
    /// [`ApiError`] if the caller owns no resource of this id, or it comes from a configuration
    /// file.
    pub fn resource(&self, caller: &Caller<'_>, id: &str) -> Result<Resource, ApiError> {
        let found = [
            self.owned_interface(caller, id).map(Resource::NetworkInterface),
            self.owned_instance(caller, id).map(Resource::NetworkInterface),
            self.owned_session(caller, id).map(Resource::Session),
            self.owned_target(caller, id).map(Resource::Target),
            self.owned_filter(caller, id).map(Resource::Filter),
            self.owned_rule(caller, id).map(Resource::Rule),
        ];
        let prefixes = [
            NetworkInterfaceId::PREFIX,
            "i-",
            SessionId::PREFIX,
            TargetId::PREFIX,
            FilterId::PREFIX,
            FilterRuleId::PREFIX,
        ];
        let mut why = None;
        for (found, prefix) in found.into_iter().zip(prefixes) {
            match found {
                Ok(resource) => return Ok(resource),
                // A resource of a file may have any id.
                Err(error) if error.code == NOT_PERMITTED => why = Some(error),
                // The prefix decides which error an unknown id gets.
                Err(error) if id.starts_with(prefix) => why = why.or(Some(error)),
                Err(_) => {}
            }
        }
        Err(why
            .unwrap_or_else(|| ApiError::new("InvalidID", format!("The ID '{id}' is not valid"))))
    }

    /// Completes the creation of a resource that is in the registry: makes the caller its owner,
    /// stores the ClientToken of the request, and marks both records to be persisted.
    pub(super) fn insert_created(
        &mut self,
        caller: &Caller<'_>,
        resource: Resource,
        client_token: Option<ClientToken>,
    ) {
        let ownership = self.new_ownership(caller.owner, false);
        let is_session = matches!(resource, Resource::Session(_));
        let id = resource.id().to_owned();
        self.created = Some(CreatedResource { id, is_session, is_repeated: false });
        self.mark_changed(resource.clone().into());
        self.record_token(caller.now_s, &ownership.owner, client_token, resource.id());
        match &resource {
            Resource::NetworkInterface(id) => self.network_interfaces.insert(id.clone(), ownership),
            Resource::Session(id) => self.sessions.insert(id.clone(), ownership),
            Resource::Target(id) => self.targets.insert(id.clone(), ownership),
            Resource::Filter(id) => self.filters.insert(id.clone(), ownership),
            Resource::Rule(id) => self.rules.insert(id.clone(), ownership),
        }
    }

    /// The resource of the Create request that succeeded since the last call, if any.
    pub const fn take_created(&mut self) -> Option<CreatedResource> {
        self.created.take()
    }

    /// Completes the deletion of a resource that was removed from the registry: removes its owner,
    /// and keeps its ClientToken for a day. The caller has marked its record as changed.
    pub(super) fn remove_deleted(&mut self, now_s: u64, resource: &Resource) {
        self.keep_token_of_deleted(resource.id(), now_s);
        match resource {
            Resource::NetworkInterface(id) => self.network_interfaces.remove(id),
            Resource::Session(id) => self.sessions.remove(id),
            Resource::Target(id) => self.targets.remove(id),
            Resource::Filter(id) => self.filters.remove(id),
            Resource::Rule(id) => {
                self.rules.remove(id);
                self.filter_of.remove(id);
            }
        }
    }

    pub(super) fn new_ownership(&mut self, owner: &str, is_from_file: bool) -> Ownership {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Ownership { sequence, owner: Arc::from(owner), is_from_file }
    }
}
