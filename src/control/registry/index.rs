//! The index of the registry: positions of resources by id, and by the resources they refer to.
//!
//! With it, lookups and changes take constant time for any number of resources.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::model::{
    FilterId, NetworkInterfaceId, Session, SessionId, SessionNumber, Target, TargetId, TargetKind,
    VirtualNetworkId,
};

/// The positions of all resources in the registry's lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RegistryIndex {
    pub(super) network_interfaces: HashMap<NetworkInterfaceId, usize>,
    pub(super) targets: HashMap<TargetId, usize>,
    pub(super) filters: HashMap<FilterId, usize>,
    pub(super) sessions: HashMap<SessionId, usize>,
    /// The session of an interface with a session number.
    pub(super) numbers: HashMap<(NetworkInterfaceId, SessionNumber), usize>,
    /// The sessions of an interface.
    pub(super) sources: Users<NetworkInterfaceId>,
    /// The targets that name an interface.
    pub(super) target_interfaces: Users<NetworkInterfaceId>,
    /// The sessions that send to a target.
    pub(super) target_users: Users<TargetId>,
    /// The sessions that use a filter.
    pub(super) filter_users: Users<FilterId>,
    /// The number of sessions that have a network identifier.
    pub(super) network_ids: HashMap<VirtualNetworkId, usize>,
}

/// The positions of the resources that refer to a resource. A resource without users has no entry.
type Users<K> = HashMap<K, BTreeSet<usize>>;

impl RegistryIndex {
    pub(super) fn add_target(&mut self, target: &Target, position: usize) {
        self.targets.insert(target.id().clone(), position);
        if let TargetKind::NetworkInterface(id) = &target.kind {
            add(&mut self.target_interfaces, id, position);
        }
    }

    pub(super) fn remove_target(&mut self, target: &Target, position: usize) {
        self.targets.remove(target.id());
        if let TargetKind::NetworkInterface(id) = &target.kind {
            remove(&mut self.target_interfaces, id, position);
        }
    }

    pub(super) fn add_session(&mut self, session: &Session, position: usize) {
        if let Some(id) = &session.id {
            self.sessions.insert(id.clone(), position);
        }
        let interface = &session.network_interface_id;
        self.numbers.insert((interface.clone(), session.number), position);
        add(&mut self.sources, interface, position);
        add(&mut self.target_users, &session.target_id, position);
        add(&mut self.filter_users, &session.filter_id, position);
        if let Some(id) = session.virtual_network_id {
            *self.network_ids.entry(id).or_default() += 1;
        }
    }

    pub(super) fn remove_session(&mut self, session: &Session, position: usize) {
        if let Some(id) = &session.id {
            self.sessions.remove(id);
        }
        let interface = &session.network_interface_id;
        self.numbers.remove(&(interface.clone(), session.number));
        remove(&mut self.sources, interface, position);
        remove(&mut self.target_users, &session.target_id, position);
        remove(&mut self.filter_users, &session.filter_id, position);
        let Some(id) = session.virtual_network_id else { return };
        let remaining = self.network_ids.remove(&id).and_then(|count| count.checked_sub(1));
        if let Some(remaining) = remaining.filter(|count| *count > 0) {
            self.network_ids.insert(id, remaining);
        }
    }
}

fn add<K: Hash + Eq + Clone>(users: &mut Users<K>, key: &K, position: usize) {
    users.entry(key.clone()).or_default().insert(position);
}

fn remove<K: Hash + Eq>(users: &mut Users<K>, key: &K, position: usize) {
    let Some(positions) = users.get_mut(key) else { return };
    positions.remove(&position);
    if positions.is_empty() {
        users.remove(key);
    }
}
