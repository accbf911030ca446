//! The errors in the references of a resource, each with the ids that would be right.

use super::Registry;
use super::checks::describe_session;
use crate::control::nearest::expected_id;
use crate::model::{FilterId, InvalidValue, NetworkInterfaceId, Session, TargetId};

impl Registry {
    /// The errors in the references of a session, at most one for each.
    pub(in crate::control) fn reference_errors(
        &self,
        network_interface: Option<&NetworkInterfaceId>,
        target: Option<&TargetId>,
        filter: Option<&FilterId>,
    ) -> Vec<InvalidValue> {
        let errors = [
            network_interface.and_then(|id| self.source_error(id)),
            target.and_then(|id| self.target_error(id)),
            filter.and_then(|id| self.filter_error(id)),
        ];
        errors.into_iter().flatten().collect()
    }

    fn source_error(&self, id: &NetworkInterfaceId) -> Option<InvalidValue> {
        if self.network_interface(id).is_none() {
            let names = self.network_interfaces.iter().map(|known| known.id().as_str());
            let expected = expected_id("network interface", id.as_str(), names);
            return Some(InvalidValue::new("network_interface_id", id, expected));
        }
        let targets = self.index.target_interfaces.get(id)?;
        let target = self.targets.get(*targets.first()?)?;
        let expected =
            format!("an interface that is not a target, but target `{}` uses it", target.id());
        Some(InvalidValue::new("network_interface_id", id, expected))
    }

    fn target_error(&self, id: &TargetId) -> Option<InvalidValue> {
        if self.target(id).is_some() {
            return None;
        }
        let names = self.targets.iter().map(|known| known.id().as_str());
        let expected = expected_id("target", id.as_str(), names);
        Some(InvalidValue::new("traffic_mirror_target_id", id, expected))
    }

    fn filter_error(&self, id: &FilterId) -> Option<InvalidValue> {
        if self.filter(id).is_some() {
            return None;
        }
        let names = self.filters.iter().map(|known| known.id().as_str());
        let expected = expected_id("filter", id.as_str(), names);
        Some(InvalidValue::new("traffic_mirror_filter_id", id, expected))
    }

    pub(super) fn check_number_is_free(&self, session: &Session) -> Result<(), InvalidValue> {
        let key = (session.network_interface_id.clone(), session.number);
        let taken_by = self.index.numbers.get(&key).and_then(|i| self.sessions.get(*i));
        let Some(other) = taken_by else { return Ok(()) };
        let expected = format!(
            "a number that no other session of `{}` has, but {} has it",
            session.network_interface_id,
            describe_session(other)
        );
        Err(InvalidValue::new("session_number", session.number, expected))
    }
}
