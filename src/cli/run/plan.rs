//! Reads the sessions from files or the command line, and checks that their devices exist and that
//! their copies leave the host.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::flags::{RunFlags, TierFlag};
use crate::cli::exit::Failure;
use crate::cli::terminal;
use crate::control::account::returns_to_device;
use crate::control::{Registry, kernel_fit, with_network_ids};
use crate::io::links::{self, Link};
use crate::model::NetworkInterfaceId;
use crate::runtime::InterfaceNamespace;

/// One interface that is mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
struct MirroredInterface {
    /// Its id in the configuration.
    id: NetworkInterfaceId,
    /// Its Linux device.
    device: String,
}

/// Reads the configuration and checks that its devices exist. One of `in_force`, the devices of the
/// configuration in force, may be absent for some time, which is a warning. Every session of the
/// returned registry has a network identifier.
pub(super) fn read_registry(
    flags: &RunFlags,
    namespace: &InterfaceNamespace,
    in_force: &BTreeSet<String>,
) -> Result<Registry, Failure> {
    let mut registry = registry(flags)?;
    let mirrored = mirrored(&registry)?;
    if mirrored.is_empty() {
        return Err(Failure::usage("the configuration has no session: expected at least one"));
    }
    let links = namespace.run(links::links).map_err(Failure::failed)?;
    for one in &mirrored {
        let Some(link) = links.iter().find(|link| link.name == one.device) else {
            if !in_force.contains(&one.device) {
                return Err(missing_device(one, &links));
            }
            warn_of_absent_device(&one.id, &one.device);
            continue;
        };
        check_target_is_remote(&registry, one, link)?;
        if !link.is_ethernet && !link.is_loopback {
            return Err(Failure::usage(format_args!(
                "device `{}`: expected an Ethernet device, but it is {}",
                one.device, link.link_layer
            )));
        }
        if let Some(interface) = registry.network_interface_mut(&one.id) {
            interface.mac_address = link.mac;
        }
    }
    let registry = with_network_ids(registry, flags.sessions.options().seed);
    check_tier(flags, &registry)?;
    Ok(registry)
}

/// Rejects sessions that the kernel tier cannot mirror if it is required. A reload then keeps the
/// previous configuration.
fn check_tier(flags: &RunFlags, registry: &Registry) -> Result<(), Failure> {
    if flags.tier != TierFlag::Kernel {
        return Ok(());
    }
    let options = flags.sessions.options();
    let mut fit = kernel_fit(registry, &options);
    let refusal = fit.find_map(|(id, fit)| Some((id, fit.err()?)));
    refusal.map_or(Ok(()), |(id, reason)| {
        Err(Failure::usage(format_args!("--tier kernel: network interface `{id}`: {reason}")))
    })
}

/// Checks the resources with which an endpoint starts: every network interface that has a session
/// needs a device. A device that does not exist is a warning, because it may appear later.
pub(super) fn check_endpoint_devices(registry: &Registry, links: &[Link]) -> Result<(), Failure> {
    mirrored(registry)?;
    for interface in registry.network_interfaces() {
        if let Some(device) = &interface.device
            && !links.iter().any(|link| link.name == *device)
        {
            warn_of_absent_device(interface.id(), device);
        }
    }
    Ok(())
}

/// The devices of the network interfaces that have a session.
pub(super) fn devices(registry: &Registry) -> BTreeSet<String> {
    registry.sources().filter_map(|interface| interface.device.clone()).collect()
}

/// The resources of files or the command line. Their devices are not checked.
pub(super) fn registry(flags: &RunFlags) -> Result<Registry, Failure> {
    let mut registry = flags.sessions.live_registry(flags.endpoint.ec2_endpoint.is_some())?;
    if flags.endpoint.ec2_endpoint.is_none() {
        flags.sessions.check_source(&registry)?;
    }
    name_device(flags, &mut registry)?;
    Ok(registry)
}

/// Sets the device of the only network interface with sessions to that of `--interface`.
fn name_device(flags: &RunFlags, registry: &mut Registry) -> Result<(), Failure> {
    let Some(device) = &flags.interface else { return Ok(()) };
    let ids = sources(registry);
    let [only] = &*ids else {
        return Err(Failure::usage(format_args!(
            "--interface `{device}`: expected a configuration with sessions of one network \
             interface, but it has those of {}",
            ids.len()
        )));
    };
    if let Some(interface) = registry.network_interface_mut(only) {
        interface.device = Some(device.clone());
    }
    Ok(())
}

/// The interfaces that have a session, in order.
fn sources(registry: &Registry) -> Vec<NetworkInterfaceId> {
    registry.sources().map(|interface| interface.id().clone()).collect()
}

fn mirrored(registry: &Registry) -> Result<Vec<MirroredInterface>, Failure> {
    let mut mirrored: Vec<MirroredInterface> = Vec::new();
    for id in sources(registry) {
        let device = registry.network_interface(&id).and_then(|one| one.device.clone());
        let Some(device) = device else {
            return Err(Failure::usage(format_args!(
                "network_interface `{id}`: expected a device, the Linux interface to mirror; \
                 `traffic-mirror interfaces` lists them, and --interface selects one"
            )));
        };
        if let Some(other) = mirrored.iter().find(|other| other.device == device) {
            return Err(Failure::usage(format_args!(
                "device `{device}`: expected one network interface with this device, but `{}` and \
                 `{id}` both have it",
                other.id
            )));
        }
        mirrored.push(MirroredInterface { id, device });
    }
    Ok(mirrored)
}

fn warn_of_absent_device(id: &NetworkInterfaceId, device: &str) {
    terminal::warn(&format!(
        "device `{device}` of network interface `{id}` does not exist; it is used when it appears"
    ));
}

fn missing_device(one: &MirroredInterface, links: &[Link]) -> Failure {
    let names: Vec<&str> = links.iter().map(|link| &*link.name).collect();
    Failure::usage(format_args!(
        "device `{}` of network interface `{}`: expected one of {}",
        one.device,
        one.id,
        names.join(", ")
    ))
}

/// Rejects a target whose address belongs to the mirrored interface, because its copies would not
/// leave the host.
fn check_target_is_remote(
    registry: &Registry,
    one: &MirroredInterface,
    link: &Link,
) -> Result<(), Failure> {
    let sessions = registry.sessions().iter().filter(|each| each.network_interface_id == one.id);
    let targets = sessions.filter_map(|session| registry.target(&session.target_id));
    for target in targets {
        let mut addresses = registry.target_addresses(target).map(|address| address.ip());
        let returns_to_device =
            |own: &IpAddr| returns_to_device(&link.addresses, link.is_loopback, *own);
        if let Some(address) = addresses.find(returns_to_device) {
            return Err(Failure::usage(format_args!(
                "address `{address}` of target `{}`: expected an address of another host, but it is \
                 an address of the mirrored device `{}`, so the copies would not leave this host",
                target.id(),
                one.device
            )));
        }
    }
    Ok(())
}
