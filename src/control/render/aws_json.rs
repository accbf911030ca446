//! Renders a registry as the output of the EC2 API's describe calls.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use crate::control::Registry;
use crate::model::{
    ADDRESS_TAG, Direction, Filter, FilterRule, NetworkInterface, PortRange, Session, Tags, Target,
    TargetKind,
};

/// The output of `aws ec2 describe-traffic-mirror-*` and `describe-network-interfaces`, in one
/// object.
///
/// Reading it gives the same resources without the fields that the API does not have: devices,
/// MTUs, rate limits, settings. The tag `mirror:address` contains the own address of a target.
#[must_use]
pub fn to_aws_json(registry: &Registry) -> String {
    let interfaces = registry.network_interfaces().iter().map(network_interface);
    let document = json!({
        "TrafficMirrorSessions": registry.sessions().iter().map(session).collect::<Vec<_>>(),
        "TrafficMirrorFilters": registry.filters().iter().map(|one| filter(one)).collect::<Vec<_>>(),
        "TrafficMirrorTargets": registry.targets().iter().map(target).collect::<Vec<_>>(),
        "NetworkInterfaces": interfaces.collect::<Vec<_>>(),
    });
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// The tag with the own addresses of a target.
pub(super) fn address_tag(target: &Target) -> Option<(String, String)> {
    let port = target.kind.default_port();
    let without_default_port = |address: &SocketAddr| match address.port() == port {
        true => address.ip().to_string(),
        false => address.to_string(),
    };
    let all: Vec<String> =
        target.address.iter().chain(&target.further_addresses).map(without_default_port).collect();
    (!all.is_empty()).then(|| (ADDRESS_TAG.to_owned(), all.join(" ")))
}

/// An object without its null members.
fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let present = members.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(present.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

fn tag_list(tags: &Tags) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

fn network_interface(interface: &NetworkInterface) -> Value {
    let addresses = &interface.private_ip_addresses;
    let ipv4 = addresses.iter().filter(|address| address.is_ipv4()).enumerate();
    let ipv4: Vec<Value> = ipv4
        .map(|(index, address)| json!({"PrivateIpAddress": address, "Primary": index == 0}))
        .collect();
    let ipv6 = addresses.iter().filter(|address| address.is_ipv6());
    let ipv6: Vec<Value> = ipv6.map(|address| json!({"Ipv6Address": address})).collect();
    object([
        ("NetworkInterfaceId", json!(interface.id().as_str())),
        ("MacAddress", json!(interface.mac_address.map(|mac| mac.to_string()))),
        ("PrivateIpAddress", json!(addresses.iter().find(|address| address.is_ipv4()))),
        ("PrivateIpAddresses", json!(ipv4)),
        ("Ipv6Addresses", json!(ipv6)),
        ("Description", json!(interface.description)),
        ("TagSet", tag_list(&interface.tags)),
    ])
}

fn target(target: &Target) -> Value {
    let mut tags = target.tags.clone();
    tags.extend(address_tag(target));
    let mut members = vec![
        ("TrafficMirrorTargetId", json!(target.id().as_str())),
        ("Description", json!(target.description)),
        ("Tags", tag_list(&tags)),
    ];
    let kind = match &target.kind {
        TargetKind::Address => None,
        TargetKind::NetworkInterface(id) => {
            Some(("NetworkInterfaceId", id.as_str(), "network-interface"))
        }
        TargetKind::NetworkLoadBalancer(arn) => {
            Some(("NetworkLoadBalancerArn", &**arn, "network-load-balancer"))
        }
        TargetKind::GatewayLoadBalancerEndpoint(id) => {
            Some(("GatewayLoadBalancerEndpointId", &**id, "gateway-load-balancer-endpoint"))
        }
    };
    if let Some((key, name, target_type)) = kind {
        members.extend([(key, json!(name)), ("Type", json!(target_type))]);
    }
    object(members)
}

fn filter(filter: &Filter) -> Value {
    let rules = |direction: Direction| -> Value {
        let all = filter.all_rules().iter().filter(|rule| rule.direction() == direction);
        all.map(|one| rule(filter, one)).collect()
    };
    let services: &[&str] = if filter.amazon_dns { &[Filter::AMAZON_DNS] } else { &[] };
    object([
        ("TrafficMirrorFilterId", json!(filter.id().as_str())),
        ("IngressFilterRules", rules(Direction::Ingress)),
        ("EgressFilterRules", rules(Direction::Egress)),
        ("NetworkServices", json!(services)),
        ("Description", json!(filter.description)),
        ("Tags", tag_list(&filter.tags)),
    ])
}

fn rule(filter: &Filter, rule: &FilterRule) -> Value {
    let ports = |range: Option<PortRange>| {
        let range = range.map(|one| json!({"FromPort": one.from_port(), "ToPort": one.to_port()}));
        range.unwrap_or_default()
    };
    object([
        ("TrafficMirrorFilterRuleId", json!(rule.id.as_ref().map(|id| id.as_str()))),
        ("TrafficMirrorFilterId", json!(filter.id().as_str())),
        ("TrafficDirection", json!(rule.direction().as_str())),
        ("RuleNumber", json!(rule.number().value())),
        ("RuleAction", json!(rule.action().as_str())),
        ("Protocol", json!(rule.protocol().map(|protocol| protocol.0))),
        ("DestinationPortRange", ports(rule.destination_ports())),
        ("SourcePortRange", ports(rule.source_ports())),
        ("DestinationCidrBlock", json!(rule.destination().to_string())),
        ("SourceCidrBlock", json!(rule.source().to_string())),
        ("Description", json!(rule.description)),
        ("Tags", tag_list(&rule.tags)),
    ])
}

fn session(session: &Session) -> Value {
    let length = session.packet_length.map(|length| length.value());
    let network = session.virtual_network_id.map(|id| id.value());
    object([
        ("TrafficMirrorSessionId", json!(session.id.as_ref().map(|id| id.as_str()))),
        ("TrafficMirrorTargetId", json!(session.target_id.as_str())),
        ("TrafficMirrorFilterId", json!(session.filter_id.as_str())),
        ("NetworkInterfaceId", json!(session.network_interface_id.as_str())),
        ("PacketLength", json!(length)),
        ("SessionNumber", json!(session.number.value())),
        ("VirtualNetworkId", json!(network)),
        ("Description", json!(session.description)),
        ("Tags", tag_list(&session.tags)),
    ])
}
