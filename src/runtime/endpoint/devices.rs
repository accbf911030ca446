//! Lists the devices of this host as network interfaces of the account.

use std::collections::HashMap;
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

/// Adds a network interface for every Ethernet device except loopback. A network interface that is
/// in the configuration keeps its values, except its Ethernet address, and its IP addresses if the
/// configuration has none. Returns a sentence for each source or target whose addresses changed.
pub(super) fn list_devices(registry: &mut Registry, links: &[Link]) -> Vec<String> {
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

/// Updates a network interface from its device. Returns a sentence if its addresses changed.
fn update(interface: &mut NetworkInterface, link: &Link, is_listed: bool) -> Option<String> {
    interface.mac_address = link.mac;
    interface.is_down = !link.is_running;
    if is_listed {
        let kind = link.kind.as_deref().unwrap_or(&link.link_layer);
        interface.description = Some(format!("Linux device {} ({kind})", link.name));
    }
    interface.has_device_addresses |= is_listed || interface.private_ip_addresses.is_empty();
    // Copies from a loopback address cannot reach other hosts, so the routes select their source.
    let follows = interface.has_device_addresses && !link.is_loopback;
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
