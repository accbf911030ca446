//! The network interfaces that a change affects, whose mirror tables must be compiled again.

use std::collections::BTreeSet;

use super::Registry;
use crate::model::{FilterId, NetworkInterfaceId, TargetId};

/// Interfaces that changes affected since the last call of [`Registry::take_touched`]. Registries
/// with the same resources are equal, so all values of this type are equal.
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
    /// The interfaces whose sessions changed since the last call: sessions that were added, removed
    /// or replaced, and sessions whose filter, target or interface changed.
    pub fn take_touched(&mut self) -> BTreeSet<NetworkInterfaceId> {
        std::mem::take(&mut self.touched.0)
    }

    /// Reports that the addresses or the device of an interface changed, which affects its sessions
    /// and the sessions that send to it.
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
