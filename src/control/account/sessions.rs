//! Sessions of an account: create, modify and delete, with AWS's checks.

use std::collections::HashSet;

use super::api_error::{ApiError, not_found};
use super::filters::session_name;
use super::record_key::RecordKey;
use super::token_store::ClientToken;
use super::{Account, Caller, Resource};
use crate::model::{
    NetworkInterfaceId, PacketLength, Session, SessionId, SessionNumber, Tags, TargetId,
    TargetKind, VirtualNetworkId,
};

/// CreateTrafficMirrorSession.
#[derive(Debug, Clone)]
pub struct CreateSession {
    /// The source.
    pub network_interface_id: String,
    /// The target of the copies.
    pub target_id: String,
    /// The filter that selects packets.
    pub filter_id: String,
    /// The SessionNumber, which orders the sessions of the source.
    pub number: SessionNumber,
    /// The number of bytes of a packet to copy; without it, all.
    pub packet_length: Option<PacketLength>,
    /// The VirtualNetworkId; without it, a random one.
    pub virtual_network_id: Option<VirtualNetworkId>,
    /// The description.
    pub description: Option<String>,
    /// The tags.
    pub tags: Tags,
    /// The ClientToken.
    pub client_token: Option<ClientToken>,
}

/// ModifyTrafficMirrorSession: changes the given fields.
#[derive(Debug, Clone, Default)]
pub struct ModifySession {
    /// TrafficMirrorTargetId.
    pub target_id: Option<String>,
    /// TrafficMirrorFilterId.
    pub filter_id: Option<String>,
    /// SessionNumber.
    pub number: Option<SessionNumber>,
    /// PacketLength.
    pub packet_length: Option<PacketLength>,
    /// VirtualNetworkId.
    pub virtual_network_id: Option<VirtualNetworkId>,
    /// Description.
    pub description: Option<String>,
    /// RemoveField.
    pub remove: Vec<SessionField>,
}

/// A field that ModifyTrafficMirrorSession can remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionField {
    /// `packet-length`
    PacketLength,
    /// `description`
    Description,
    /// `virtual-network-id`
    VirtualNetworkId,
}

impl SessionField {
    /// Parses a value of RemoveField, in upper, lower or mixed case.
    ///
    /// # Errors
    /// [`ApiError`] for any other text.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        match &*text.to_ascii_lowercase() {
            "packet-length" => Ok(Self::PacketLength),
            "description" => Ok(Self::Description),
            "virtual-network-id" => Ok(Self::VirtualNetworkId),
            _ => {
                let expected = "packet-length, description or virtual-network-id";
                Err(ApiError::invalid_value("RemoveField", text, expected))
            }
        }
    }
}

impl Account {
    /// Creates a session.
    ///
    /// # Errors
    /// [`ApiError`] if a resource that it refers to does not exist, its number is taken, its source
    /// is a target, or a quota is reached.
    pub fn create_session(
        &mut self,
        caller: &Caller<'_>,
        request: CreateSession,
    ) -> Result<SessionId, ApiError> {
        let kind = ("Session", SessionId::PREFIX);
        if let Some(id) = self.find_repeated(caller, request.client_token.as_ref(), kind)? {
            return Ok(SessionId::new(&id)?);
        }
        let interface = self.visible_interface(caller, &request.network_interface_id)?;
        let target = self.visible_target(caller, &request.target_id)?;
        let filter = self.visible_filter(caller, &request.filter_id)?;
        let mut session = Session::new(interface, request.number, filter, target);
        session.packet_length = request.packet_length;
        session.virtual_network_id = request.virtual_network_id;
        session.description = request.description;
        session.tags = request.tags;
        self.check_session(&session)?;
        self.check_quotas(caller, &session)?;
        caller.check_not_dry_run()?;
        let id = SessionId::from_seed((self.draw)());
        session.id = Some(id.clone());
        if session.virtual_network_id.is_none() {
            session.virtual_network_id = Some(self.random_network_id()?);
        }
        self.registry.add_session(session)?;
        self.insert_created(caller, Resource::Session(id.clone()), request.client_token);
        Ok(id)
    }

    /// Changes a session.
    ///
    /// # Errors
    /// Those of [`Account::create_session`], and one for a field that is both set and removed.
    pub fn modify_session(
        &mut self,
        caller: &Caller<'_>,
        id: &str,
        request: ModifySession,
    ) -> Result<SessionId, ApiError> {
        request.check_consistent()?;
        let id = self.owned_session(caller, id)?;
        let Some(known) = self.registry.session(&id) else {
            return Err(not_found("Session", SessionId::PREFIX, id.as_str()));
        };
        let mut session = known.clone();
        if let Some(target) = &request.target_id {
            session.target_id = self.visible_target(caller, target)?;
        }
        if let Some(filter) = &request.filter_id {
            session.filter_id = self.visible_filter(caller, filter)?;
        }
        let has_other_target = session.target_id != known.target_id;
        request.apply(&mut session);
        self.check_session(&session)?;
        if has_other_target {
            self.check_sources_per_target(&session)?;
        }
        caller.check_not_dry_run()?;
        if session.virtual_network_id.is_none() {
            session.virtual_network_id = Some(self.random_network_id()?);
        }
        self.mark_changed(RecordKey::Session(id.clone()));
        self.registry.replace_session(session)?;
        Ok(id)
    }

    /// Deletes a session.
    ///
    /// # Errors
    /// [`ApiError`] if the session does not exist.
    pub fn delete_session(&mut self, caller: &Caller<'_>, id: &str) -> Result<SessionId, ApiError> {
        let id = self.owned_session(caller, id)?;
        caller.check_not_dry_run()?;
        self.mark_changed(RecordKey::Session(id.clone()));
        self.registry.remove_session(&id);
        self.remove_deleted(caller.now_s, &Resource::Session(id.clone()));
        Ok(id)
    }

    pub(super) fn owned_session(
        &self,
        caller: &Caller<'_>,
        id: &str,
    ) -> Result<SessionId, ApiError> {
        let known = SessionId::new(id).ok();
        let known = known.filter(|id| self.sessions.is_owned_by(id, caller.owner));
        let Some(known) = known else { return Err(not_found("Session", SessionId::PREFIX, id)) };
        self.check_not_from_file(self.sessions.get(&known), id)?;
        Ok(known)
    }

    /// Checks that the interface can be a source, the target can receive copies, and the number is
    /// free.
    pub(super) fn check_session(&self, session: &Session) -> Result<(), ApiError> {
        let source = &session.network_interface_id;
        if let Some(target) = self.registry.targets_at(source).next() {
            let message = format!("{source} is in use by target {}", target.id());
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        let interface = self.registry.network_interface(source);
        let is_detached = interface.is_none_or(|interface| interface.is_detached);
        let has_device = interface.is_some_and(|one| one.device.is_some() || one.is_learned);
        if is_detached || !has_device && !self.has_virtual_interfaces {
            let why = if is_detached { "it is detached" } else { "it has no device" };
            let message = format!("{source} must be attached to a supported instance: {why}");
            return Err(ApiError::new("NetworkInterfaceNotSupported", message));
        }
        if let Some(target) = self.registry.target(&session.target_id)
            && target.is_forbidden
        {
            self.resolve_target(target)?;
            let message = format!("Copies cannot be sent to the address of {}.", target.id());
            return Err(ApiError::new("InvalidTrafficMirrorTarget", message));
        }
        self.check_copies_leave(session)?;
        let has_its_number = |one: &&Session| one.number == session.number && one.id != session.id;
        match self.registry.sessions_of(source).find(has_its_number) {
            None => Ok(()),
            Some(other) => {
                let expected = format!(
                    "a number that no other session of {source} has, but {} has it",
                    session_name(other)
                );
                Err(ApiError::invalid_value("SessionNumber", session.number, expected))
            }
        }
    }

    /// Checks that the copies of a session do not return to its source.
    ///
    /// # Errors
    /// [`ApiError`] that names the address of the target that belongs to the source.
    pub fn check_copies_leave(&self, session: &Session) -> Result<(), ApiError> {
        let Some(target) = self.registry.target(&session.target_id) else { return Ok(()) };
        let addresses = self.registry.target_addresses(target).map(|address| address.ip());
        self.check_addresses_leave(&session.network_interface_id, target.id(), addresses)
    }

    fn check_quotas(&self, caller: &Caller<'_>, session: &Session) -> Result<(), ApiError> {
        let limit = self.quotas.sessions_per_interface;
        let source = &session.network_interface_id;
        if self.registry.sessions_of(source).count() >= limit {
            let message = format!("Sessions per interface limit reached ({limit}) for {source}");
            return Err(ApiError::new("TrafficMirrorSessionsPerInterfaceLimitExceeded", message));
        }
        self.check_sources_per_target(session)?;
        if self.sessions.count_owned_by(caller.owner) >= self.quotas.sessions {
            let limit = self.quotas.sessions;
            let message = format!("The maximum number of traffic mirror sessions is {limit}.");
            return Err(ApiError::new("TrafficMirrorSessionLimitExceeded", message));
        }
        Ok(())
    }

    /// Checks the quota of sources of a target that is a network interface. It counts distinct
    /// sources.
    fn check_sources_per_target(&self, session: &Session) -> Result<(), ApiError> {
        let id: &TargetId = &session.target_id;
        let kind = self.registry.target(id).map(|target| &target.kind);
        if !matches!(kind, Some(TargetKind::NetworkInterface(_))) {
            return Ok(());
        }
        let mut sources: HashSet<&NetworkInterfaceId> =
            self.registry.sessions_to(id).map(|one| &one.network_interface_id).collect();
        sources.insert(&session.network_interface_id);
        let limit = self.quotas.sources_per_target;
        if sources.len() <= limit {
            return Ok(());
        }
        let message = format!("Sources per interface-target limit reached ({limit}) for {id}");
        Err(ApiError::new("TrafficMirrorSourcesPerTargetLimitExceeded", message))
    }

    /// "If you do not specify a VirtualNetworkId, an account-wide unique ID is chosen at random"
    /// (EC2 API).
    fn random_network_id(&mut self) -> Result<VirtualNetworkId, ApiError> {
        for _ in 0..1000 {
            let [.., a, b, c] = (self.draw)().to_be_bytes();
            let candidate = VirtualNetworkId::new(u32::from_be_bytes([0, a, b, c]))?;
            let is_taken = self.registry.has_network_id(candidate);
            if candidate.value() != 0 && !is_taken {
                return Ok(candidate);
            }
        }
        Err(ApiError::internal("no free VirtualNetworkId was found in 1000 attempts"))
    }
}

impl ModifySession {
    fn removes(&self, field: SessionField) -> bool {
        self.remove.contains(&field)
    }

    /// Checks that no field is both set and removed.
    fn check_consistent(&self) -> Result<(), ApiError> {
        let removable = [
            (SessionField::PacketLength, self.packet_length.is_some(), "PacketLength"),
            (SessionField::Description, self.description.is_some(), "Description"),
            (SessionField::VirtualNetworkId, self.virtual_network_id.is_some(), "VirtualNetworkId"),
        ];
        match removable.into_iter().find(|(field, is_set, _)| *is_set && self.removes(*field)) {
            None => Ok(()),
            Some((_, _, name)) => Err(ApiError::invalid_combination(format!(
                "{name} cannot be both set and removed."
            ))),
        }
    }

    fn apply(self, session: &mut Session) {
        if self.removes(SessionField::PacketLength) {
            session.packet_length = None;
        }
        if self.removes(SessionField::Description) {
            session.description = None;
        }
        if self.removes(SessionField::VirtualNetworkId) {
            session.virtual_network_id = None;
        }
        session.number = self.number.unwrap_or(session.number);
        session.packet_length = self.packet_length.or(session.packet_length);
        session.virtual_network_id = self.virtual_network_id.or(session.virtual_network_id);
        session.description = self.description.or(session.description.take());
    }
}
