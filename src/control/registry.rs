//! The registry: a consistent set of network interfaces, targets, filters and sessions.
//!
//! It checks references, unique ids and session numbers, so that the code that reads it needs no
//! such checks. Quotas and owners belong to `account`.

mod checks;
mod index;
mod references;
mod remove;
mod rule_ids;
mod touched;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use self::checks::{check_unique, describe_session};
use self::index::RegistryIndex;
use self::rule_ids::RuleIds;
use self::touched::TouchedInterfaces;
use crate::model::{
    Filter, FilterId, InvalidValue, NetworkInterface, NetworkInterfaceId, PacketLength, Session,
    SessionId, SessionNumber, Settings, Target, TargetId, TargetKind, VXLAN_PORT, VirtualNetworkId,
};

/// The smallest MTU of a GENEVE target in bytes. The outer headers take up to 144 of them.
const GATEWAY_MIN_MTU: u16 = 256;

/// Network interfaces, targets, filters and sessions in which every reference is valid and every id
/// is unique.
///
/// Each kind is kept in the order in which it was added, except that the last resource of a kind
/// replaces one that is removed. A resource must be added after those that it refers to. A resource
/// that is refused changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    settings: Settings,
    network_interfaces: Vec<NetworkInterface>,
    targets: Vec<Target>,
    filters: Vec<Arc<Filter>>,
    sessions: Vec<Session>,
    index: RegistryIndex,
    rule_ids: RuleIds,
    /// Interfaces whose sessions, filters or targets changed since the last
    /// [`Registry::take_touched`].
    touched: TouchedInterfaces,
}

impl Registry {
    /// A registry without resources.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// The registry for a command line without a configuration: one interface without addresses,
    /// one session with SessionNumber 1, and a filter that accepts every packet.
    #[must_use]
    pub fn accept_all(
        target: SocketAddr,
        virtual_network_id: Option<VirtualNetworkId>,
        packet_length: Option<PacketLength>,
    ) -> Self {
        let build = || -> Result<Self, InvalidValue> {
            let mut registry = Self::default();
            let interface = NetworkInterfaceId::new("eni-cli")?;
            let target_id = TargetId::new("tmt-cli")?;
            let filter = FilterId::new("tmf-cli")?;
            registry.add_network_interface(NetworkInterface::new(interface.clone()))?;
            registry.add_target(Target::at(target_id.clone(), target))?;
            registry.add_filter(Filter::accept_all(filter.clone()))?;
            let mut session = Session::new(interface, SessionNumber::MIN, filter, target_id);
            session.id = Some(SessionId::new("tms-cli")?);
            session.virtual_network_id = virtual_network_id;
            session.packet_length = packet_length;
            registry.add_session(session)?;
            Ok(registry)
        };
        // These ids are valid and unique, so `build` does not fail.
        build().unwrap_or_default()
    }

    /// The settings of all sessions.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The settings of all sessions, mutable.
    pub const fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Adds a network interface.
    ///
    /// # Errors
    /// [`InvalidValue`] if its id is taken.
    pub fn add_network_interface(
        &mut self,
        interface: NetworkInterface,
    ) -> Result<(), InvalidValue> {
        let id = interface.id();
        check_unique(
            "network_interface_id",
            id,
            &self.index.network_interfaces,
            "network interface",
        )?;
        self.index.network_interfaces.insert(id.clone(), self.network_interfaces.len());
        self.network_interfaces.push(interface);
        Ok(())
    }

    /// Adds a target. Its address is its own or the first one of the network interface that it
    /// names. A target that names a network interface, load balancer or endpoint may have no
    /// address; the copies of its sessions are dropped until it has one.
    ///
    /// # Errors
    /// [`InvalidValue`] if its id is taken, it has no address and names nothing (`field` is
    /// `address`, `value` is empty), its MTU is too small for GENEVE, or the interface it names is the source of a
    /// session: AWS does not mirror an interface that receives mirrored traffic.
    pub fn add_target(&mut self, target: Target) -> Result<(), InvalidValue> {
        check_unique("traffic_mirror_target_id", target.id(), &self.index.targets, "target")?;
        if target.kind == TargetKind::Address && target.address.is_none() {
            let expected = "an address such as 192.0.2.10, or a network_interface_id";
            return Err(InvalidValue::new("address", "", expected));
        }
        if let (TargetKind::GatewayLoadBalancerEndpoint(_), Some(mtu)) = (&target.kind, target.mtu)
            && mtu.value() < GATEWAY_MIN_MTU
        {
            let expected = format!("{GATEWAY_MIN_MTU} to 65535: the GENEVE headers use part of it");
            return Err(InvalidValue::new("mtu", mtu.value(), expected));
        }
        let position = self.targets.len();
        if let TargetKind::NetworkInterface(id) = &target.kind
            && let Some(session) = self.sessions_of(id).next()
        {
            let expected = format!(
                "an interface that is not a source, but it is the source of {}",
                describe_session(session)
            );
            return Err(InvalidValue::new("network_interface_id", id, expected));
        }
        self.index.add_target(&target, position);
        self.targets.push(target);
        Ok(())
    }

    /// Adds a filter.
    ///
    /// # Errors
    /// [`InvalidValue`] if its id or the id of one of its rules is taken.
    pub fn add_filter(&mut self, filter: Filter) -> Result<(), InvalidValue> {
        check_unique("traffic_mirror_filter_id", filter.id(), &self.index.filters, "filter")?;
        self.rule_ids.add(&filter)?;
        self.index.filters.insert(filter.id().clone(), self.filters.len());
        self.filters.push(Arc::new(filter));
        Ok(())
    }

    /// Replaces the filter that has the same id. Sessions that refer to it then use the new one.
    ///
    /// # Errors
    /// [`InvalidValue`] if no filter has that id.
    pub fn replace_filter(&mut self, filter: Filter) -> Result<(), InvalidValue> {
        self.touch_sessions_by(filter.id());
        let position = self.index.filters.get(filter.id());
        match position.and_then(|position| self.filters.get_mut(*position)) {
            Some(known) => *known = Arc::new(filter),
            None => {
                let expected = "the id of a filter";
                return Err(InvalidValue::new("traffic_mirror_filter_id", filter.id(), expected));
            }
        }
        Ok(())
    }

    /// Adds a session, whose interface, target and filter must be added before.
    ///
    /// # Errors
    /// [`InvalidValue`] if one of these does not exist, the id is taken, the interface has a
    /// session with the same SessionNumber, or a target names the interface ("in use by target",
    /// as AWS says).
    pub fn add_session(&mut self, session: Session) -> Result<(), InvalidValue> {
        let Session { network_interface_id, target_id, filter_id, .. } = &session;
        let errors =
            self.reference_errors(Some(network_interface_id), Some(target_id), Some(filter_id));
        if let Some(error) = errors.into_iter().next() {
            return Err(error);
        }
        if let Some(id) = &session.id {
            check_unique("traffic_mirror_session_id", id, &self.index.sessions, "session")?;
        }
        self.check_number_is_free(&session)?;
        self.index.add_session(&session, self.sessions.len());
        self.touched.insert(&session.network_interface_id);
        self.sessions.push(session);
        Ok(())
    }

    /// The network interfaces, in the order in which they were added.
    #[must_use]
    pub fn network_interfaces(&self) -> &[NetworkInterface] {
        &self.network_interfaces
    }

    /// The network interfaces that have a session, in the order in which they were added.
    pub fn sources(&self) -> impl Iterator<Item = &NetworkInterface> {
        let has_session = |one: &&NetworkInterface| self.index.sources.contains_key(one.id());
        self.network_interfaces.iter().filter(has_session)
    }

    /// The position of an interface in [`Registry::network_interfaces`].
    #[must_use]
    pub fn position_of_interface(&self, id: &NetworkInterfaceId) -> Option<usize> {
        self.index.network_interfaces.get(id).copied()
    }

    /// The targets, in the order in which they were added.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The filters, in the order in which they were added.
    #[must_use]
    pub fn filters(&self) -> &[Arc<Filter>] {
        &self.filters
    }

    /// The sessions, in the order in which they were added.
    #[must_use]
    pub fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    /// The network interface of that id.
    #[must_use]
    pub fn network_interface(&self, id: &NetworkInterfaceId) -> Option<&NetworkInterface> {
        self.index.network_interfaces.get(id).and_then(|i| self.network_interfaces.get(*i))
    }

    /// The network interface of that id, mutable except for its id. The caller reports a change
    /// that affects mirroring with [`Registry::touch_network_interface`].
    pub fn network_interface_mut(
        &mut self,
        id: &NetworkInterfaceId,
    ) -> Option<&mut NetworkInterface> {
        self.index.network_interfaces.get(id).and_then(|i| self.network_interfaces.get_mut(*i))
    }

    /// The target of that id.
    #[must_use]
    pub fn target(&self, id: &TargetId) -> Option<&Target> {
        self.index.targets.get(id).and_then(|i| self.targets.get(*i))
    }

    /// The filter of that id.
    #[must_use]
    pub fn filter(&self, id: &FilterId) -> Option<&Arc<Filter>> {
        self.index.filters.get(id).and_then(|i| self.filters.get(*i))
    }

    /// The session of that id.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<&Session> {
        self.index.sessions.get(id).and_then(|i| self.sessions.get(*i))
    }

    /// The sessions whose source is that network interface, in no order.
    pub fn sessions_of(&self, id: &NetworkInterfaceId) -> impl Iterator<Item = &Session> {
        let positions = self.index.sources.get(id).into_iter().flatten();
        positions.filter_map(|position| self.sessions.get(*position))
    }

    /// The sessions that send their copies to that target, in no order.
    pub fn sessions_to(&self, id: &TargetId) -> impl Iterator<Item = &Session> {
        let positions = self.index.target_users.get(id).into_iter().flatten();
        positions.filter_map(|position| self.sessions.get(*position))
    }

    /// The sessions that use that filter, in no order.
    pub fn sessions_by(&self, id: &FilterId) -> impl Iterator<Item = &Session> {
        let positions = self.index.filter_users.get(id).into_iter().flatten();
        positions.filter_map(|position| self.sessions.get(*position))
    }

    /// The address that the copies for `target` are sent to: its own, or the first one of the
    /// network interface that it names, with that interface's `target_port` or the VXLAN port.
    /// `None` if the address is unknown or forbidden.
    #[must_use]
    pub fn target_address(&self, target: &Target) -> Option<SocketAddr> {
        if target.is_forbidden {
            return None;
        }
        if target.address.is_some() {
            return target.address;
        }
        let TargetKind::NetworkInterface(id) = &target.kind else { return None };
        let interface = self.network_interface(id)?;
        let first = interface.private_ip_addresses.first()?;
        Some(SocketAddr::new(*first, interface.target_port.unwrap_or(VXLAN_PORT)))
    }

    /// The targets whose address is unknown, in the order in which they were added. A target whose
    /// address is forbidden is not among them.
    pub fn targets_without_address(&self) -> impl Iterator<Item = &Target> {
        let has_none = |one: &&Target| !one.is_forbidden && self.target_address(one).is_none();
        self.targets.iter().filter(has_none)
    }

    /// All addresses that the copies for `target` are sent to; a load balancer can have several.
    pub fn target_addresses(&self, target: &Target) -> impl Iterator<Item = SocketAddr> {
        let first = self.target_address(target);
        let further = first.iter().flat_map(|_| target.further_addresses.clone());
        first.into_iter().chain(further.collect::<Vec<_>>())
    }

    /// The interfaces whose sessions changed since the last call: sessions that were added, removed
    /// or replaced, and sessions whose filter, target or interface changed.
    pub fn take_touched(&mut self) -> BTreeSet<NetworkInterfaceId> {
        self.touched.take()
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

    /// Reports that the sessions of an interface changed or were removed.
    pub(super) fn touch_source(&mut self, id: &NetworkInterfaceId) {
        self.touched.insert(id);
    }

    fn touch_sessions_to(&mut self, id: &TargetId) {
        let positions = self.index.target_users.get(id).into_iter().flatten();
        for session in positions.filter_map(|position| self.sessions.get(*position)) {
            self.touched.insert(&session.network_interface_id);
        }
    }

    fn touch_sessions_by(&mut self, id: &FilterId) {
        let positions = self.index.filter_users.get(id).into_iter().flatten();
        for session in positions.filter_map(|position| self.sessions.get(*position)) {
            self.touched.insert(&session.network_interface_id);
        }
    }
}

#[cfg(test)]
mod tests;
