//! What is odd about a configuration in which nothing is wrong.

use std::collections::{HashMap, HashSet};

use super::collector::Collector;
use super::document::Place;
use crate::control::Registry;
use crate::model::{FilterId, NetworkInterface, NetworkInterfaceId, Session, TargetId, TargetKind};

/// Where the resources of a registry stand, each kind in the registry's order.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) network_interfaces: Vec<Place>,
    pub(super) targets: Vec<Place>,
    pub(super) filters: Vec<Place>,
    pub(super) sessions: Vec<Place>,
}

/// Says what is odd about `registry`.
pub(super) fn warn(registry: &Registry, seen: &Seen, out: &mut Collector<'_>) {
    if registry.sessions().is_empty() && !out.is_without_text() {
        out.odd(Place { text: 0, offset: 0 }, "there is no session, so nothing is mirrored");
    }
    let used = Used::by(registry.sessions());
    interfaces(registry, seen, &used, out);
    for (target, place) in registry.targets().iter().zip(&seen.targets) {
        if !used.targets.contains(target.id()) {
            out.odd(*place, format!("no session uses the target `{}`", target.id()));
        }
    }
    for (filter, place) in registry.filters().iter().zip(&seen.filters) {
        if !used.filters.contains(filter.id()) {
            out.odd(*place, format!("no session uses the filter `{}`", filter.id()));
        } else if filter.all_rules().is_empty() && !filter.amazon_dns {
            out.odd(*place, format!("the filter `{}` has no rule: it takes nothing", filter.id()));
        }
    }
    let mut told = HashSet::new();
    for (session, place) in registry.sessions().iter().zip(&seen.sessions) {
        let is_news = told.insert((&session.network_interface_id, &session.target_id));
        if let Some(message) = no_source_address(registry, session).filter(|_| is_news) {
            out.odd(*place, message);
        }
    }
}

/// What the sessions name.
struct Used<'r> {
    sources: HashSet<&'r NetworkInterfaceId>,
    targets: HashSet<&'r TargetId>,
    filters: HashSet<&'r FilterId>,
}

impl<'r> Used<'r> {
    fn by(sessions: &'r [Session]) -> Self {
        Self {
            sources: sessions.iter().map(|session| &session.network_interface_id).collect(),
            targets: sessions.iter().map(|session| &session.target_id).collect(),
            filters: sessions.iter().map(|session| &session.filter_id).collect(),
        }
    }
}

fn interfaces(registry: &Registry, seen: &Seen, used: &Used<'_>, out: &mut Collector<'_>) {
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
    for (interface, place) in registry.network_interfaces().iter().zip(&seen.network_interfaces) {
        let id = interface.id();
        if !used.sources.contains(id) {
            if !collectors.contains(id) && !registry.sessions().is_empty() {
                out.odd(*place, format!("no session mirrors the network interface `{id}`"));
            }
            continue;
        }
        if !is_alone && interface.device.is_none() && names_of(interface).next().is_none() {
            let message = format!(
                "the network interface `{id}` has neither mac_address nor private_ip_addresses: \
                 no replayed frame can be told to be its"
            );
            out.odd(*place, message);
        }
        for name in names_of(interface) {
            let owner = *owners.entry(name.clone()).or_insert(id);
            if owner != id {
                let message = format!(
                    "the network interfaces `{owner}` and `{id}` both have {name}: a frame that \
                     bears it belongs to both"
                );
                out.odd(*place, message);
            }
        }
    }
}

/// The addresses that tell which frames are the interface's.
fn names_of(interface: &NetworkInterface) -> impl Iterator<Item = String> {
    let mac = interface.mac_address.iter().map(ToString::to_string);
    mac.chain(interface.private_ip_addresses.iter().map(ToString::to_string))
}

/// Live, the kernel finds an address for the copies by itself.
fn no_source_address(registry: &Registry, session: &Session) -> Option<String> {
    let interface = registry.network_interface(&session.network_interface_id)?;
    let to = registry.target_address(registry.target(&session.target_id)?)?;
    if interface.device.is_some() || interface.source_address_for(to.ip()).is_some() {
        return None;
    }
    let family = if to.is_ipv4() { "IPv4" } else { "IPv6" };
    let (id, target) = (interface.id(), &session.target_id);
    Some(format!("the network interface `{id}` has no {family} address to reach `{target}` from"))
}
