//! The actions of targets: Create, Delete and Describe.

use super::super::describe::Query;
use super::elements::TargetView;
use super::{Call, elements};
use crate::control::account::{Account, ApiError, CreateTarget};
use crate::model::{NetworkInterfaceId, TargetId, TargetKind};

pub(super) fn create(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    let request = CreateTarget {
        kind: kind(call)?,
        description: call.description()?,
        tags: call.tags("traffic-mirror-target")?,
        client_token: call.client_token()?,
    };
    call.check_parameters()?;
    let id = account.create_target(&call.caller, request)?;
    let target = account.registry().target(&id);
    let target =
        target.ok_or_else(|| ApiError::internal("a target is missing after its creation"))?;
    Ok(call.answer(|xml| {
        let view = TargetView::new(account, target);
        xml.element("trafficMirrorTarget", |xml| view.write(xml));
        xml.optional("clientToken", call.form.text("ClientToken"));
    }))
}

/// The kind of the target, from exactly one of three parameters.
fn kind(call: &Call<'_>) -> Result<TargetKind, ApiError> {
    let named = |name: &str| call.form.text(name).filter(|text| !text.is_empty());
    let interface = named("NetworkInterfaceId");
    let load_balancer = named("NetworkLoadBalancerArn");
    let endpoint = named("GatewayLoadBalancerEndpointId");
    match (interface, load_balancer, endpoint) {
        (Some(id), None, None) => Ok(TargetKind::NetworkInterface(NetworkInterfaceId::new(id)?)),
        (None, Some(arn), None) => Ok(TargetKind::NetworkLoadBalancer(arn.to_owned())),
        (None, None, Some(id)) => Ok(TargetKind::GatewayLoadBalancerEndpoint(id.to_owned())),
        (None, None, None) => {
            let message = "The request must contain exactly one of NetworkInterfaceId, \
                           NetworkLoadBalancerArn and GatewayLoadBalancerEndpointId.";
            Err(ApiError::new("MissingParameter", message))
        }
        _ => {
            let message = "Only one of NetworkInterfaceId, NetworkLoadBalancerArn and \
                           GatewayLoadBalancerEndpointId can be given.";
            Err(ApiError::invalid_combination(message))
        }
    }
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    let id = call.form.required("TrafficMirrorTargetId")?;
    call.check_parameters()?;
    let id = account.delete_target(&call.caller, id)?;
    Ok(call.answer_id("trafficMirrorTargetId", id))
}

pub(super) fn describe(account: &Account, call: &Call<'_>) -> Result<String, ApiError> {
    let query =
        Query::read(call.form, call.action, "TrafficMirrorTargetId", elements::TARGET_FILTERS)?;
    call.check_parameters()?;
    for id in query.ids() {
        let ownership = TargetId::new(id).ok().and_then(|id| account.targets().get(&id));
        call.check_visible(ownership, "Target", TargetId::PREFIX, id)?;
    }
    let targets = account.targets().after(query.after()).map(|(sequence, id, ownership)| {
        let target = account.registry().target(id).filter(|_| call.can_see(ownership));
        let view = target.map(|target| TargetView::new(account, target));
        (
            sequence,
            view.map_or(Ok(None), |view| Ok(query.selects(id.as_str(), &view)?.then_some(view))),
        )
    });
    let (page, token) = query.page(targets)?;
    Ok(call.answer(|xml| {
        xml.list("trafficMirrorTargetSet", page, |xml, view| view.write(xml));
        Call::next_token(xml, token);
    }))
}
