//! The actions of sessions: Create, Modify, Delete and Describe.

use super::super::describe::Query;
use super::elements::SessionView;
use super::{Call, elements};
use crate::control::account::{
    Account, ApiError, CreateSession, ModifySession, Ownership, SessionField,
};
use crate::model::{PacketLength, SessionId, SessionNumber, VirtualNetworkId};

pub(super) fn create(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    let form = call.form;
    let number =
        form.integer("SessionNumber")?.ok_or_else(|| ApiError::missing_parameter("SessionNumber"));
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
        client_token: call.client_token()?,
    };
    call.check_parameters()?;
    let id = account.create_session(&call.caller, request)?;
    let token = form.text("ClientToken");
    session(account, call, &id, token)
}

pub(super) fn modify(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
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
    call.check_parameters()?;
    let id = account.modify_session(&call.caller, id, request)?;
    session(account, call, &id, None)
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    let id = call.form.required("TrafficMirrorSessionId")?;
    call.check_parameters()?;
    let id = account.delete_session(&call.caller, id)?;
    Ok(call.answer_id("trafficMirrorSessionId", id))
}

pub(super) fn describe(account: &Account, call: &Call<'_>) -> Result<String, ApiError> {
    let query =
        Query::read(call.form, call.action, "TrafficMirrorSessionId", elements::SESSION_FILTERS)?;
    call.check_parameters()?;
    for id in query.ids() {
        let known = SessionId::new(id).ok();
        let ownership = known.and_then(|id| account.sessions().get(&id));
        call.check_visible(ownership, "Session", SessionId::PREFIX, id)?;
    }
    let sessions = account.sessions().after(query.after()).map(|(sequence, id, ownership)| {
        let session = account.registry().session(id).filter(|_| call.can_see(ownership));
        let view = session.map(|session| SessionView::new(account, session));
        (
            sequence,
            view.map_or(Ok(None), |view| Ok(query.selects(id.as_str(), &view)?.then_some(view))),
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
) -> Result<String, ApiError> {
    let session = account.registry().session(id);
    let session =
        session.ok_or_else(|| ApiError::internal("a session is missing after its change"))?;
    Ok(call.answer(|xml| {
        let view = SessionView::new(account, session);
        xml.element("trafficMirrorSession", |xml| view.write(xml));
        xml.optional("clientToken", token);
    }))
}

impl Call<'_> {
    /// Whether the caller can see a resource: its own, or one of a configuration file.
    pub(super) fn can_see(&self, ownership: &Ownership) -> bool {
        ownership.is_visible_to(self.caller.owner)
    }

    /// Checks that a resource exists and the caller can see it.
    ///
    /// # Errors
    /// The error for an id that does not exist.
    pub(super) fn check_visible(
        &self,
        ownership: Option<&Ownership>,
        kind: &str,
        prefix: &str,
        id: &str,
    ) -> Result<(), ApiError> {
        match ownership {
            Some(ownership) if self.can_see(ownership) => Ok(()),
            _ => Err(crate::control::account::not_found(kind, prefix, id)),
        }
    }
}
