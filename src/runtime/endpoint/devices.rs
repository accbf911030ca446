//! Lists the devices of this host as network interfaces of the account.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::IpAddr;

use crate::control::Registry;
use crate::control::account::{Account, HostDevices, InactiveTarget};
use crate::io::links::Link;
use crate::model::{NetworkInterface, NetworkInterfaceId};

/// The changes since the devices of this host were last read.
#[derive(Debug, Default)]
pub(super) struct DeviceChanges {
    /// A sentence for each source or target whose addresses changed.
    pub(super) notes: Vec<String>,
    /// The targets whose address is forbidden from now on.
    pub(super) inactive: Vec<InactiveTarget>,
}

/// Updates the network interfaces of the account and checks the targets again.
pub(super) fn update_devices(account: &mut Account, links: &[Link]) -> DeviceChanges {
    let notes = list_devices(account.registry_mut(), links);
    let mut devices = HostDevices::default();
    for link in links {
        devices.add(&link.name, link.is_loopback, &link.addresses, &link.broadcasts);
    }
    DeviceChanges { notes, inactive: account.set_devices(devices) }
}

/// Adds a network interface for every Ethernet device except loopback, and removes the unused ones
/// of devices that are gone. A network interface that is in the configuration keeps its values,
/// except its Ethernet address, and its IP addresses if the configuration has none. Returns a
/// sentence for each source or target whose addresses changed.
pub(super) fn list_devices(registry: &mut Registry, links: &[Link]) -> Vec<String> {
    remove_gone(registry, links);
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let known: HashMap<String, NetworkInterfaceId> = registry
        .network_interfaces()
        .iter()
        .filter_map(|one| Some((one.device.clone()?, one.id().clone())))
        .collect();
    for id in known.values() {
        if let Some(interface) = registry.network_interface_mut(id) {
            interface.is_down = true;
        }
    }
    let mut notes = Vec::new();
    let is_source = |link: &&Link| !link.is_loopback && link.is_ethernet;
    for link in links.iter().filter(|link| is_source(link) || known.contains_key(&link.name)) {
        let id = known.get(&link.name).cloned().unwrap_or_else(|| {
            let id = device_id(machine.trim(), link);
            let mut interface = NetworkInterface::new(id.clone());
            interface.device = Some(link.name.clone());
            interface.is_discovered = true;
            // This fails if the ID exists under an earlier device name, which then stays.
            let _ = registry.add_network_interface(interface);
            id
        });
        let is_listed = id == device_id(machine.trim(), link);
        let is_used =
            registry.sessions_of(&id).next().is_some() || registry.targets_at(&id).next().is_some();
        if let Some(interface) = registry.network_interface_mut(&id)
            && let Some(note) = update(interface, link, is_listed)
        {
            registry.touch_network_interface(&id);
            notes.extend(Some(note).filter(|_| is_used));
        }
    }
    notes
}

/// Removes the network interfaces that were added for a device which is gone, so that devices with
/// random names do not fill the registry. Those that a session or target refers to stay.
fn remove_gone(registry: &mut Registry, links: &[Link]) {
    let names: HashSet<&str> = links.iter().map(|link| &*link.name).collect();
    let has_device =
        |one: &NetworkInterface| one.device.as_deref().is_some_and(|name| names.contains(name));
    let interfaces = registry.network_interfaces().iter();
    let gone = interfaces.filter(|one| one.is_discovered && !has_device(one));
    let gone: Vec<NetworkInterfaceId> = gone.map(|one| one.id().clone()).collect();
    for id in gone {
        // This fails if a session or target refers to it.
        let _ = registry.remove_network_interface(&id);
    }
}

/// Updates a network interface from its device. Returns a sentence if its addresses changed.
fn update(interface: &mut NetworkInterface, link: &Link, is_listed: bool) -> Option<String> {
    if interface.pin.mac_address.is_none() {
        interface.mac_address = link.mac;
    }
    interface.is_down = !link.is_running;
    if is_listed {
        let kind = link.kind.as_deref().unwrap_or(&link.link_layer);
        interface.description = Some(format!("Linux device {} ({kind})", link.name));
    }
    interface.has_device_addresses |= is_listed || interface.private_ip_addresses.is_empty();
    // Copies from a loopback address cannot reach other hosts, so the routes select their source.
    let is_pinned = interface.pin.private_ip_addresses.is_some();
    let follows = interface.has_device_addresses && !is_pinned && !link.is_loopback;
    if !follows || interface.private_ip_addresses == link.addresses {
        return None;
    }
    let before = std::mem::replace(&mut interface.private_ip_addresses, link.addresses.clone());
    let text = |addresses: &[IpAddr]| match addresses {
        [] => "none".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    Some(format!(
        "the addresses of {} ({}) changed from {} to {}",
        link.name,
        interface.id(),
        text(&before),
        text(&link.addresses)
    ))
}

/// The ID of a device: `eni-` and 17 hexadecimal digits of a hash of machine ID, device name and
/// permanent Ethernet address. It is the same after a restart.
fn device_id(machine: &str, link: &Link) -> NetworkInterfaceId {
    let mac = link.permanent_mac.or(link.mac).map(|mac| mac.octets()).unwrap_or_default();
    let bytes = machine.bytes().chain([0]).chain(link.name.bytes()).chain([0]).chain(mac);
    // FNV-1a with 128 bits (draft-eastlake-fnv), because its result never changes.
    let hash = bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    NetworkInterfaceId::from_seed(hash ^ hash >> 68)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::account::{Caller, DEFAULT_OWNER, Quotas, TargetResolver};
    use crate::model::{Filter, FilterId, Session, SessionId, SessionNumber, Target, TargetId};

    fn veth(name: &str) -> Link {
        Link {
            index: 7,
            name: name.to_owned(),
            mac: None,
            permanent_mac: None,
            mtu: 1500,
            is_up: true,
            is_running: true,
            is_loopback: false,
            is_ethernet: true,
            resolves_neighbours: true,
            link_layer: "ether".to_owned(),
            kind: Some("veth".to_owned()),
            qdisc: None,
            addresses: Vec::new(),
            broadcasts: Vec::new(),
        }
    }

    fn devices(registry: &Registry) -> Vec<&str> {
        registry.network_interfaces().iter().filter_map(|one| one.device.as_deref()).collect()
    }

    /// A registry with a configured interface of `eth9`, and a session of the device `eth0`.
    fn registry() -> Registry {
        let mut registry = Registry::default();
        let mut configured = NetworkInterface::new(NetworkInterfaceId::new("eni-9").unwrap());
        configured.device = Some("eth9".to_owned());
        registry.add_network_interface(configured).unwrap();
        let target = Target::at(TargetId::new("t").unwrap(), ([192, 0, 2, 9], 4789).into());
        registry.add_target(target.clone()).unwrap();
        let filter = Filter::accept_all(FilterId::new("f").unwrap());
        registry.add_filter(filter.clone()).unwrap();
        list_devices(&mut registry, &[veth("eth0")]);
        let source = registry.network_interfaces()[1].id().clone();
        let (filter, target) = (filter.id().clone(), target.id().clone());
        let mut session = Session::new(source, SessionNumber::MIN, filter, target);
        session.id = SessionId::new("s").ok();
        registry.add_session(session).unwrap();
        registry
    }

    #[test]
    fn unused_interfaces_of_devices_that_are_gone_are_removed() {
        let mut registry = registry();
        for number in 0..1000 {
            list_devices(&mut registry, &[veth(&format!("veth{number}")), veth("eth1")]);
        }
        let mut names = devices(&registry);
        names.sort_unstable();
        assert_eq!(names, ["eth0", "eth1", "eth9", "veth999"]);
        registry.remove_session(&SessionId::new("s").unwrap());
        list_devices(&mut registry, &[]);
        assert_eq!(devices(&registry), ["eth9"]);
    }

    #[test]
    fn a_deleted_session_of_the_state_file_leaves_no_interface() {
        let link = [veth("veth0")];
        let empty = || {
            let mut registry = Registry::default();
            let target = Target::at(TargetId::new("t").unwrap(), ([192, 0, 2, 9], 4789).into());
            registry.add_target(target).unwrap();
            registry.add_filter(Filter::accept_all(FilterId::new("f").unwrap())).unwrap();
            Account::new(registry, Quotas::default(), TargetResolver::default(), || 1)
        };
        let mut earlier = empty();
        update_devices(&mut earlier, &link);
        let caller = Caller { owner: DEFAULT_OWNER, is_dry_run: false, now_s: 0 };
        let request = crate::control::account::CreateSession {
            network_interface_id: earlier.registry().network_interfaces()[0].id().to_string(),
            target_id: "t".to_owned(),
            filter_id: "f".to_owned(),
            number: SessionNumber::MIN,
            packet_length: None,
            virtual_network_id: None,
            description: None,
            tags: Default::default(),
            client_token: None,
        };
        let id = earlier.create_session(&caller, request).unwrap();
        let records = earlier.take_changes().unwrap();
        let records = records.into_iter().filter_map(|one| Some((one.key, one.text?)));
        let mut account = empty();
        account.restore(records).unwrap();
        update_devices(&mut account, &[]);
        assert_eq!(devices(account.registry()), ["veth0"]);
        account.delete_session(&caller, id.as_str()).unwrap();
        update_devices(&mut account, &[]);
        assert_eq!(devices(account.registry()), Vec::<&str>::new());
    }
}
