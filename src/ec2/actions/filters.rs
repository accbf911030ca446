//! The actions of filters: Create, Delete, Describe, and the modification of network services.

use super::super::describe::Query;
use super::{Call, elements};
use crate::control::account::{Account, ApiError, CreateFilter};
use crate::model::{Filter, FilterId};

pub(super) fn create(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    let request = CreateFilter {
        description: call.description()?,
        tags: call.tags("traffic-mirror-filter")?,
        client_token: call.client_token()?,
    };
    call.check_parameters()?;
    let id = account.create_filter(&call.caller, request)?;
    filter(account, call, &id, call.form.text("ClientToken"))
}

pub(super) fn modify_services(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    let id = call.form.required("TrafficMirrorFilterId")?;
    let add = call.form.texts("AddNetworkService");
    let remove = call.form.texts("RemoveNetworkService");
    call.check_parameters()?;
    let id = account.modify_network_services(&call.caller, id, &add, &remove)?;
    filter(account, call, &id, None)
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    let id = call.form.required("TrafficMirrorFilterId")?;
    call.check_parameters()?;
    let id = account.delete_filter(&call.caller, id)?;
    Ok(call.answer_id("trafficMirrorFilterId", id))
}

pub(super) fn describe(account: &Account, call: &Call<'_>) -> Result<String, ApiError> {
    let query =
        Query::read(call.form, call.action, "TrafficMirrorFilterId", elements::FILTER_FILTERS)?;
    call.check_parameters()?;
    for id in query.ids() {
        let ownership = FilterId::new(id).ok().and_then(|id| account.filters().get(&id));
        call.check_visible(ownership, "Filter", FilterId::PREFIX, id)?;
    }
    let filters = account.filters().after(query.after()).map(|(sequence, id, ownership)| {
        let filter: Option<&Filter> = account
            .registry()
            .filter(id)
            .filter(|_| call.can_see(ownership))
            .map(|filter| &**filter);
        let selected = filter
            .map_or(Ok(None), |filter| Ok(query.selects(id.as_str(), &filter)?.then_some(filter)));
        (sequence, selected)
    });
    let (page, token) = query.page(filters)?;
    Ok(call.answer(|xml| {
        xml.list("trafficMirrorFilterSet", page, elements::filter);
        Call::next_token(xml, token);
    }))
}

fn filter(
    account: &Account,
    call: &Call<'_>,
    id: &FilterId,
    token: Option<&str>,
) -> Result<String, ApiError> {
    let filter = account.registry().filter(id);
    let filter =
        filter.ok_or_else(|| ApiError::internal("a filter is missing after its change"))?;
    Ok(call.answer(|xml| {
        xml.element("trafficMirrorFilter", |xml| elements::filter(xml, filter));
        xml.optional("clientToken", token);
    }))
}
