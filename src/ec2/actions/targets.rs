//! Actions on targets.

use super::super::describe::Query;
use super::shapes::TargetView;
use super::{Call, shapes};
use crate::control::account::{Account, CreateTarget, Refused};
use crate::model::{NetworkInterfaceId, TargetId, TargetKind};

pub(super) fn create(account: &mut Account, call: &Call<'_>) -> Result<String, Refused> {
    let request = CreateTarget {
        kind: kind(call)?,
        description: call.description()?,
        tags: call.tags("traffic-mirror-target")?,
        once: call.once()?,
    };
    call.is_read()?;
    let id = account.create_target(&call.caller, request)?;
    let target = account.registry().target(&id);
    let target = target.ok_or_else(|| Refused::internal("a target is not there"))?;
    Ok(call.answer(|xml| {
        let view = TargetView::new(account, target);
        xml.element("trafficMirrorTarget", |xml| view.write(xml));
        xml.optional("clientToken", call.form.text("ClientToken"));
    }))
}

/// Exactly one of three.
fn kind(call: &Call<'_>) -> Result<TargetKind, Refused> {
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
            Err(Refused::new("MissingParameter", message))
        }
        _ => {
            let message = "Only one of NetworkInterfaceId, NetworkLoadBalancerArn and \
                           GatewayLoadBalancerEndpointId can be given.";
            Err(Refused::combination(message))
        }
    }
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Result<String, Refused> {
    let id = call.form.required("TrafficMirrorTargetId")?;
    call.is_read()?;
    let id = account.delete_target(&call.caller, id)?;
    Ok(call.answer_id("trafficMirrorTargetId", id))
}

pub(super) fn describe(account: &Account, call: &Call<'_>) -> Result<String, Refused> {
    let query =
        Query::read(call.form, call.action, "TrafficMirrorTargetId", shapes::TARGET_FILTERS)?;
    call.is_read()?;
    for id in query.ids() {
        let entry = TargetId::new(id).ok().and_then(|id| account.targets().get(&id));
        call.may_see(entry, "Target", TargetId::PREFIX, id)?;
    }
    let targets = account.targets().behind(query.behind()).map(|(sequence, id, entry)| {
        let target = account.registry().target(id).filter(|_| call.sees(entry));
        let view = target.map(|target| TargetView::new(account, target));
        (
            sequence,
            view.map_or(Ok(None), |view| Ok(query.takes(id.as_str(), &view)?.then_some(view))),
        )
    });
    let (page, token) = query.page(targets)?;
    Ok(call.answer(|xml| {
        xml.list("trafficMirrorTargetSet", page, |xml, view| view.write(xml));
        Call::next_token(xml, token);
    }))
}
