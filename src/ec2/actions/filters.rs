//! Actions on filters.

use super::super::describe::Query;
use super::{Call, shapes};
use crate::control::account::{Account, CreateFilter, Refused};
use crate::model::{Filter, FilterId};

pub(super) fn create(account: &mut Account, call: &Call<'_>) -> Result<String, Refused> {
    let request = CreateFilter {
        description: call.description()?,
        tags: call.tags("traffic-mirror-filter")?,
        once: call.once()?,
    };
    call.is_read()?;
    let id = account.create_filter(&call.caller, request)?;
    filter(account, call, &id, call.form.text("ClientToken"))
}

pub(super) fn modify_services(account: &mut Account, call: &Call<'_>) -> Result<String, Refused> {
    let id = call.form.required("TrafficMirrorFilterId")?;
    let add = call.form.texts("AddNetworkService");
    let remove = call.form.texts("RemoveNetworkService");
    call.is_read()?;
    let id = account.modify_network_services(&call.caller, id, &add, &remove)?;
    filter(account, call, &id, None)
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Result<String, Refused> {
    let id = call.form.required("TrafficMirrorFilterId")?;
    call.is_read()?;
    let id = account.delete_filter(&call.caller, id)?;
    Ok(call.answer_id("trafficMirrorFilterId", id))
}

pub(super) fn describe(account: &Account, call: &Call<'_>) -> Result<String, Refused> {
    let query =
        Query::read(call.form, call.action, "TrafficMirrorFilterId", shapes::FILTER_FILTERS)?;
    call.is_read()?;
    for id in query.ids() {
        let entry = FilterId::new(id).ok().and_then(|id| account.filters().get(&id));
        call.may_see(entry, "Filter", FilterId::PREFIX, id)?;
    }
    let filters = account.filters().behind(query.behind()).map(|(sequence, id, entry)| {
        let filter: Option<&Filter> =
            account.registry().filter(id).filter(|_| call.sees(entry)).map(|filter| &**filter);
        let taken = filter
            .map_or(Ok(None), |filter| Ok(query.takes(id.as_str(), &filter)?.then_some(filter)));
        (sequence, taken)
    });
    let (page, token) = query.page(filters)?;
    Ok(call.answer(|xml| {
        xml.list("trafficMirrorFilterSet", page, shapes::filter);
        Call::next_token(xml, token);
    }))
}

fn filter(
    account: &Account,
    call: &Call<'_>,
    id: &FilterId,
    token: Option<&str>,
) -> Result<String, Refused> {
    let filter = account.registry().filter(id);
    let filter = filter.ok_or_else(|| Refused::internal("a filter is not there"))?;
    Ok(call.answer(|xml| {
        xml.element("trafficMirrorFilter", |xml| shapes::filter(xml, filter));
        xml.optional("clientToken", token);
    }))
}
