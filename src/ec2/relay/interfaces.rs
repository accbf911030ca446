//! DescribeNetworkInterfaces: the interfaces of the other emulator, and own ones.

use super::super::authenticate::Request;
use super::describe::{describe as describe_page, joined, own_items};
use super::exchange::{Relay, Relayed, rejected};
use super::lists::INTERFACES;
use crate::control::account::ApiError;
use crate::model::NetworkInterfaceId;

const IDS: &str = "NetworkInterfaceId";

/// Answers DescribeNetworkInterfaces.
pub(super) async fn describe(relay: Relay<'_>, request: Request) -> Relayed {
    let ids = request.form.texts(IDS);
    if ids.is_empty() {
        return describe_page(&relay, request, INTERFACES).await;
    }
    let known: Vec<NetworkInterfaceId> =
        ids.iter().filter_map(|id| NetworkInterfaceId::new(id).ok()).collect();
    let own: Vec<&NetworkInterfaceId> =
        known.iter().filter(|id| relay.sync.is_own_interface(id)).collect();
    if own.is_empty() {
        return relay.forward_action(request).await;
    }
    let existing = match relay.upstream().network_interfaces(&relay.scope, &known).await {
        Ok(existing) => existing,
        // Own interfaces are described when the other emulator is down.
        Err(_) if own.len() == ids.len() => return Ok(relay.own(request).await),
        Err(error) => return Err(relay.unavailable(&error, &request.action)),
    };
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for id in &ids {
        let known = known.iter().find(|known| known.as_str() == id);
        match known {
            Some(known) if existing.contains_key(known) => theirs.push(&**id),
            Some(known) if own.contains(&known) => ours.push(&**id),
            _ => return Err(rejected(not_found(id))),
        }
    }
    if ours.is_empty() {
        return relay.forward_action(request).await;
    }
    let our_request = request.with_form(request.form.with_list(IDS, &ours));
    if theirs.is_empty() {
        return Ok(relay.own(our_request).await);
    }
    let own = own_items(&relay, &our_request, INTERFACES)?;
    drop(our_request);
    let form = request.form.with_list(IDS, &theirs).encoded();
    let answer = relay.upstream().ec2(&relay.scope, form).await;
    let answer = answer.map_err(|error| relay.unavailable(&error, &request.action))?;
    if !answer.status().is_success() {
        return Ok(answer);
    }
    let document = String::from_utf8_lossy(answer.body()).into_owned();
    joined(&relay, INTERFACES.merge(&document, &own.items, None))
}

fn not_found(id: &str) -> ApiError {
    let message = format!("The networkInterface ID '{id}' does not exist");
    ApiError::new("InvalidNetworkInterfaceID.NotFound", message)
}
