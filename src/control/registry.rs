//! The registry: resources that go together.

mod checks;
mod names;
mod remove;

use std::net::SocketAddr;
use std::sync::Arc;

use self::checks::{describe_session, unique};
use self::names::Names;
use crate::model::{
    Filter, FilterId, Invalid, NetworkInterface, NetworkInterfaceId, PacketLength, Session,
    SessionId, SessionNumber, Settings, Target, TargetId, TargetKind, VXLAN_PORT, VirtualNetworkId,
};

/// The headers of a copy in GENEVE take up to 144 bytes.
const GATEWAY_LEAST_MTU: u16 = 256;

/// Network interfaces, targets, filters and sessions of which every reference leads somewhere and
/// every id is given once.
///
/// Each kind is kept in the order in which it was added. A resource is added behind those that it
/// refers to; what does not fit is refused and changes nothing. There are no quotas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    settings: Settings,
    network_interfaces: Vec<NetworkInterface>,
    targets: Vec<Target>,
    filters: Vec<Arc<Filter>>,
    sessions: Vec<Session>,
    names: Names,
}

impl Registry {
    /// A registry without resources.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// What a command line without a configuration means: one interface of which nothing is
    /// known, one session with SessionNumber 1, and a filter that accepts everything.
    #[must_use]
    pub fn accept_all(
        target: SocketAddr,
        virtual_network_id: Option<VirtualNetworkId>,
        packet_length: Option<PacketLength>,
    ) -> Self {
        let build = || -> Result<Self, Invalid> {
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
        // None of these names is empty and none is given twice, so this never is the default.
        build().unwrap_or_default()
    }

    /// What holds for all sessions.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What holds for all sessions, to be changed.
    pub const fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Adds a network interface.
    ///
    /// # Errors
    /// [`Invalid`] where its id is taken.
    pub fn add_network_interface(&mut self, interface: NetworkInterface) -> Result<(), Invalid> {
        let id = interface.id();
        unique("network_interface_id", id, &self.names.network_interfaces, "network interface")?;
        self.names.network_interfaces.insert(id.clone(), self.network_interfaces.len());
        self.network_interfaces.push(interface);
        Ok(())
    }

    /// Adds a target. Its address is its own or the first one of the network interface that it
    /// names, which is added before.
    ///
    /// # Errors
    /// [`Invalid`] where its id is taken, it has no address (`field` is `address`, `value` is
    /// empty), or the interface it names is the source of a session: AWS mirrors no interface
    /// that takes mirrored traffic.
    pub fn add_target(&mut self, target: Target) -> Result<(), Invalid> {
        unique("traffic_mirror_target_id", target.id(), &self.names.targets, "target")?;
        if self.target_address(&target).is_none() {
            return Err(Invalid::new("address", "", self.where_an_address_comes_from(&target)));
        }
        if let (TargetKind::GatewayLoadBalancerEndpoint(_), Some(mtu)) = (&target.kind, target.mtu)
            && mtu.value() < GATEWAY_LEAST_MTU
        {
            let expected = format!("{GATEWAY_LEAST_MTU} to 65535: GENEVE takes its part of it");
            return Err(Invalid::new("mtu", mtu.value(), expected));
        }
        let place = self.targets.len();
        if let TargetKind::NetworkInterface(id) = &target.kind
            && let Some(session) = self.sessions_of(id).next()
        {
            let expected = format!(
                "an interface that is no source, but it is that of {}",
                describe_session(session)
            );
            return Err(Invalid::new("network_interface_id", id, expected));
        }
        self.names.add_target(&target, place);
        self.targets.push(target);
        Ok(())
    }

    /// Adds a filter.
    ///
    /// # Errors
    /// [`Invalid`] where its id is taken.
    pub fn add_filter(&mut self, filter: Filter) -> Result<(), Invalid> {
        unique("traffic_mirror_filter_id", filter.id(), &self.names.filters, "filter")?;
        self.names.filters.insert(filter.id().clone(), self.filters.len());
        self.filters.push(Arc::new(filter));
        Ok(())
    }

    /// Puts a filter in the place of the one that has its id; sessions that refer to it go on with
    /// this one.
    ///
    /// # Errors
    /// [`Invalid`] where no filter has that id.
    pub fn replace_filter(&mut self, filter: Filter) -> Result<(), Invalid> {
        let place = self.names.filters.get(filter.id());
        match place.and_then(|place| self.filters.get_mut(*place)) {
            Some(known) => *known = Arc::new(filter),
            None => {
                let expected = "the id of a filter";
                return Err(Invalid::new("traffic_mirror_filter_id", filter.id(), expected));
            }
        }
        Ok(())
    }

    /// Adds a session, whose interface, target and filter are added before.
    ///
    /// # Errors
    /// [`Invalid`] where one of these is not there, the id is taken, the interface has a session
    /// of the same SessionNumber, or the interface is itself that of a target ("in use by
    /// target", as AWS says).
    pub fn add_session(&mut self, session: Session) -> Result<(), Invalid> {
        let Session { network_interface_id, target_id, filter_id, .. } = &session;
        let faults =
            self.reference_faults(Some(network_interface_id), Some(target_id), Some(filter_id));
        if let Some(fault) = faults.into_iter().next() {
            return Err(fault);
        }
        if let Some(id) = &session.id {
            unique("traffic_mirror_session_id", id, &self.names.sessions, "session")?;
        }
        self.number_is_free(&session)?;
        self.names.add_session(&session, self.sessions.len());
        self.sessions.push(session);
        Ok(())
    }

    /// The network interfaces, in the order in which they were added.
    #[must_use]
    pub fn network_interfaces(&self) -> &[NetworkInterface] {
        &self.network_interfaces
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
        self.names.network_interfaces.get(id).and_then(|i| self.network_interfaces.get(*i))
    }

    /// The network interface of that id, to be changed in all but its id.
    pub fn network_interface_mut(
        &mut self,
        id: &NetworkInterfaceId,
    ) -> Option<&mut NetworkInterface> {
        self.names.network_interfaces.get(id).and_then(|i| self.network_interfaces.get_mut(*i))
    }

    /// The target of that id.
    #[must_use]
    pub fn target(&self, id: &TargetId) -> Option<&Target> {
        self.names.targets.get(id).and_then(|i| self.targets.get(*i))
    }

    /// The filter of that id.
    #[must_use]
    pub fn filter(&self, id: &FilterId) -> Option<&Arc<Filter>> {
        self.names.filters.get(id).and_then(|i| self.filters.get(*i))
    }

    /// The session of that id.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<&Session> {
        self.names.sessions.get(id).and_then(|i| self.sessions.get(*i))
    }

    /// The sessions whose source is that network interface, in no order.
    pub fn sessions_of(&self, id: &NetworkInterfaceId) -> impl Iterator<Item = &Session> {
        let places = self.names.sources.get(id).into_iter().flatten();
        places.filter_map(|place| self.sessions.get(*place))
    }

    /// The sessions that send their copies to that target, in no order.
    pub fn sessions_to(&self, id: &TargetId) -> impl Iterator<Item = &Session> {
        let places = self.names.target_users.get(id).into_iter().flatten();
        places.filter_map(|place| self.sessions.get(*place))
    }

    /// The sessions that ask that filter, in no order.
    pub fn sessions_by(&self, id: &FilterId) -> impl Iterator<Item = &Session> {
        let places = self.names.filter_users.get(id).into_iter().flatten();
        places.filter_map(|place| self.sessions.get(*place))
    }

    /// Where the copies for `target` go: its own address, or the first one of the network
    /// interface that it names, at that interface's `target_port` or the port of VXLAN. Every
    /// target that was added has one.
    #[must_use]
    pub fn target_address(&self, target: &Target) -> Option<SocketAddr> {
        if target.address.is_some() {
            return target.address;
        }
        let TargetKind::NetworkInterface(id) = &target.kind else { return None };
        let interface = self.network_interface(id)?;
        let first = interface.private_ip_addresses.first()?;
        Some(SocketAddr::new(*first, interface.target_port.unwrap_or(VXLAN_PORT)))
    }

    /// All addresses that copies for `target` may go to; several of a load balancer.
    pub fn target_addresses(&self, target: &Target) -> impl Iterator<Item = SocketAddr> {
        self.target_address(target).into_iter().chain(target.further_addresses.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eni(name: &str) -> NetworkInterfaceId {
        NetworkInterfaceId::new(name).unwrap()
    }

    fn registry() -> Registry {
        let mut registry = Registry::default();
        registry.add_network_interface(NetworkInterface::new(eni("web"))).unwrap();
        let mut collector = NetworkInterface::new(eni("collector"));
        collector.private_ip_addresses.push("192.0.2.10".parse().unwrap());
        registry.add_network_interface(collector).unwrap();
        let kind = TargetKind::NetworkInterface(eni("collector"));
        registry.add_target(Target::new(TargetId::new("t").unwrap(), kind)).unwrap();
        registry.add_filter(Filter::accept_all(FilterId::new("f").unwrap())).unwrap();
        registry
    }

    fn session(interface: &str, number: i64, filter: &str, target: &str) -> Session {
        Session::new(
            eni(interface),
            SessionNumber::new(number).unwrap(),
            FilterId::new(filter).unwrap(),
            TargetId::new(target).unwrap(),
        )
    }

    #[test]
    fn the_address_of_a_target_may_come_from_its_interface() {
        let registry = registry();
        let address = registry.target_address(&registry.targets()[0]).unwrap();
        assert_eq!(address.to_string(), "192.0.2.10:4789");
    }

    #[test]
    fn a_target_without_an_address_says_where_one_may_come_from() {
        let mut registry = registry();
        let id = TargetId::new("u").unwrap();
        for (kind, expected) in [
            (TargetKind::Address, "the network_interface_id of one"),
            (TargetKind::NetworkInterface(eni("web")), "of the network interface `web` it names"),
            (TargetKind::NetworkInterface(eni("x")), "a [[network_interface]] `x` with"),
            (TargetKind::NetworkLoadBalancer("arn".into()), "stands in for the load balancer"),
        ] {
            let refused = registry.add_target(Target::new(id.clone(), kind)).unwrap_err();
            assert_eq!(refused.field, "address");
            assert!(refused.expected.contains(expected), "{refused}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let mut registry = registry();
        for (wrong, message) in [
            (
                session("wbe", 1, "f", "t"),
                "network_interface_id `wbe`: expected the id of a network interface: \
                 `web` or `collector`",
            ),
            (
                session("web", 1, "g", "t"),
                "traffic_mirror_filter_id `g`: expected the id of a filter: `f`",
            ),
            (
                session("web", 1, "f", "u"),
                "traffic_mirror_target_id `u`: expected the id of a target: `t`",
            ),
        ] {
            assert_eq!(registry.add_session(wrong).unwrap_err().to_string(), message);
        }
        assert!(registry.sessions().is_empty());
    }

    #[test]
    fn a_session_number_is_given_once_on_each_interface() {
        let mut registry = registry();
        registry.add_network_interface(NetworkInterface::new(eni("db"))).unwrap();
        registry.add_session(session("web", 1, "f", "t")).unwrap();
        registry.add_session(session("db", 1, "f", "t")).unwrap();
        registry.add_session(session("web", 2, "f", "t")).unwrap();
        assert_eq!(
            registry.add_session(session("web", 1, "f", "t")).unwrap_err().to_string(),
            "session_number `1`: expected a number that no other session of `web` has, \
             but session 1 of `web` has it"
        );
    }

    #[test]
    fn an_interface_is_not_source_and_target_at_once() {
        let mut registry = registry();
        let refused = registry.add_session(session("collector", 1, "f", "t")).unwrap_err();
        assert!(refused.expected.contains("in use by target `t`"), "{refused}");
        registry.add_session(session("web", 1, "f", "t")).unwrap();
        let kind = TargetKind::NetworkInterface(eni("web"));
        let mut target = Target::new(TargetId::new("u").unwrap(), kind);
        target.address = "192.0.2.11:4789".parse().ok();
        let refused = registry.add_target(target).unwrap_err();
        assert!(refused.expected.contains("session 1 of `web`"), "{refused}");
    }

    #[test]
    fn ids_are_given_once() {
        let mut registry = registry();
        assert!(registry.add_network_interface(NetworkInterface::new(eni("web"))).is_err());
        assert!(registry.add_filter(Filter::new(FilterId::new("f").unwrap())).is_err());
        let address = "192.0.2.10:4789".parse().unwrap();
        assert!(registry.add_target(Target::at(TargetId::new("t").unwrap(), address)).is_err());
        let named = |number| Session {
            id: Some(SessionId::new("s").unwrap()),
            ..session("web", number, "f", "t")
        };
        registry.add_session(named(1)).unwrap();
        assert_eq!(registry.add_session(named(2)).unwrap_err().field, "traffic_mirror_session_id");
        assert_eq!(registry.session(&SessionId::new("s").unwrap()).unwrap().number.value(), 1);
    }

    #[test]
    fn accept_all_is_one_session() {
        let length = PacketLength::new(100).unwrap();
        let registry = Registry::accept_all("192.0.2.1:4789".parse().unwrap(), None, Some(length));
        assert_eq!(registry.sessions().len(), 1);
        assert_eq!(registry.sessions()[0].packet_length, Some(length));
        assert_eq!(registry.filters()[0].all_rules().len(), 4);
    }
}
