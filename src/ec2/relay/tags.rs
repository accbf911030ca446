//! CreateTags and DeleteTags over resources of which some are in the other emulator.
//!
//! The own half is checked first by a dry run, then the other emulator changes its half, then the own
//! half is changed. So a half rarely changes alone, and if it does, the message of the error names
//! it.

use std::collections::BTreeSet;

use ::http::StatusCode;

use super::super::authenticate::Request;
use super::super::endpoint::Answer;
use super::super::http_response::response;
use super::super::upstream::append_to_message;
use super::exchange::{Relay, Relayed, rejected};
use crate::control::account::ApiError;
use crate::model::{FilterId, FilterRuleId, NetworkInterfaceId, SessionId, TargetId};

const IDS: &str = "ResourceId";

/// The maximum number of ids in a message.
const MAX_SHOWN_IDS: usize = 5;

/// Whether the prefix of an id is that of a resource for traffic mirroring.
pub(super) fn is_own_id(id: &str) -> bool {
    let prefixes = [SessionId::PREFIX, TargetId::PREFIX, FilterId::PREFIX, FilterRuleId::PREFIX];
    prefixes.iter().any(|prefix| id.starts_with(prefix))
}

/// Answers CreateTags and DeleteTags.
pub(super) async fn change(relay: Relay<'_>, request: Request) -> Relayed {
    let ids = request.form.texts(IDS);
    let interfaces = own_interfaces(&relay, &ids).await;
    let is_own = |id: &&String| is_own_id(id) || interfaces.contains(*id);
    let (ours, theirs): (Vec<&String>, Vec<&String>) = ids.iter().partition(is_own);
    match (ours.is_empty(), theirs.is_empty()) {
        (_, true) => Ok(relay.own(request).await),
        (true, false) => relay.forward_action(request).await,
        (false, false) => {
            let ours: Vec<&str> = ours.into_iter().map(|id| &**id).collect();
            let theirs: Vec<&str> = theirs.into_iter().map(|id| &**id).collect();
            change_both(&relay, request, &ours, &theirs).await
        }
    }
}

/// The ids of interfaces that only this endpoint has.
async fn own_interfaces(relay: &Relay<'_>, ids: &[String]) -> BTreeSet<String> {
    let known = ids.iter().filter_map(|id| NetworkInterfaceId::new(id).ok());
    let own: Vec<NetworkInterfaceId> = known.filter(|id| relay.sync.is_own_interface(id)).collect();
    // While the other emulator is down, an interface that is known here counts as own.
    let existing = relay.upstream().network_interfaces(&relay.scope, &own).await;
    let existing = existing.unwrap_or_default();
    own.iter().filter(|id| !existing.contains_key(id)).map(ToString::to_string).collect()
}

async fn change_both(
    relay: &Relay<'_>,
    request: Request,
    ours: &[&str],
    theirs: &[&str],
) -> Relayed {
    let (our_names, their_names) = (names(ours), names(theirs));
    let form = request.form.with_list(IDS, theirs).encoded();
    let our_request = request.with_form(request.form.with_list(IDS, ours));
    let mut check = request.with_form(request.form.with_list(IDS, ours));
    check.is_dry_run = true;
    let is_dry_run = request.is_dry_run;
    let action = request.action.clone();
    drop(request);
    let would_succeed = relay.endpoint.answer(Ok(check)).await;
    if would_succeed.0 != StatusCode::PRECONDITION_FAILED.as_u16() {
        let sentence = format!("The tags of {their_names} were not changed.");
        return Ok(response(explained(would_succeed, &sentence)));
    }
    let sentence = format!("The tags of {our_names} were not changed.");
    let answer = relay.upstream().ec2(&relay.scope, form).await.map_err(|error| {
        let ApiError { code, message } = error.of_action(&action);
        rejected(ApiError::new(code, format!("{message} {sentence}")))
    })?;
    let status = answer.status();
    if is_dry_run && status == StatusCode::PRECONDITION_FAILED {
        return Ok(answer);
    }
    if !status.is_success() {
        let document = String::from_utf8_lossy(answer.body()).into_owned();
        return Ok(response(explained((status.as_u16(), document), &sentence)));
    }
    let changed = relay.endpoint.answer(Ok(our_request)).await;
    if changed.0 == StatusCode::OK.as_u16() {
        return Ok(response(changed));
    }
    let sentence = format!("The tags of {their_names} were changed.");
    Ok(response(explained(changed, &sentence)))
}

/// An error with a sentence after its message.
fn explained((status, document): Answer, sentence: &str) -> Answer {
    let explained = append_to_message(&document, sentence);
    (status, explained.unwrap_or(document))
}

/// The ids for a message.
fn names(ids: &[&str]) -> String {
    match ids.split_at_checked(MAX_SHOWN_IDS) {
        Some((shown, more @ [_, ..])) => format!("{} and {} more", shown.join(", "), more.len()),
        _ => ids.join(", "),
    }
}
