//! Converts the flags of the endpoint to its options.

use std::collections::BTreeSet;

use super::access;
use super::endpoint_flags::EndpointFlags;
use crate::cli::exit::Failure;
use crate::cli::target_flags::TargetFlags;
use crate::control::Registry;
use crate::control::account::{Quotas, TargetResolver};
use crate::http::HostNames;
use crate::model::{
    CidrBlock, NetworkInterface, NetworkInterfaceId, VXLAN_PORT, parse_target_address,
};
use crate::runtime::endpoint::EndpointOptions;

/// The endpoint that the flags describe.
pub(super) struct EndpointSetup {
    pub(super) options: EndpointOptions,
    /// The network interfaces of `--network-interface`.
    pub(super) network_interfaces: Vec<NetworkInterface>,
}

impl EndpointSetup {
    /// Checks and converts the flags, and reads the files of credentials and certificate. `None`
    /// without `--ec2-endpoint`.
    pub(super) fn new(
        flags: &EndpointFlags,
        targets: &TargetFlags,
        hosts: &HostNames,
    ) -> Result<Option<Self>, Failure> {
        let Some(address) = flags.ec2_endpoint else { return Ok(None) };
        let interfaces = flags.network_interface.iter().map(|text| network_interface(text));
        let network_interfaces = interfaces.collect::<Result<Vec<_>, _>>()?;
        let mut known = Registry::default();
        for interface in &network_interfaces {
            add_network_interface(&mut known, interface.clone())?;
        }
        let options = EndpointOptions {
            address,
            account_id: flags.account_id.clone(),
            quotas: quotas(&flags.quota)?,
            targets: target_resolver(flags, targets)?,
            state: flags.state.clone(),
            access: access::access(address, flags)?,
            hosts: hosts.clone(),
            certificate: access::certificate(flags)?,
        };
        Ok(Some(Self { options, network_interfaces }))
    }
}

/// Adds a network interface of `--network-interface`. Its device must not have another id, because
/// the frames of a device belong to one network interface.
pub(super) fn add_network_interface(
    registry: &mut Registry,
    interface: NetworkInterface,
) -> Result<(), Failure> {
    let mut others = registry.network_interfaces().iter();
    if let Some(device) = &interface.device
        && let Some(other) = others.find(|other| other.device.as_ref() == Some(device))
    {
        let id = interface.id();
        return Err(Failure::usage(format_args!(
            "--network-interface `{id}={device}`: expected one id for each device, but `{}` has the \
             device `{device}` too",
            other.id()
        )));
    }
    registry.add_network_interface(interface).map_err(|mut invalid| {
        invalid.field = "--network-interface";
        Failure::usage(invalid)
    })
}

/// The network interface of `eni-...=eth0` or `eni-...=udp:192.0.2.10`.
fn network_interface(text: &str) -> Result<NetworkInterface, Failure> {
    let wrong = |expected: &str| {
        Failure::usage(format_args!("--network-interface `{text}`: expected {expected}"))
    };
    let (id, device) = text
        .split_once('=')
        .ok_or_else(|| wrong("an id and a device, as in eni-0a1b2c3d4e5f60718=eth0"))?;
    let id = NetworkInterfaceId::new(id)
        .map_err(|error| Failure::usage(format_args!("--network-interface `{text}`: {error}")))?;
    let mut interface = NetworkInterface::new(id);
    match device.strip_prefix("udp:") {
        Some(address) => {
            let address = parse_target_address("--network-interface", address, VXLAN_PORT)
                .map_err(Failure::usage)?;
            interface.private_ip_addresses.push(address.ip());
            interface.target_port = Some(address.port());
        }
        None if device.is_empty() => return Err(wrong("a device after `=`, such as eth0")),
        None => interface.device = Some(device.to_owned()),
    }
    Ok(interface)
}

/// AWS's quotas, with the changes of `--quota`.
fn quotas(texts: &[String]) -> Result<Quotas, Failure> {
    let mut quotas = Quotas::default();
    let mut names = BTreeSet::new();
    for text in texts {
        let read = text.split_once('=').and_then(|(name, limit)| Some((name, limit.parse().ok()?)));
        if let Some((name, _)) = read
            && !names.insert(name)
        {
            return Err(Failure::usage(format_args!("--quota `{text}`: expected {name} once")));
        }
        if !read.is_some_and(|(name, limit)| quotas.set(name, limit)) {
            return Err(Failure::usage(format_args!(
                "--quota `{text}`: expected NAME=N, where N is a number and NAME one of {}",
                Quotas::NAMES.join(", ")
            )));
        }
    }
    Ok(quotas)
}

/// The addresses of targets, and the networks to which copies may be sent.
fn target_resolver(
    flags: &EndpointFlags,
    targets: &TargetFlags,
) -> Result<TargetResolver, Failure> {
    let mut resolver = targets.resolver()?;
    for text in &flags.allow_target {
        let (block, has_host_bits) =
            CidrBlock::parse("--allow-target", text).map_err(Failure::usage)?;
        if has_host_bits {
            return Err(Failure::usage(format_args!(
                "--allow-target `{text}`: expected a network without host bits, such as {block}"
            )));
        }
        resolver.allow(block);
    }
    Ok(resolver)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Target, TargetId, TargetKind};

    #[test]
    fn an_interface_target_keeps_its_port() {
        for (text, address) in [
            ("eni-1=udp:127.0.0.1:6000", "127.0.0.1:6000"),
            ("eni-1=udp:127.0.0.1", "127.0.0.1:4789"),
            ("eni-1=udp:[2001:db8::1]:6000", "[2001:db8::1]:6000"),
        ] {
            let mut registry = Registry::default();
            registry.add_network_interface(network_interface(text).unwrap()).unwrap();
            let kind = TargetKind::NetworkInterface(NetworkInterfaceId::new("eni-1").unwrap());
            let target = Target::new(TargetId::new("tmt-1").unwrap(), kind);
            assert_eq!(registry.target_address(&target).unwrap().to_string(), address);
        }
    }
}
