//! How the model applies a call that passed all checks.

use traffic_mirror::model::{
    FilterId, FilterRuleId, NetworkInterfaceId, Session, SessionId, TargetId,
};

use super::aws_checks::address;
use super::call::Call;
use super::model::Model;
use super::snapshot::{
    PlainFilter, PlainOwnership, PlainRule, PlainSession, PlainTarget, Snapshot,
};

impl Model {
    pub(crate) fn change(&mut self, owner: &str, call: &Call, id: &str, after: &Snapshot) {
        match call {
            Call::CreateTarget(_)
            | Call::CreateFilter(_)
            | Call::CreateRule(_)
            | Call::CreateSession(_) => self.create(owner, call, id, after),
            Call::DeleteTarget(id) => self.remove(1, id),
            Call::DeleteFilter(id) => {
                let rules = self.resources.rules.iter().filter(|(_, one)| one.filter == *id);
                let rules: Vec<String> = rules.map(|(rule, _)| rule.clone()).collect();
                rules.iter().for_each(|rule| self.remove(3, rule));
                self.remove(2, id);
            }
            Call::DeleteRule(id) => self.remove(3, id),
            Call::DeleteSession(id) => self.remove(0, id),
            Call::Services(id, add, remove) => {
                let filter = self.resources.filters.get_mut(id).unwrap();
                filter.amazon_dns = (filter.amazon_dns || !add.is_empty()) && remove.is_empty();
            }
            Call::ModifyRule(id, request) => {
                let rule = self.modified_rule(owner, id, request).unwrap();
                self.resources.rules.get_mut(id).unwrap().rule = rule;
            }
            Call::ModifySession(id, request) => {
                let session = self.modified_session(owner, id, request).unwrap();
                let session = self.with_generated_network_id(session, after);
                self.resources.sessions.get_mut(id).unwrap().session = session;
            }
            Call::CreateTags(..) | Call::DeleteTags(..) => self.change_tags(owner, call),
        }
    }

    fn create(&mut self, owner: &str, call: &Call, id: &str, after: &Snapshot) {
        let ownership = PlainOwnership { owner: owner.to_owned(), is_from_file: false };
        match call {
            Call::CreateTarget(request) => {
                let plain = PlainTarget {
                    ownership,
                    kind: request.kind.clone(),
                    address: address(&request.kind, &request.tags).unwrap(),
                    description: request.description.clone(),
                    tags: request.tags.clone(),
                };
                self.add_id(1, id);
                self.resources.targets.insert(id.to_owned(), plain);
            }
            Call::CreateFilter(request) => {
                let plain = PlainFilter {
                    ownership,
                    amazon_dns: false,
                    description: request.description.clone(),
                    tags: request.tags.clone(),
                };
                self.add_id(2, id);
                self.resources.filters.insert(id.to_owned(), plain);
            }
            Call::CreateRule(request) => {
                let mut rule = request.rule.clone();
                rule.id = FilterRuleId::new(id).ok();
                let plain = PlainRule { ownership, filter: request.filter_id.clone(), rule };
                self.add_id(3, id);
                self.resources.rules.insert(id.to_owned(), plain);
            }
            Call::CreateSession(request) => {
                let mut session = Session::new(
                    NetworkInterfaceId::new(&request.network_interface_id).unwrap(),
                    request.number,
                    FilterId::new(&request.filter_id).unwrap(),
                    TargetId::new(&request.target_id).unwrap(),
                );
                session.id = SessionId::new(id).ok();
                session.packet_length = request.packet_length;
                session.virtual_network_id = request.virtual_network_id;
                session.description = request.description.clone();
                session.tags = request.tags.clone();
                self.add_id(0, id);
                let session = self.with_generated_network_id(session, after);
                self.resources.sessions.insert(id.to_owned(), PlainSession { ownership, session });
            }
            _ => {}
        }
    }

    fn change_tags(&mut self, owner: &str, call: &Call) {
        for (kind, id, tags) in self.changed_tags(owner, call).unwrap() {
            match kind {
                0 => self.resources.sessions.get_mut(&id).unwrap().session.tags = tags,
                1 => {
                    let target = self.resources.targets.get_mut(&id).unwrap();
                    target.address = address(&target.kind, &tags).unwrap();
                    target.tags = tags;
                }
                2 => self.resources.filters.get_mut(&id).unwrap().tags = tags,
                _ => self.resources.rules.get_mut(&id).unwrap().rule.tags = tags,
            }
        }
    }

    /// The session, with the network identifier that the account generated if it has none.
    fn with_generated_network_id(&self, mut session: Session, after: &Snapshot) -> Session {
        if session.virtual_network_id.is_none() {
            let id = session.id.as_ref().unwrap();
            session.virtual_network_id = after.sessions[id.as_str()].session.virtual_network_id;
            self.assert_network_id_is_unique(&session);
        }
        session
    }
}
