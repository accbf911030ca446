//! The network interfaces that a change affects, whose mirror tables must be compiled again.

use std::collections::BTreeSet;

use crate::model::NetworkInterfaceId;

/// Interfaces that changes affected since the last call of `Registry::take_touched`. Registries
/// with the same resources are equal, so all values of this type are equal.
#[derive(Debug, Clone, Default)]
pub(super) struct TouchedInterfaces(BTreeSet<NetworkInterfaceId>);

impl TouchedInterfaces {
    pub(super) fn insert(&mut self, id: &NetworkInterfaceId) {
        if !self.0.contains(id) {
            self.0.insert(id.clone());
        }
    }

    /// Removes and returns all interfaces.
    pub(super) fn take(&mut self) -> BTreeSet<NetworkInterfaceId> {
        std::mem::take(&mut self.0)
    }
}

impl PartialEq for TouchedInterfaces {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for TouchedInterfaces {}
