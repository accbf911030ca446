//! AWS's exclusions as rules: the same packets as
//! [`AwsExclusions`](crate::dataplane::aws_exclusions::AwsExclusions).

use std::net::IpAddr;

use super::outcome::{KernelOutcome, OutcomeList};
use super::rule_fields::{Group, GroupRule, RuleFields};
use crate::dataplane::aws_exclusions::{
    ACTIVATION, DHCP, DHCPV6, DNS, LINK_LOCAL_SERVICES, METADATA, METADATA_V6, RESOLVER,
    RESOLVER_V6, SERVICES_V6, TCP, TIME, TIME_V6, UDP, WINDOWS_ACTIVATION,
};
use crate::dataplane::verdict::NotMirrored;
use crate::model::{CidrBlock, Settings};

/// The protocol and the port of a service.
#[derive(Debug, Clone, Copy, Default)]
struct Service {
    protocol: Option<u8>,
    port: Option<u16>,
}

/// Rules for DHCP and for all services that AWS never mirrors.
pub(super) fn excluded_rules(is_ipv4: bool) -> Group {
    let outcome = OutcomeList::not_mirrored(NotMirrored::AwsExcluded);
    let first = if is_ipv4 { DHCP } else { DHCPV6 };
    let dhcp = RuleFields {
        protocol: u8::try_from(UDP).ok(),
        destination_ports: Some((first, first.saturating_add(1))),
        ..RuleFields::any(is_ipv4)
    };
    let mut rules = vec![GroupRule { fields: dhcp, outcome: Some(outcome) }];
    let any = Service::default();
    if is_ipv4 {
        let activation =
            Service { protocol: u8::try_from(TCP).ok(), port: Some(WINDOWS_ACTIVATION) };
        let [first, second] = ACTIVATION;
        let services = [(METADATA, any), (TIME, any), (first, activation), (second, activation)];
        for (host, service) in services {
            rules.extend(both_ways(service_v4(host), service, outcome));
        }
    } else {
        for host in [METADATA_V6, TIME_V6] {
            rules.extend(both_ways(service_v6(host), any, outcome));
        }
    }
    rules
}

/// Rules for DNS with the VPC resolver.
pub(super) fn dns_rules(settings: &Settings, is_ipv4: bool, outcome: KernelOutcome) -> Group {
    let own = if is_ipv4 { service_v4(RESOLVER) } else { service_v6(RESOLVER_V6) };
    let configured = settings.vpc_resolver_addresses.iter().copied();
    let resolvers = configured.filter(|address| address.is_ipv4() == is_ipv4);
    let dns = Service { protocol: None, port: Some(DNS) };
    [own]
        .into_iter()
        .chain(resolvers)
        .flat_map(|address| both_ways(address, dns, outcome))
        .collect()
}

/// A rule for packets to the address, and one for packets from it.
fn both_ways(address: IpAddr, service: Service, outcome: KernelOutcome) -> Group {
    let len = if address.is_ipv4() { 32 } else { 128 };
    let Ok(host) = CidrBlock::new(address, len) else { return Group::new() };
    let ports = service.port.map(|port| (port, port));
    let any = RuleFields { protocol: service.protocol, ..RuleFields::any(address.is_ipv4()) };
    let to = RuleFields { destination: host, destination_ports: ports, ..any };
    let from = RuleFields { source: host, source_ports: ports, ..any };
    [to, from].map(|fields| GroupRule { fields, outcome: Some(outcome) }).to_vec()
}

fn service_v4(host: u8) -> IpAddr {
    let [a, b, c] = LINK_LOCAL_SERVICES;
    [a, b, c, host].into()
}

fn service_v6(host: [u8; 8]) -> IpAddr {
    let [network, host] = [SERVICES_V6, host].map(u64::from_be_bytes).map(u128::from);
    IpAddr::V6((network << 64 | host).into())
}
