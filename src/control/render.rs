//! Renders a registry as a TOML configuration file, as AWS JSON, and as Terraform configuration.

mod aws_json;
mod terraform;

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

use toml::Value;

pub use aws_json::to_aws_json;
pub use terraform::to_terraform;

use super::Registry;
use crate::model::{
    Filter, FilterRule, NetworkInterface, PortRange, Protocol, Session, Settings, Tags, Target,
    TargetKind,
};

/// The TOML configuration of a registry. Reading it gives an equal registry. Optional values that
/// the user did not set (VirtualNetworkId, ids) are not set here either.
#[must_use]
pub fn to_toml(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing to a string never fails.
    let _ = write(registry, &mut text);
    text
}

fn write(registry: &Registry, out: &mut String) -> fmt::Result {
    settings(registry.settings(), out)?;
    registry.network_interfaces().iter().try_for_each(|one| network_interface(one, out))?;
    registry.targets().iter().try_for_each(|one| target(registry, one, out))?;
    registry.filters().iter().try_for_each(|one| filter(one, out))?;
    registry.sessions().iter().try_for_each(|one| session(one, out))
}

fn settings(settings: &Settings, out: &mut String) -> fmt::Result {
    writeln!(out, "[settings]")?;
    writeln!(out, "aws_exclusions = {}", settings.aws_exclusions)?;
    addresses("vpc_resolver_addresses", &settings.vpc_resolver_addresses, out)
}

fn network_interface(interface: &NetworkInterface, out: &mut String) -> fmt::Result {
    writeln!(out, "\n[[network_interface]]")?;
    text("network_interface_id", Some(interface.id().as_str()), out)?;
    text("device", interface.device.as_deref(), out)?;
    let mac_address = interface.mac_address.map(|mac| mac.to_string());
    text("mac_address", mac_address.as_deref(), out)?;
    addresses("private_ip_addresses", &interface.private_ip_addresses, out)?;
    description_and_tags(interface.description.as_deref(), &interface.tags, out)
}

fn target(registry: &Registry, target: &Target, out: &mut String) -> fmt::Result {
    writeln!(out, "\n[[traffic_mirror_target]]")?;
    text("traffic_mirror_target_id", Some(target.id().as_str()), out)?;
    let without_default_port = |address| without_default_port(address, target.kind.default_port());
    match (target.address, registry.target_address(target)) {
        (Some(first), _) if !target.further_addresses.is_empty() => {
            let all = [first].into_iter().chain(target.further_addresses.iter().copied());
            list("addresses", all.map(without_default_port), out)?;
        }
        (Some(address), _) => text("address", Some(&without_default_port(address)), out)?,
        (None, Some(address)) => {
            writeln!(out, "# address = \"{}\"", without_default_port(address))?;
        }
        (None, None) => {}
    }
    number("mtu", target.mtu.map(|mtu| mtu.value()), out)?;
    text("rate_limit", target.rate_limit.map(|rate| rate.to_string()).as_deref(), out)?;
    let (key, name) = match &target.kind {
        TargetKind::Address => ("", None),
        TargetKind::NetworkInterface(id) => ("network_interface_id", Some(id.as_str())),
        TargetKind::NetworkLoadBalancer(arn) => ("network_load_balancer_arn", Some(&**arn)),
        TargetKind::GatewayLoadBalancerEndpoint(id) => {
            ("gateway_load_balancer_endpoint_id", Some(&**id))
        }
    };
    text(key, name, out)?;
    description_and_tags(target.description.as_deref(), &target.tags, out)
}

fn filter(filter: &Filter, out: &mut String) -> fmt::Result {
    writeln!(out, "\n[[traffic_mirror_filter]]")?;
    text("traffic_mirror_filter_id", Some(filter.id().as_str()), out)?;
    if filter.amazon_dns {
        writeln!(out, "network_services = [\"{}\"]", Filter::AMAZON_DNS)?;
    }
    description_and_tags(filter.description.as_deref(), &filter.tags, out)?;
    filter.all_rules().iter().try_for_each(|one| rule(one, out))
}

fn rule(rule: &FilterRule, out: &mut String) -> fmt::Result {
    writeln!(out, "\n[[traffic_mirror_filter.rule]]")?;
    text("traffic_mirror_filter_rule_id", rule.id.as_ref().map(|id| id.as_str()), out)?;
    writeln!(out, "traffic_direction = \"{}\"", rule.direction())?;
    writeln!(out, "rule_number = {}", rule.number())?;
    writeln!(out, "rule_action = \"{}\"", rule.action())?;
    match rule.protocol() {
        // The number 0 means all protocols in this format.
        Some(Protocol(0)) => writeln!(out, "protocol = \"hopopt\"")?,
        protocol => number("protocol", protocol, out)?,
    }
    writeln!(out, "source_cidr_block = \"{}\"", rule.source())?;
    writeln!(out, "destination_cidr_block = \"{}\"", rule.destination())?;
    port_range("source_port_range", rule.source_ports(), out)?;
    port_range("destination_port_range", rule.destination_ports(), out)?;
    description_and_tags(rule.description.as_deref(), &rule.tags, out)
}

fn session(session: &Session, out: &mut String) -> fmt::Result {
    writeln!(out, "\n[[traffic_mirror_session]]")?;
    text("traffic_mirror_session_id", session.id.as_ref().map(|id| id.as_str()), out)?;
    text("network_interface_id", Some(session.network_interface_id.as_str()), out)?;
    text("traffic_mirror_target_id", Some(session.target_id.as_str()), out)?;
    text("traffic_mirror_filter_id", Some(session.filter_id.as_str()), out)?;
    writeln!(out, "session_number = {}", session.number)?;
    number("packet_length", session.packet_length, out)?;
    text("rate_limit", session.rate_limit.map(|rate| rate.to_string()).as_deref(), out)?;
    number("virtual_network_id", session.virtual_network_id, out)?;
    description_and_tags(session.description.as_deref(), &session.tags, out)
}

fn text(key: &str, value: Option<&str>, out: &mut String) -> fmt::Result {
    match value {
        Some(value) => writeln!(out, "{key} = {}", Value::from(value)),
        None => Ok(()),
    }
}

fn number(key: &str, value: Option<impl fmt::Display>, out: &mut String) -> fmt::Result {
    match value {
        Some(value) => writeln!(out, "{key} = {value}"),
        None => Ok(()),
    }
}

fn addresses(key: &str, addresses: &[IpAddr], out: &mut String) -> fmt::Result {
    if addresses.is_empty() { Ok(()) } else { list(key, addresses.iter(), out) }
}

fn list(
    key: &str,
    texts: impl Iterator<Item = impl fmt::Display>,
    out: &mut String,
) -> fmt::Result {
    let listed: Vec<String> = texts.map(|text| format!("\"{text}\"")).collect();
    writeln!(out, "{key} = [{}]", listed.join(", "))
}

fn port_range(key: &str, ports: Option<PortRange>, out: &mut String) -> fmt::Result {
    let Some(ports) = ports else { return Ok(()) };
    let (from, to) = (ports.from_port(), ports.to_port());
    writeln!(out, "{key} = {{ from_port = {from}, to_port = {to} }}")
}

fn description_and_tags(description: Option<&str>, tags: &Tags, out: &mut String) -> fmt::Result {
    text("description", description, out)?;
    if tags.is_empty() {
        return Ok(());
    }
    let table = tags.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    writeln!(out, "tags = {}", Value::Table(table.collect()))
}

/// An address without its port if that is the default.
fn without_default_port(address: SocketAddr, port: u16) -> String {
    if address.port() == port { address.ip().to_string() } else { address.to_string() }
}
