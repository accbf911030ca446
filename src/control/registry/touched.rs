//! Which network interfaces a change touches: those whose tables have to be compiled anew.

use std::collections::BTreeSet;

use super::Registry;
use crate::model::{FilterId, NetworkInterfaceId, TargetId};

/// Interfaces that were touched and not yet taken. It is no part of what a registry says, so
/// registries are equal whatever is in it.
#[derive(Debug, Clone, Default)]
pub(super) struct TouchedInterfaces(BTreeSet<NetworkInterfaceId>);

impl TouchedInterfaces {
    pub(super) fn insert(&mut self, id: &NetworkInterfaceId) {
        if !self.0.contains(id) {
            self.0.insert(id.clone());
        }
    }
}

impl PartialEq for TouchedInterfaces {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for TouchedInterfaces {}

impl Registry {
    /// The interfaces with sessions that changed since the last call: sessions that came, went or
    /// were replaced, and sessions whose filter, target or interface changed.
    pub fn take_touched(&mut self) -> BTreeSet<NetworkInterfaceId> {
        std::mem::take(&mut self.touched.0)
    }

    /// Addresses or the device of an interface changed: its own sessions are touched, and those
    /// that send to it.
    pub fn touch_network_interface(&mut self, id: &NetworkInterfaceId) {
        if self.sessions_of(id).next().is_some() {
            self.touched.insert(id);
        }
        let targets: Vec<TargetId> = self.targets_at(id).map(|one| one.id().clone()).collect();
        targets.iter().for_each(|target| self.touch_sessions_to(target));
    }

    pub(super) fn touch_sessions_to(&mut self, id: &TargetId) {
        let positions = self.index.target_users.get(id).into_iter().flatten();
        for session in positions.filter_map(|position| self.sessions.get(*position)) {
            self.touched.insert(&session.network_interface_id);
        }
    }

    pub(super) fn touch_sessions_by(&mut self, id: &FilterId) {
        let positions = self.index.filter_users.get(id).into_iter().flatten();
        for session in positions.filter_map(|position| self.sessions.get(*position)) {
            self.touched.insert(&session.network_interface_id);
        }
    }
}
