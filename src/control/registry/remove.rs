//! Removes and changes resources of the registry.
//!
//! A resource that others refer to is not removed. The last resource of its kind moves to the
//! position of the removed one, so the cost does not depend on the number of resources.

use super::Registry;
use super::checks::describe_session;
use crate::model::{
    FilterId, InvalidValue, NetworkInterface, NetworkInterfaceId, Session, SessionId, Target,
    TargetId, VirtualNetworkId,
};

impl Registry {
    /// Removes and returns a session, or returns `None` if no session has that id.
    pub fn remove_session(&mut self, id: &SessionId) -> Option<Session> {
        let position = *self.index.sessions.get(id)?;
        let last = self.sessions.len().checked_sub(1)?;
        self.index.remove_session(self.sessions.get(position)?, position);
        if position != last {
            self.index.remove_session(self.sessions.get(last)?, last);
        }
        let removed = self.sessions.swap_remove(position);
        if let Some(moved) = self.sessions.get(position) {
            self.index.add_session(moved, position);
        }
        self.touched.insert(&removed.network_interface_id);
        Some(removed)
    }

    /// Replaces the session that has the same id.
    ///
    /// # Errors
    /// [`InvalidValue`] if no session has that id, and those of [`Registry::add_session`]. On an
    /// error the registry has the same resources as before.
    pub fn replace_session(&mut self, session: Session) -> Result<(), InvalidValue> {
        let known = session.id.as_ref().and_then(|id| self.remove_session(id));
        let Some(known) = known else {
            let id = session.id.map(|id| id.to_string()).unwrap_or_default();
            return Err(InvalidValue::new("traffic_mirror_session_id", id, "the id of a session"));
        };
        self.add_session(session).inspect_err(|_| {
            // The session was in the registry before, so adding it again does not fail.
            let _ = self.add_session(known);
        })
    }

    /// Removes a target.
    ///
    /// # Errors
    /// [`InvalidValue`] if no target has that id, or a session sends to it.
    pub fn remove_target(&mut self, id: &TargetId) -> Result<Target, InvalidValue> {
        let field = "traffic_mirror_target_id";
        let no_such = || InvalidValue::new(field, id, "the id of a target");
        if let Some(session) = self.sessions_to(id).next() {
            return Err(InvalidValue::new(field, id, expected_unused(session)));
        }
        let position = *self.index.targets.get(id).ok_or_else(no_such)?;
        let last = self.targets.len().saturating_sub(1);
        self.index.remove_target(self.targets.get(position).ok_or_else(no_such)?, position);
        if position != last {
            self.index.remove_target(self.targets.get(last).ok_or_else(no_such)?, last);
        }
        let removed = self.targets.swap_remove(position);
        if let Some(moved) = self.targets.get(position) {
            self.index.add_target(moved, position);
        }
        Ok(removed)
    }

    /// The targets that name that network interface, in no order.
    pub fn targets_at(&self, id: &NetworkInterfaceId) -> impl Iterator<Item = &Target> {
        let positions = self.index.target_interfaces.get(id).into_iter().flatten();
        positions.filter_map(|position| self.targets.get(*position))
    }

    /// Assigns a network identifier to each session that has none.
    pub(in crate::control) fn assign_network_ids(
        &mut self,
        mut draw: impl FnMut(&Session) -> VirtualNetworkId,
    ) {
        for session in self.sessions.iter_mut().filter(|one| one.virtual_network_id.is_none()) {
            let id = draw(session);
            session.virtual_network_id = Some(id);
            *self.index.network_ids.entry(id).or_default() += 1;
        }
    }

    /// Whether a session has that network identifier.
    #[must_use]
    pub fn has_network_id(&self, id: VirtualNetworkId) -> bool {
        self.index.network_ids.contains_key(&id)
    }

    /// The target of that id, to change its tags, description or address. Its sessions count as
    /// changed.
    pub fn target_mut(&mut self, id: &TargetId) -> Option<&mut Target> {
        self.touch_sessions_to(id);
        self.index.targets.get(id).and_then(|position| self.targets.get_mut(*position))
    }

    /// Removes a filter with its rules.
    ///
    /// # Errors
    /// [`InvalidValue`] if no filter has that id, or a session uses it.
    pub fn remove_filter(&mut self, id: &FilterId) -> Result<(), InvalidValue> {
        let field = "traffic_mirror_filter_id";
        if let Some(session) = self.sessions_by(id).next() {
            return Err(InvalidValue::new(field, id, expected_unused(session)));
        }
        let Some(position) = self.index.filters.remove(id) else {
            return Err(InvalidValue::new(field, id, "the id of a filter"));
        };
        self.rule_ids.remove(&self.filters.swap_remove(position));
        if let Some(moved) = self.filters.get(position) {
            self.index.filters.insert(moved.id().clone(), position);
        }
        Ok(())
    }

    /// Removes a network interface.
    ///
    /// # Errors
    /// [`InvalidValue`] if no interface has that id, or a session or a target names it.
    pub fn remove_network_interface(
        &mut self,
        id: &NetworkInterfaceId,
    ) -> Result<NetworkInterface, InvalidValue> {
        let field = "network_interface_id";
        if let Some(session) = self.sessions_of(id).next() {
            return Err(InvalidValue::new(field, id, expected_unused(session)));
        }
        if self.index.target_interfaces.contains_key(id) {
            return Err(InvalidValue::new(field, id, "an unused resource, but a target uses it"));
        }
        let Some(position) = self.index.network_interfaces.remove(id) else {
            return Err(InvalidValue::new(field, id, "the id of a network interface"));
        };
        let removed = self.network_interfaces.swap_remove(position);
        if let Some(moved) = self.network_interfaces.get(position) {
            self.index.network_interfaces.insert(moved.id().clone(), position);
        }
        Ok(removed)
    }
}

fn expected_unused(session: &Session) -> String {
    format!("an unused resource, but {} uses it", describe_session(session))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Filter, SessionNumber};

    fn eni(name: &str) -> NetworkInterfaceId {
        NetworkInterfaceId::new(name).unwrap()
    }

    fn session(name: &str, interface: &str, number: i64, of: &str) -> Session {
        let number = SessionNumber::new(number).unwrap();
        let (filter, target) = (FilterId::new(of).unwrap(), TargetId::new(of).unwrap());
        let mut session = Session::new(eni(interface), number, filter, target);
        session.id = Some(SessionId::new(name).unwrap());
        session
    }

    /// Interfaces, targets and filters a, b and c, and a session of each.
    fn registry() -> Registry {
        let mut registry = Registry::default();
        for name in ["a", "b", "c"] {
            registry.add_network_interface(NetworkInterface::new(eni(name))).unwrap();
            let address = "192.0.2.1:4789".parse().unwrap();
            registry.add_target(Target::at(TargetId::new(name).unwrap(), address)).unwrap();
            registry.add_filter(Filter::accept_all(FilterId::new(name).unwrap())).unwrap();
            registry.add_session(session(name, name, 1, name)).unwrap();
        }
        registry
    }

    /// The index equals that of a registry built from scratch with the same resources.
    fn assert_consistent(registry: &Registry) {
        let mut rebuilt = Registry::new(registry.settings().clone());
        let interfaces = registry.network_interfaces().iter().cloned();
        interfaces.for_each(|one| rebuilt.add_network_interface(one).unwrap());
        registry.targets().iter().cloned().for_each(|one| rebuilt.add_target(one).unwrap());
        let filters = registry.filters().iter().map(|one| Filter::clone(one));
        filters.for_each(|one| rebuilt.add_filter(one).unwrap());
        registry.sessions().iter().cloned().for_each(|one| rebuilt.add_session(one).unwrap());
        assert_eq!(*registry, rebuilt);
    }

    #[test]
    fn a_resource_in_use_cannot_be_removed() {
        let mut registry = registry();
        let refused = registry.remove_target(&TargetId::new("a").unwrap()).unwrap_err();
        assert!(refused.to_string().contains("session `a` uses it"), "{refused}");
        assert!(registry.remove_filter(&FilterId::new("a").unwrap()).is_err());
        assert!(registry.remove_network_interface(&eni("a")).is_err());
        assert_consistent(&registry);
    }

    #[test]
    fn an_unused_resource_is_removed_and_the_others_are_still_found() {
        for name in ["a", "b", "c"] {
            let mut registry = registry();
            registry.remove_session(&SessionId::new(name).unwrap()).unwrap();
            assert_consistent(&registry);
            registry.remove_target(&TargetId::new(name).unwrap()).unwrap();
            assert_consistent(&registry);
            registry.remove_filter(&FilterId::new(name).unwrap()).unwrap();
            assert_consistent(&registry);
            registry.remove_network_interface(&eni(name)).unwrap();
            assert_consistent(&registry);
            assert!(registry.remove_session(&SessionId::new(name).unwrap()).is_none());
            assert!(registry.remove_target(&TargetId::new(name).unwrap()).is_err());
            assert!(registry.remove_filter(&FilterId::new(name).unwrap()).is_err());
        }
    }

    #[test]
    fn a_failed_replacement_leaves_the_session_unchanged() {
        let mut registry = registry();
        registry.replace_session(session("b", "a", 2, "c")).unwrap();
        assert_consistent(&registry);
        assert_eq!(registry.sessions_of(&eni("a")).count(), 2);
        let before = registry.clone();
        registry.replace_session(session("b", "a", 1, "c")).unwrap_err();
        assert_eq!(registry.session(&SessionId::new("b").unwrap()).unwrap().number.value(), 2);
        assert_consistent(&registry);
        assert_eq!(registry.sessions().len(), before.sessions().len());
        assert!(registry.replace_session(session("x", "a", 9, "c")).is_err());
    }
}
