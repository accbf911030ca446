//! Targets of an account: create and delete, with AWS's checks.
//!
//! A target of AWS names a network interface, load balancer or endpoint; `target_addresses` finds
//! its address.

use super::api_error::{ApiError, is_hex_id, not_found};
use super::filters::session_name;
use super::record_key::RecordKey;
use super::token_store::ClientToken;
use super::{Account, Caller, Resource};
use crate::model::{NetworkInterfaceId, Tags, Target, TargetId, TargetKind};

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
    /// [`ApiError`] if the resource that it names does not exist or is a source, copies may not be
    /// sent to its address, or it has none and the program requires one.
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
        // Without its id, which is generated after all checks.
        let mut target = Target::new(TargetId::from_seed(0), request.kind);
        target.tags = request.tags;
        let addresses = self.resolve_for_client(&target)?.addresses;
        if let TargetKind::NetworkInterface(id) = &target.kind
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
        let tags = target.tags;
        let mut target = Target::new(id.clone(), target.kind);
        target.set_addresses(addresses);
        (target.description, target.tags) = (request.description, tags);
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
        self.remove_deleted(caller.now_s, &Resource::Target(id.clone()));
        Ok(id)
    }

    /// Checks that the interface of a target exists, or that its ARN or endpoint id is well-formed.
    fn check_target_exists(&self, caller: &Caller<'_>, kind: &TargetKind) -> Result<(), ApiError> {
        match kind {
            TargetKind::NetworkInterface(id) => self.check_interface_exists(caller, id),
            TargetKind::NetworkLoadBalancer(arn) if self.emulator.is_present => {
                check_load_balancer_arn(arn, "loadbalancer/")
            }
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
        TargetKind::NetworkLoadBalancer(arn) => check_load_balancer_arn(arn, "loadbalancer/net/"),
        TargetKind::GatewayLoadBalancerEndpoint(id) if !is_hex_id(id, "vpce-") => {
            let message = format!("The VPC endpoint ID '{id}' is malformed");
            Err(ApiError::new("InvalidVpcEndpointId.Malformed", message))
        }
        _ => Ok(()),
    }
}

fn check_load_balancer_arn(arn: &str, prefix: &str) -> Result<(), ApiError> {
    if is_load_balancer(arn, prefix) {
        return Ok(());
    }
    let message = format!("The load balancer ARN '{arn}' is malformed");
    Err(ApiError::new("InvalidNetworkLoadBalancerArn.Malformed", message))
}

/// `arn:PARTITION:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/net/NAME/ID`, where `prefix` is
/// `loadbalancer/net/`.
fn is_load_balancer(arn: &str, prefix: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match &*parts {
        ["arn", partition, "elasticloadbalancing", region, account, resource] => {
            !partition.is_empty()
                && !region.is_empty()
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && resource.starts_with(prefix)
        }
        _ => false,
    }
}
