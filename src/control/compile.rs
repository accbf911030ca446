//! Compiles a registry to a mirror table: replaces ids by indices, sorts sessions by SessionNumber,
//! and fills in defaults, so that the data plane makes none of these decisions per packet.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::Registry;
use super::derived_ids::{derived_session_id, fnv_1a, hash};
use crate::dataplane::{
    CompiledSession, CompiledTarget, GENEVE_OVERHEAD_LEN, InterfaceIndex, LoopGuard, MirrorTable,
    TableParts, TargetIndex,
};
use crate::model::{
    NetworkInterfaceId, PacketLength, Session, Target, TargetKind, VirtualNetworkId,
};

/// The options of compilation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompileOptions {
    /// The seed of random network identifiers. The same seed gives the same identifiers.
    pub seed: u64,
    /// The outer source address if the network interface has none of the target's family. Without
    /// it, an address reserved for documentation: 192.0.2.1 (RFC 5737) or 2001:db8::1 (RFC 3849).
    pub source_address: Option<IpAddr>,
    /// Whether the table is for live interfaces. The table then recognises its own copies on their
    /// way to a target, and the kernel selects the outer source address if the network interface
    /// has none.
    pub is_live: bool,
}

/// The MTU of a Gateway Load Balancer endpoint (user guide): the longest IP packet that GENEVE
/// carries, in bytes.
const GATEWAY_LOAD_BALANCER_MTU: u16 = 8500;

/// Compiles all sessions into one table.
#[must_use]
pub fn compile(registry: &Registry, options: &CompileOptions) -> MirrorTable {
    MirrorTable::new(parts(registry, options))
}

/// Compiles all sessions into one table and reuses unchanged parts of an earlier one. The time for
/// a few changed rules does not depend on the number of rules. [`MirrorTable::fully_compiled`]
/// later makes the table as fast as a new one.
#[must_use]
pub fn recompile(
    registry: &Registry,
    options: &CompileOptions,
    earlier: &MirrorTable,
) -> MirrorTable {
    MirrorTable::reusing(parts(registry, options), earlier)
}

/// The same registry, in which each session without a network identifier gets the one that
/// [`compile`] assigns to it.
#[must_use]
pub fn with_network_ids(mut registry: Registry, seed: u64) -> Registry {
    let mut network_ids = NetworkIdAllocator::new(&registry, seed);
    registry.assign_network_ids(|session| network_ids.assign(session));
    registry
}

/// The parts of a table with one interface, which has index 0: its sessions and their targets. The
/// caller has assigned a network identifier to every session.
pub(super) fn parts_of_interface(
    registry: &Registry,
    options: &CompileOptions,
    id: &NetworkInterfaceId,
) -> Option<TableParts> {
    let interface = registry.network_interface(id)?;
    let mut ordered: Vec<&Session> = registry.sessions_of(id).collect();
    ordered.sort_by_key(|one| one.number);
    let mut targets: Vec<&Target> = Vec::new();
    for target in ordered.iter().filter_map(|session| registry.target(&session.target_id)) {
        if targets.iter().all(|known| known.id() != target.id()) {
            targets.push(target);
        }
    }
    let ids = targets.iter().map(|target| target.id());
    let indices: HashMap<_, _> =
        TargetIndex::enumerate(ids).map(|(index, id)| (id, index)).collect();
    let sessions = ordered.into_iter().filter_map(|session| {
        let target = *indices.get(&session.target_id)?;
        let network_id = session.virtual_network_id.unwrap_or(VirtualNetworkId::MAX);
        session_entry(registry, options, session, network_id, (InterfaceIndex::FIRST, target))
    });
    Some(TableParts {
        settings: registry.settings().clone(),
        loop_guard: None,
        sessions: sessions.collect(),
        interfaces: vec![Arc::new(interface.clone())],
        targets: targets.into_iter().map(|one| target_entry(registry, one)).collect(),
    })
}

fn parts(registry: &Registry, options: &CompileOptions) -> TableParts {
    let interfaces = InterfaceIndex::enumerate(registry.network_interfaces());
    let interfaces: HashMap<_, _> = interfaces.map(|(index, one)| (one.id(), index)).collect();
    let targets = TargetIndex::enumerate(registry.targets());
    let targets: HashMap<_, _> = targets.map(|(index, one)| (one.id(), index)).collect();
    let mut network_ids = NetworkIdAllocator::new(registry, options.seed);
    let mut ordered: Vec<&Session> = registry.sessions().iter().collect();
    ordered.sort_by_key(|one| (interfaces.get(&one.network_interface_id), one.number));
    let sessions = ordered.into_iter().filter_map(|session| {
        let interface = *interfaces.get(&session.network_interface_id)?;
        let target = *targets.get(&session.target_id)?;
        let network_id = network_ids.assign(session);
        session_entry(registry, options, session, network_id, (interface, target))
    });
    let sessions = sessions.collect();
    let targets: Vec<CompiledTarget> =
        registry.targets().iter().map(|one| target_entry(registry, one)).collect();
    TableParts {
        settings: registry.settings().clone(),
        loop_guard: options.is_live.then(|| Arc::new(LoopGuard::new(targets.iter()))),
        sessions,
        interfaces: registry.network_interfaces().iter().cloned().map(Arc::new).collect(),
        targets,
    }
}

fn session_entry(
    registry: &Registry,
    options: &CompileOptions,
    session: &Session,
    virtual_network_id: VirtualNetworkId,
    (interface, target): (InterfaceIndex, TargetIndex),
) -> Option<CompiledSession> {
    let target_resource = registry.target(&session.target_id)?;
    // Copies for a target without an address have no outer header, so their source is irrelevant.
    let peer = registry.target_address(target_resource).map(|address| address.ip());
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let own_address = registry
        .network_interface(&session.network_interface_id)
        .and_then(|interface| interface.source_address_for(peer));
    Some(CompiledSession {
        id: session.id.clone().unwrap_or_else(|| derived_session_id(session)),
        number: session.number,
        interface,
        target,
        filter: Arc::clone(registry.filter(&session.filter_id)?),
        packet_length: session.packet_length.or_else(|| default_packet_length(target_resource)),
        rate_limit: session.rate_limit,
        virtual_network_id,
        source_address: own_address.unwrap_or_else(|| placeholder_source(peer, options)),
    })
}

fn target_entry(registry: &Registry, target: &Target) -> CompiledTarget {
    let mut addresses = registry.target_addresses(target);
    let address = addresses.next();
    let gateway_endpoint = match &target.kind {
        TargetKind::GatewayLoadBalancerEndpoint(id) => Some(endpoint_id(id)),
        _ => None,
    };
    let [ipv4, ipv6] = GENEVE_OVERHEAD_LEN;
    let overhead_len = if address.is_none_or(|address| address.is_ipv4()) { ipv4 } else { ipv6 };
    let overhead_len = u16::try_from(overhead_len).unwrap_or_default();
    let default_mtu = gateway_endpoint.map(|_| GATEWAY_LOAD_BALANCER_MTU + overhead_len);
    CompiledTarget {
        id: target.id().clone(),
        address,
        further_addresses: addresses.collect(),
        gateway_endpoint,
        mtu: target.mtu.map(|mtu| mtu.value()).or(default_mtu),
        rate_limit: target.rate_limit,
    }
}

/// The last 16 hex digits of `vpce-...`, or a hash (FNV-1a) of any other name.
fn endpoint_id(name: &str) -> u64 {
    let digits = name.strip_prefix("vpce-").unwrap_or_default();
    let last = digits.get(digits.len().saturating_sub(16)..).unwrap_or_default();
    u64::from_str_radix(last, 16).unwrap_or_else(|_| fnv_1a(name.bytes()))
}

/// "For sessions with Network Load Balancer (NLB) Traffic Mirror targets the default PacketLength
/// will be set to 8500" (EC2 API).
const fn default_packet_length(target: &Target) -> Option<PacketLength> {
    match target.kind {
        TargetKind::NetworkLoadBalancer(_) => Some(PacketLength::MAX),
        _ => None,
    }
}

/// The outer source address of a network interface that has none of the family of `peer`.
fn placeholder_source(peer: IpAddr, options: &CompileOptions) -> IpAddr {
    let configured = options.source_address.filter(|own| own.is_ipv4() == peer.is_ipv4());
    configured.unwrap_or(match peer {
        IpAddr::V4(_) if options.is_live => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) if options.is_live => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    })
}

/// Assigns network identifiers: "If you do not specify a VirtualNetworkId, an account-wide unique
/// ID is chosen at random" (EC2 API).
struct NetworkIdAllocator {
    seed: u64,
    taken: HashSet<u32>,
}

impl NetworkIdAllocator {
    fn new(registry: &Registry, seed: u64) -> Self {
        let given = registry.sessions().iter().filter_map(|session| session.virtual_network_id);
        Self { seed, taken: given.map(VirtualNetworkId::value).collect() }
    }

    /// The identifier of the session, or one that depends on the seed, the interface and the
    /// session number, so that it does not change when another session is added to the file.
    fn assign(&mut self, session: &Session) -> VirtualNetworkId {
        if let Some(given) = session.virtual_network_id {
            return given;
        }
        let mut drawn =
            hash(self.seed, session.network_interface_id.as_str(), session.number.value());
        // There are far fewer sessions than identifiers, so a free one is always found.
        for _ in 0..=VirtualNetworkId::MAX.value() {
            let [.., a, b, c] = drawn.to_be_bytes();
            let candidate = u32::from_be_bytes([0, a, b, c]);
            if candidate != 0 && self.taken.insert(candidate) {
                return VirtualNetworkId::new(candidate).unwrap_or(VirtualNetworkId::MAX);
            }
            drawn = drawn.wrapping_add(1);
        }
        VirtualNetworkId::MAX
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::dataplane::SessionIndex;
    use crate::model::{Filter, FilterId, NetworkInterface, SessionNumber, TargetId};

    fn registry(numbers: &[i64], kind: TargetKind) -> Registry {
        let address = Some(([192, 0, 2, 10], 4789).into());
        registry_with_target(numbers, kind, address)
    }

    fn registry_with_target(
        numbers: &[i64],
        kind: TargetKind,
        address: Option<SocketAddr>,
    ) -> Registry {
        let mut registry = Registry::new(Default::default());
        let interface = NetworkInterfaceId::new("eni-1").unwrap();
        registry.add_network_interface(NetworkInterface::new(interface.clone())).unwrap();
        let mut target = Target::new(TargetId::new("tmt-1").unwrap(), kind);
        target.address = address;
        registry.add_target(target.clone()).unwrap();
        let filter = Filter::accept_all(FilterId::new("tmf-1").unwrap());
        registry.add_filter(filter.clone()).unwrap();
        for number in numbers {
            let number = SessionNumber::new(*number).unwrap();
            let (filter, target) = (filter.id().clone(), target.id().clone());
            registry.add_session(Session::new(interface.clone(), number, filter, target)).unwrap();
        }
        registry
    }

    #[test]
    fn sessions_are_evaluated_in_the_order_of_their_numbers() {
        let table =
            compile(&registry(&[30, 10, 20], TargetKind::Address), &CompileOptions::default());
        let numbers: Vec<u16> = table.sessions().iter().map(|one| one.number.value()).collect();
        assert_eq!(numbers, [10, 20, 30]);
    }

    #[test]
    fn generated_network_ids_depend_on_the_seed_and_are_stable() {
        let registry = registry(&[1, 2], TargetKind::Address);
        let drawn = |seed| {
            let table = compile(&registry, &CompileOptions { seed, ..Default::default() });
            table.sessions().iter().map(|one| one.virtual_network_id.value()).collect::<Vec<_>>()
        };
        assert_eq!(drawn(0), drawn(0));
        assert_ne!(drawn(0), drawn(1));
        assert_eq!(drawn(0), [13_727_677, 14_478_032]);
    }

    #[test]
    fn the_sessions_of_a_target_without_an_address_stay_in_the_table() {
        let arn = TargetKind::NetworkLoadBalancer("arn".to_owned());
        for is_live in [false, true] {
            let options = CompileOptions { is_live, ..Default::default() };
            let table = compile(&registry_with_target(&[1, 2], arn.clone(), None), &options);
            assert_eq!((table.sessions().len(), table.targets()[0].address), (2, None));
            assert!(!table.has_target_address(SessionIndex::FIRST));
        }
        let table = compile(&registry(&[1], arn), &CompileOptions::default());
        assert!(table.has_target_address(SessionIndex::FIRST));
    }

    #[test]
    fn load_balancer_targets_have_their_own_length_limits() {
        let arn = TargetKind::NetworkLoadBalancer("arn".to_owned());
        let table = compile(&registry(&[1], arn), &CompileOptions::default());
        assert_eq!(table.sessions()[0].packet_length, Some(PacketLength::MAX));
        let endpoint = TargetKind::GatewayLoadBalancerEndpoint("vpce-1".to_owned());
        let table = compile(&registry(&[1], endpoint), &CompileOptions::default());
        assert_eq!(table.sessions()[0].packet_length, None);
        assert_eq!(table.targets()[0].mtu, Some(8568));
        assert_eq!(table.targets()[0].gateway_endpoint, Some(1));
        assert_eq!(table.max_inner_len(SessionIndex::FIRST), 8464);
    }
}
