//! Joins the lists of a Describe action: first the pages of the other emulator, then own ones.

use ::http::Response;
use bytes::Bytes;

use super::super::authenticate::{RejectedRequest, Request};
use super::super::describe::is_unknown_filter;
use super::super::form::Form;
use super::super::http_response::response;
use super::super::upstream::{Page, Set};
use super::exchange::{Relay, Relayed, rejected};
use super::lists::{TAGS, without_duplicates};
use super::page_token::{NextPage, PageToken};
use super::tags::is_own_id;

use crate::control::account::ApiError;

/// Answers DescribeTags.
pub(super) async fn describe_tags(relay: Relay<'_>, request: Request) -> Relayed {
    if !request.form.has_text("NextToken") && is_only_own(&request.form) {
        return Ok(relay.own(request).await);
    }
    describe(&relay, request, TAGS).await
}

/// Whether filters select only resources that this endpoint has, so that the other emulator need
/// not be asked.
fn is_only_own(form: &Form) -> bool {
    let is_literal = |value: &String| !value.contains(['*', '?', '\\']);
    form.members("Filter").iter().any(|filter| {
        let name = form.owned(&format!("{filter}.Name")).unwrap_or_default();
        let values = form.texts(&format!("{filter}.Value"));
        let is_own = |value: &String| match &*name {
            "resource-id" => is_own_id(value),
            "resource-type" => value.starts_with("traffic-mirror-"),
            _ => false,
        };
        !values.is_empty() && values.iter().all(|value| is_literal(value) && is_own(value))
    })
}

/// Answers a Describe action without ids: a page of the joined list.
pub(super) async fn describe(relay: &Relay<'_>, request: Request, set: Set) -> Relayed {
    let (request, next) = first_request(request).map_err(rejected)?;
    match next {
        NextPage::Upstream(token) => upstream_page(relay, request, set, token).await,
        NextPage::Own(token) => {
            let form = request.form.with("NextToken", token.as_deref());
            let document = relay.endpoint.describe(&request.with_form(form)).map_err(rejected)?;
            let page = page_of(relay, set, &document)?;
            let items = without_duplicates(relay, set, page.items).await?;
            let token = match page.token {
                Some(token) => Some(token_of(&request, NextPage::Own(Some(token)))?),
                None => None,
            };
            joined(relay, set.replace(&document, &items, token.as_deref()))
        }
    }
}

/// The request with the parameters of the first one, and the page that it is for.
fn first_request(request: Request) -> Result<(Request, NextPage), ApiError> {
    let Some(text) = request.form.owned("NextToken") else {
        return Ok((request, NextPage::Upstream(None)));
    };
    let PageToken { form, next, .. } = PageToken::decode(&request.action, &text)?;
    let first = Form::parse("", form.as_bytes())?;
    // These were read before the first page.
    let _ = (first.text("Action"), first.text("Version"), first.text("DryRun"));
    // A client may change the length of its pages.
    let form = match request.form.text("MaxResults") {
        Some(count) => first.with("MaxResults", Some(count)),
        None => first,
    };
    Ok((request.with_form(form), next))
}

fn token_of(request: &Request, next: NextPage) -> Result<String, RejectedRequest> {
    let form = request.form.with("NextToken", None).encoded();
    PageToken::encode(&request.action, form, next).map_err(rejected)
}

/// A page of the other emulator. On its last page, own items follow if they all fit.
async fn upstream_page(
    relay: &Relay<'_>,
    request: Request,
    set: Set,
    token: Option<String>,
) -> Relayed {
    let own = own_items(relay, &request, set)?;
    let max_results = request.form.integer("MaxResults").map_err(rejected)?;
    let form = request.form.with("NextToken", token.as_deref()).encoded();
    let answer = relay.upstream().ec2(&relay.scope, form).await;
    let answer = answer.map_err(|error| relay.unavailable(&error, &request.action))?;
    if !answer.status().is_success() {
        return Ok(answer);
    }
    let document = String::from_utf8_lossy(answer.body()).into_owned();
    let page = page_of(relay, set, &document)?;
    if let Some(token) = page.token {
        let token = token_of(&request, NextPage::Upstream(Some(token)))?;
        return joined(relay, set.merge(&document, &[], Some(&token)));
    }
    let mut items = own.items;
    items.retain(|item| page.items.iter().all(|other| other.key != item.key));
    let items = without_duplicates(relay, set, items).await?;
    let max_results = max_results.and_then(|count| usize::try_from(count).ok());
    let room = max_results.map(|count| count.saturating_sub(page.items.len()));
    let fits = own.token.is_none() && room.is_none_or(|room| items.len() <= room);
    if fits {
        return joined(relay, set.merge(&document, &items, None));
    }
    let token = token_of(&request, NextPage::Own(None))?;
    joined(relay, set.merge(&document, &[], Some(&token)))
}

/// The first page of own items. A filter that does not exist here selects none of them.
pub(super) fn own_items(
    relay: &Relay<'_>,
    request: &Request,
    set: Set,
) -> Result<Page, RejectedRequest> {
    let form = request.form.with("NextToken", None);
    match relay.endpoint.describe(&request.with_form(form)) {
        Ok(document) => page_of(relay, set, &document),
        Err(error) if is_unknown_filter(&error) => Ok(Page { items: Vec::new(), token: None }),
        Err(error) => Err(rejected(error)),
    }
}

pub(super) fn page_of(
    relay: &Relay<'_>,
    set: Set,
    document: &str,
) -> Result<Page, RejectedRequest> {
    set.page(document).ok_or_else(|| not_xml(relay))
}

/// A response with a joined document.
pub(super) fn joined(relay: &Relay<'_>, document: Option<String>) -> Relayed {
    let document = document.ok_or_else(|| not_xml(relay))?;
    let response: Response<Bytes> = response((200, document));
    Ok(response)
}

fn not_xml(relay: &Relay<'_>) -> RejectedRequest {
    let url = relay.upstream().url();
    rejected(ApiError::internal(format!("the answer of the upstream {url} is not XML")))
}
