//! Targets of an account: create and delete, with AWS's checks, and the real addresses of each.
//!
//! A target of AWS names a network interface, load balancer or endpoint. Its address comes from the
//! tag `mirror:address`, from an option of the program, or from the network interface.

use std::net::SocketAddr;

use super::api_error::{ApiError, is_hex_id, not_found};
use super::filters::session_name;
use super::record_key::RecordKey;
use super::target_resolver::set_addresses;
use super::token_store::ClientToken;
use super::{Account, Caller, NamedBy, Resource};
use crate::model::{
    ADDRESS_TAG, NetworkInterfaceId, Tags, Target, TargetId, TargetKind, parse_target_addresses,
};

/// CreateTrafficMirrorTarget.
#[derive(Debug, Clone)]
pub struct CreateTarget {
    /// The resource that receives the copies.
    pub kind: TargetKind,
    /// The description.
    pub description: Option<String>,
    /// The tags.
    pub tags: Tags,
    /// The ClientToken.
    pub client_token: Option<ClientToken>,
}

impl Account {
    /// Creates a target.
    ///
    /// # Errors
    /// [`ApiError`] if the resource that it names does not exist, is a source, or has no address.
    pub fn create_target(
        &mut self,
        caller: &Caller<'_>,
        request: CreateTarget,
    ) -> Result<TargetId, ApiError> {
        let kind = ("Target", TargetId::PREFIX);
        if let Some(id) = self.find_repeated(caller, request.client_token.as_ref(), kind)? {
            return Ok(TargetId::new(&id)?);
        }
        self.check_target_exists(caller, &request.kind)?;
        let addresses = self.addresses_of(&request.kind, &request.tags)?;
        if let TargetKind::NetworkInterface(id) = &request.kind
            && let Some(session) = self.registry.sessions_of(id).next()
        {
            let message =
                format!("{id} is in use by session {} as a source", session_name(session));
            return Err(ApiError::new("InvalidTrafficMirrorTarget", message));
        }
        if self.targets.count_owned_by(caller.owner) >= self.quotas.targets {
            let limit = self.quotas.targets;
            let message = format!("The maximum number of traffic mirror targets is {limit}.");
            return Err(ApiError::new("TrafficMirrorTargetLimitExceeded", message));
        }
        caller.check_not_dry_run()?;
        let id = TargetId::from_seed((self.draw)());
        let mut target = Target::new(id.clone(), request.kind);
        set_addresses(&mut target, addresses);
        target.description = request.description;
        target.tags = request.tags;
        self.registry.add_target(target)?;
        self.insert_created(caller, Resource::Target(id.clone()), request.client_token);
        Ok(id)
    }

    /// Deletes a target.
    ///
    /// # Errors
    /// [`ApiError`] if the target does not exist, or a session uses it.
    pub fn delete_target(&mut self, caller: &Caller<'_>, id: &str) -> Result<TargetId, ApiError> {
        let id = self.owned_target(caller, id)?;
        if let Some(session) = self.registry.sessions_to(&id).next() {
            let user = session_name(session);
            let message = format!("Cannot delete {id}. Target is in use by {user}");
            return Err(ApiError::new("TrafficMirrorTargetInUse", message));
        }
        caller.check_not_dry_run()?;
        self.mark_changed(RecordKey::Target(id.clone()));
        self.registry.remove_target(&id)?;
        self.remove_deleted(caller, &Resource::Target(id.clone()));
        Ok(id)
    }

    /// The addresses that a target has with these tags.
    ///
    /// # Errors
    /// Those of [`Account::addresses_of`], and one for an address of the source of a session.
    pub(super) fn addresses_by_tags(
        &self,
        id: &TargetId,
        tags: &Tags,
    ) -> Result<Vec<SocketAddr>, ApiError> {
        let Some(target) = self.registry.target(id) else { return Ok(Vec::new()) };
        let addresses = self.addresses_of(&target.kind, tags)?;
        for session in self.registry.sessions_to(id) {
            let addresses = addresses.iter().map(|address| address.ip());
            self.check_addresses_leave(&session.network_interface_id, id, addresses)?;
        }
        Ok(addresses)
    }

    /// The addresses of the tag, or those that the user assigned. Empty if the address is that of
    /// the network interface.
    ///
    /// # Errors
    /// [`ApiError`] if no address is known, or copies may not be sent to it.
    pub(super) fn addresses_of(
        &self,
        kind: &TargetKind,
        tags: &Tags,
    ) -> Result<Vec<SocketAddr>, ApiError> {
        let (known, named_by) = match tags.get(ADDRESS_TAG) {
            Some(text) => (parse_target_addresses(ADDRESS_TAG, text, kind)?, NamedBy::Client),
            None => (self.pinned_addresses(kind)?, NamedBy::User),
        };
        let mut addresses = known.iter().map(|address| address.ip());
        addresses.try_for_each(|address| self.target_resolver.check_target(address, named_by))?;
        Ok(known)
    }

    fn pinned_addresses(&self, kind: &TargetKind) -> Result<Vec<SocketAddr>, ApiError> {
        let (name, noun, option) = match kind {
            TargetKind::Address => return Err(ApiError::missing_parameter(ADDRESS_TAG)),
            TargetKind::NetworkInterface(id) => (id.as_str(), "network interface", ""),
            TargetKind::NetworkLoadBalancer(arn) => (&**arn, "load balancer", "--load-balancer"),
            TargetKind::GatewayLoadBalancerEndpoint(id) => (&**id, "endpoint", "--gwlb-endpoint"),
        };
        if let Some(pinned) = self.target_resolver.pinned_addresses(name) {
            return Ok(pinned);
        }
        let TargetKind::NetworkInterface(id) = kind else {
            return Err(no_known_address(noun, name, option));
        };
        let interface = self.registry.network_interface(id);
        let first = interface.and_then(|one| Some((one, one.private_ip_addresses.first()?)));
        let (interface, address) = first.ok_or_else(|| no_known_address(noun, name, option))?;
        let is_of_client = interface.device.is_some() || self.network_interfaces.get(id).is_some();
        let named_by = if is_of_client { NamedBy::Client } else { NamedBy::User };
        self.target_resolver.check_target(*address, named_by)?;
        Ok(Vec::new())
    }

    /// Checks that the interface of a target exists, or that its ARN or endpoint id is well-formed.
    fn check_target_exists(&self, caller: &Caller<'_>, kind: &TargetKind) -> Result<(), ApiError> {
        match kind {
            TargetKind::NetworkInterface(id) => self.check_interface_exists(caller, id),
            other => check_target_name(other),
        }
    }

    fn check_interface_exists(
        &self,
        caller: &Caller<'_>,
        id: &NetworkInterfaceId,
    ) -> Result<(), ApiError> {
        if self.visible_interface(caller, id.as_str()).is_ok() {
            return Ok(());
        }
        let message = format!("The interface ID '{id}' does not exist");
        Err(ApiError::new("InvalidTrafficMirrorTarget", message))
    }

    pub(super) fn owned_target(&self, caller: &Caller<'_>, id: &str) -> Result<TargetId, ApiError> {
        let known = TargetId::new(id).ok();
        let known = known.filter(|id| self.targets.is_owned_by(id, caller.owner));
        let Some(known) = known else { return Err(not_found("Target", TargetId::PREFIX, id)) };
        self.check_not_from_file(self.targets.get(&known), id)?;
        Ok(known)
    }

    /// A target that the caller may refer to: its own, or one of a configuration file.
    pub(super) fn visible_target(
        &self,
        caller: &Caller<'_>,
        id: &str,
    ) -> Result<TargetId, ApiError> {
        let known = TargetId::new(id).ok();
        let known = known.filter(|id| self.targets.is_visible_to(id, caller.owner));
        known.ok_or_else(|| not_found("Target", TargetId::PREFIX, id))
    }
}

/// Checks the form of the ARN of a load balancer or the id of an endpoint.
///
/// # Errors
/// [`ApiError`] for a malformed ARN or id.
pub fn check_target_name(kind: &TargetKind) -> Result<(), ApiError> {
    match kind {
        TargetKind::NetworkLoadBalancer(arn) if !is_load_balancer(arn) => {
            let message = format!("The load balancer ARN '{arn}' is malformed");
            Err(ApiError::new("InvalidNetworkLoadBalancerArn.Malformed", message))
        }
        TargetKind::GatewayLoadBalancerEndpoint(id) if !is_hex_id(id, "vpce-") => {
            let message = format!("The VPC endpoint ID '{id}' is malformed");
            Err(ApiError::new("InvalidVpcEndpointId.Malformed", message))
        }
        _ => Ok(()),
    }
}

/// The error for a target without an address. AWS has no such error: without it, a session would
/// silently mirror nothing.
fn no_known_address(kind: &str, name: &str, option: &str) -> ApiError {
    let pin = match option {
        "" => String::new(),
        option => format!(", or start the program with the option {option} {name}=ADDRESS"),
    };
    let message = format!(
        "No address is known for the {kind} '{name}'. Set it with the tag {ADDRESS_TAG} (IP or \
         IP:PORT){pin}."
    );
    ApiError::new("InvalidTrafficMirrorTarget", message)
}

/// `arn:PARTITION:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/net/NAME/ID`
fn is_load_balancer(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match &*parts {
        ["arn", partition, "elasticloadbalancing", region, account, resource] => {
            !partition.is_empty()
                && !region.is_empty()
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && resource.starts_with("loadbalancer/net/")
        }
        _ => false,
    }
}
