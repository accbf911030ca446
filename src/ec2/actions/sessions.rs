//! Actions on sessions.

use super::super::describe::Query;
use super::shapes::SessionView;
use super::{Call, shapes};
use crate::control::account::{
    Account, CreateSession, Entry, ModifySession, Refused, SessionField,
};
use crate::model::{PacketLength, SessionId, SessionNumber, VirtualNetworkId};

pub(super) fn create(account: &mut Account, call: &Call<'_>) -> Result<String, Refused> {
    let form = call.form;
    let number = form.integer("SessionNumber")?.ok_or_else(|| Refused::missing("SessionNumber"));
    let request = CreateSession {
        network_interface_id: form.required("NetworkInterfaceId")?.to_owned(),
        target_id: form.required("TrafficMirrorTargetId")?.to_owned(),
        filter_id: form.required("TrafficMirrorFilterId")?.to_owned(),
        number: SessionNumber::new(number?)?,
        packet_length: form.integer("PacketLength")?.map(PacketLength::new).transpose()?,
        virtual_network_id: form
            .integer("VirtualNetworkId")?
            .map(VirtualNetworkId::new)
            .transpose()?,
        description: call.description()?,
        tags: call.tags("traffic-mirror-session")?,
        once: call.once()?,
    };
    call.is_read()?;
    let id = account.create_session(&call.caller, request)?;
    let token = form.text("ClientToken");
    session(account, call, &id, token)
}

pub(super) fn modify(account: &mut Account, call: &Call<'_>) -> Result<String, Refused> {
    let form = call.form;
    let id = form.required("TrafficMirrorSessionId")?;
    let request = ModifySession {
        target_id: form.owned("TrafficMirrorTargetId"),
        filter_id: form.owned("TrafficMirrorFilterId"),
        number: form.integer("SessionNumber")?.map(SessionNumber::new).transpose()?,
        packet_length: form.integer("PacketLength")?.map(PacketLength::new).transpose()?,
        virtual_network_id: form
            .integer("VirtualNetworkId")?
            .map(VirtualNetworkId::new)
            .transpose()?,
        description: call.description()?,
        remove: form
            .texts("RemoveField")
            .iter()
            .map(|field| SessionField::parse(field))
            .collect::<Result<_, _>>()?,
    };
    call.is_read()?;
    let id = account.modify_session(&call.caller, id, request)?;
    session(account, call, &id, None)
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Result<String, Refused> {
    let id = call.form.required("TrafficMirrorSessionId")?;
    call.is_read()?;
    let id = account.delete_session(&call.caller, id)?;
    Ok(call.answer_id("trafficMirrorSessionId", id))
}

pub(super) fn describe(account: &Account, call: &Call<'_>) -> Result<String, Refused> {
    let query =
        Query::read(call.form, call.action, "TrafficMirrorSessionId", shapes::SESSION_FILTERS)?;
    call.is_read()?;
    for id in query.ids() {
        let known = SessionId::new(id).ok();
        let entry = known.and_then(|id| account.sessions().get(&id));
        call.may_see(entry, "Session", SessionId::PREFIX, id)?;
    }
    let sessions = account.sessions().behind(query.behind()).map(|(sequence, id, entry)| {
        let session = account.registry().session(id).filter(|_| call.sees(entry));
        let view = session.map(|session| SessionView::new(account, session));
        (
            sequence,
            view.map_or(Ok(None), |view| Ok(query.takes(id.as_str(), &view)?.then_some(view))),
        )
    });
    let (page, token) = query.page(sessions)?;
    Ok(call.answer(|xml| {
        xml.list("trafficMirrorSessionSet", page, |xml, view| view.write(xml));
        Call::next_token(xml, token);
    }))
}

fn session(
    account: &Account,
    call: &Call<'_>,
    id: &SessionId,
    token: Option<&str>,
) -> Result<String, Refused> {
    let session = account.registry().session(id);
    let session = session.ok_or_else(|| Refused::internal("a session is not there"))?;
    Ok(call.answer(|xml| {
        let view = SessionView::new(account, session);
        xml.element("trafficMirrorSession", |xml| view.write(xml));
        xml.optional("clientToken", token);
    }))
}

impl Call<'_> {
    /// Whether the caller sees a resource: its own, and those of configuration files.
    pub(super) fn sees(&self, entry: &Entry) -> bool {
        entry.is_of_file || *entry.owner == *self.caller.owner
    }

    /// # Errors
    /// The refusal of an id that leads nowhere.
    pub(super) fn may_see(
        &self,
        entry: Option<&Entry>,
        kind: &str,
        prefix: &str,
        id: &str,
    ) -> Result<(), Refused> {
        match entry {
            Some(entry) if self.sees(entry) => Ok(()),
            _ => Err(crate::control::account::no_such(kind, prefix, id)),
        }
    }
}
