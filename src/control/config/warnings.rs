//! Warnings about a valid configuration.

use std::collections::{HashMap, HashSet};

use super::collector::ProblemCollector;
use super::document::SourcePosition;
use crate::control::Registry;
use crate::model::{
    ADDRESS_TAG, FilterId, NetworkInterface, NetworkInterfaceId, Session, Target, TargetId,
    TargetKind,
};

/// The positions of the resources of a registry, each kind in the order of the registry.
#[derive(Default)]
pub(super) struct ResourcePositions {
    pub(super) network_interfaces: Vec<SourcePosition>,
    pub(super) targets: Vec<SourcePosition>,
    pub(super) filters: Vec<SourcePosition>,
    pub(super) sessions: Vec<SourcePosition>,
}

/// Reports warnings about `registry`.
pub(super) fn warn(
    registry: &Registry,
    positions: &ResourcePositions,
    out: &mut ProblemCollector<'_>,
) {
    if registry.sessions().is_empty() && !out.has_no_text() {
        out.report_warning(
            SourcePosition { text: 0, offset: 0 },
            "there is no session, so nothing is mirrored",
        );
    }
    let used = ReferencedIds::by(registry.sessions());
    warn_about_interfaces(registry, positions, &used, out);
    for (target, position) in registry.targets().iter().zip(&positions.targets) {
        if !used.targets.contains(target.id()) {
            out.report_warning(*position, format!("no session uses the target `{}`", target.id()));
        }
    }
    warn_about_addresses(registry, positions, out);
    for (filter, position) in registry.filters().iter().zip(&positions.filters) {
        if !used.filters.contains(filter.id()) {
            out.report_warning(*position, format!("no session uses the filter `{}`", filter.id()));
        } else if filter.all_rules().is_empty() && !filter.amazon_dns {
            out.report_warning(
                *position,
                format!("the filter `{}` has no rules: it mirrors nothing", filter.id()),
            );
        }
    }
    let mut reported = HashSet::new();
    for (session, position) in registry.sessions().iter().zip(&positions.sessions) {
        let is_new = reported.insert((&session.network_interface_id, &session.target_id));
        if let Some(message) = no_source_address(registry, session).filter(|_| is_new) {
            out.report_warning(*position, message);
        }
    }
}

/// The ids that sessions refer to.
struct ReferencedIds<'r> {
    sources: HashSet<&'r NetworkInterfaceId>,
    targets: HashSet<&'r TargetId>,
    filters: HashSet<&'r FilterId>,
}

impl<'r> ReferencedIds<'r> {
    fn by(sessions: &'r [Session]) -> Self {
        Self {
            sources: sessions.iter().map(|session| &session.network_interface_id).collect(),
            targets: sessions.iter().map(|session| &session.target_id).collect(),
            filters: sessions.iter().map(|session| &session.filter_id).collect(),
        }
    }
}

/// Warns of targets without an address.
fn warn_about_addresses(
    registry: &Registry,
    positions: &ResourcePositions,
    out: &mut ProblemCollector<'_>,
) {
    for (target, position) in registry.targets().iter().zip(&positions.targets) {
        if registry.target_address(target).is_none() {
            out.report_no_address(*position, target.id().clone(), address_hint(target));
        }
    }
}

/// What a target names, and the keys and options that supply its address.
fn address_hint(target: &Target) -> String {
    let (named, option) = match &target.kind {
        TargetKind::Address => return String::new(),
        TargetKind::NetworkInterface(id) => (
            format!("the network interface `{id}`"),
            format!("private_ip_addresses of a [[network_interface]] `{id}` in a TOML file"),
        ),
        TargetKind::NetworkLoadBalancer(arn) => {
            (format!("the load balancer `{arn}`"), String::from("--load-balancer NAME=ADDRESS"))
        }
        TargetKind::GatewayLoadBalancerEndpoint(id) => {
            (format!("the endpoint `{id}`"), format!("--gwlb-endpoint {id}=ADDRESS"))
        }
    };
    format!(
        "no address is known for {named}; set it with {option}, with --default-target ADDRESS, with \
         the tag {ADDRESS_TAG}, or with `address` in a [[traffic_mirror_target]] of this id in a TOML \
         file"
    )
}

fn warn_about_interfaces(
    registry: &Registry,
    positions: &ResourcePositions,
    used: &ReferencedIds<'_>,
    out: &mut ProblemCollector<'_>,
) {
    let collectors: HashSet<&NetworkInterfaceId> = registry
        .targets()
        .iter()
        .filter_map(|target| match &target.kind {
            TargetKind::NetworkInterface(id) => Some(id),
            _ => None,
        })
        .collect();
    let is_alone = registry.network_interfaces().len() == 1;
    let mut owners: HashMap<String, &NetworkInterfaceId> = HashMap::new();
    for (interface, position) in
        registry.network_interfaces().iter().zip(&positions.network_interfaces)
    {
        let id = interface.id();
        if !used.sources.contains(id) {
            if !collectors.contains(id) && !registry.sessions().is_empty() {
                out.report_warning(
                    *position,
                    format!("no session mirrors the network interface `{id}`"),
                );
            }
            continue;
        }
        if !is_alone && interface.device.is_none() && addresses_of(interface).next().is_none() {
            let message = format!(
                "the network interface `{id}` has neither mac_address nor private_ip_addresses: \
                 no replayed frame is attributed to it"
            );
            out.report_warning(*position, message);
        }
        for address in addresses_of(interface) {
            let owner = *owners.entry(address.clone()).or_insert(id);
            if owner != id {
                let message = format!(
                    "the network interfaces `{owner}` and `{id}` both have {address}: a frame with \
                     this address belongs to both"
                );
                out.report_warning(*position, message);
            }
        }
    }
}

/// The MAC and IP addresses that identify frames of the interface.
fn addresses_of(interface: &NetworkInterface) -> impl Iterator<Item = String> {
    let mac = interface.mac_address.iter().map(ToString::to_string);
    mac.chain(interface.private_ip_addresses.iter().map(ToString::to_string))
}

/// The warning that copies have no source address. In live mode the kernel selects an address.
fn no_source_address(registry: &Registry, session: &Session) -> Option<String> {
    let interface = registry.network_interface(&session.network_interface_id)?;
    let to = registry.target_address(registry.target(&session.target_id)?)?;
    if interface.device.is_some() || interface.source_address_for(to.ip()).is_some() {
        return None;
    }
    let family = if to.is_ipv4() { "IPv4" } else { "IPv6" };
    let (id, target) = (interface.id(), &session.target_id);
    Some(format!(
        "the network interface `{id}` has no {family} source address for copies to `{target}`"
    ))
}
