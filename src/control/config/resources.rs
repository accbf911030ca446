//! Converts tables to network interfaces, targets, sessions and settings.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::document::Value;
use super::fields::Fields;
use crate::model::{
    ADDRESS_TAG, FilterId, InvalidValue, MacAddress, Mtu, NetworkInterface, NetworkInterfaceId,
    PacketLength, Rate, Session, SessionId, SessionNumber, Settings, Tags, Target, TargetId,
    TargetKind, VirtualNetworkId, check_load_balancer_addresses, non_host_address_kind,
    parse_target_address, parse_target_addresses,
};

pub(super) const NETWORK_INTERFACE: [&str; 6] = [
    "network_interface_id",
    "device",
    "mac_address",
    "private_ip_addresses",
    "description",
    "tags",
];

pub(super) const TARGET: [&str; 10] = [
    "traffic_mirror_target_id",
    "address",
    "addresses",
    "mtu",
    "rate_limit",
    "network_interface_id",
    "network_load_balancer_arn",
    "gateway_load_balancer_endpoint_id",
    "description",
    "tags",
];

/// The keys of AWS's kinds of targets. A target has at most one of them.
pub(super) const TARGET_KINDS: [&str; 3] =
    ["network_interface_id", "network_load_balancer_arn", "gateway_load_balancer_endpoint_id"];

pub(super) const SESSION: [&str; 10] = [
    "traffic_mirror_session_id",
    "network_interface_id",
    "traffic_mirror_target_id",
    "traffic_mirror_filter_id",
    "session_number",
    "packet_length",
    "rate_limit",
    "virtual_network_id",
    "description",
    "tags",
];

pub(super) const SETTINGS: [&str; 2] = ["aws_exclusions", "vpc_resolver_addresses"];

pub(super) fn settings(fields: &mut Fields<'_, '_, '_, '_>) -> Settings {
    let mut settings = Settings::default();
    if let Some(aws_exclusions) = fields.boolean("aws_exclusions") {
        settings.aws_exclusions = aws_exclusions;
    }
    settings.vpc_resolver_addresses =
        fields.texts("vpc_resolver_addresses", |text| ip_address("vpc_resolver_addresses", text));
    settings
}

pub(super) fn network_interface(fields: &mut Fields<'_, '_, '_, '_>) -> Option<NetworkInterface> {
    fields.require("network_interface_id", "a name such as eni-web");
    let id = fields.text("network_interface_id", NetworkInterfaceId::new);
    let device = fields.text("device", device);
    let mac_address = fields.text("mac_address", |text| MacAddress::parse("mac_address", text));
    let private_ip_addresses =
        fields.texts("private_ip_addresses", |text| ip_address("private_ip_addresses", text));
    let (description, tags) = (description(fields), tags(fields));
    let mut interface = NetworkInterface::new(id?);
    interface.device = device;
    interface.mac_address = mac_address;
    interface.private_ip_addresses = private_ip_addresses;
    interface.description = description;
    interface.tags = tags;
    Some(interface)
}

pub(super) fn target(fields: &mut Fields<'_, '_, '_, '_>) -> Option<Target> {
    fields.require("traffic_mirror_target_id", "a name such as tmt-collector");
    let id = fields.text("traffic_mirror_target_id", TargetId::new);
    let kind = target_kind(fields);
    let (mut address, mut further_addresses) = target_addresses(fields, &kind);
    let mtu = fields.number("mtu", Mtu::new);
    let rate_limit = fields.text("rate_limit", str::parse);
    let (description, tags) = (description(fields), tags(fields));
    if let (None, Some(text)) = (address, tags.get(ADDRESS_TAG)) {
        match parse_target_addresses("tags", text, &kind) {
            Ok(addresses) => {
                let mut addresses = addresses.into_iter();
                address = addresses.next();
                further_addresses = addresses.collect();
            }
            Err(invalid) => {
                let expected = format!("in `{ADDRESS_TAG}` {}", invalid.expected);
                fields.report_invalid(InvalidValue::new("tags", invalid.value, expected));
                address = Some(UNKNOWN_ADDRESS);
            }
        }
    }
    let mut target = Target::new(id?, kind);
    (target.address, target.mtu, target.rate_limit) = (address, mtu, rate_limit);
    target.further_addresses = further_addresses;
    (target.description, target.tags) = (description, tags);
    Some(target)
}

/// `address`, or the `addresses` of a load balancer.
fn target_addresses(
    fields: &mut Fields<'_, '_, '_, '_>,
    kind: &TargetKind,
) -> (Option<SocketAddr>, Vec<SocketAddr>) {
    let port = kind.default_port();
    let mut address = fields.text("address", |text| parse_target_address("address", text, port));
    let mut further =
        fields.texts("addresses", |text| parse_target_address("addresses", text, port));
    if fields.has("addresses") {
        let is_alone = !fields.has("address");
        if let Err(invalid) = check_addresses(&further, is_alone, kind) {
            fields.report_invalid(invalid);
        }
        let mut all = further.into_iter();
        address = address.or_else(|| all.next());
        further = all.collect();
    }
    if address.is_none() && (fields.has("address") || fields.has("addresses")) {
        // The address is invalid and was reported.
        address = Some(UNKNOWN_ADDRESS);
    }
    (address, further)
}

fn check_addresses(
    addresses: &[SocketAddr],
    is_alone: bool,
    kind: &TargetKind,
) -> Result<(), InvalidValue> {
    let refused = |expected: &str| InvalidValue::new("addresses", "[...]", expected);
    if !is_alone {
        return Err(refused("`address` or `addresses`, not both"));
    }
    if !kind.is_load_balancer() {
        return Err(refused("`address`: only a load balancer has several addresses"));
    }
    check_load_balancer_addresses("addresses", addresses)
}

/// A placeholder for the missing address of a target, so that only the target is reported and not
/// each of its sessions.
pub(super) const UNKNOWN_ADDRESS: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), crate::model::VXLAN_PORT);

fn target_kind(fields: &mut Fields<'_, '_, '_, '_>) -> TargetKind {
    let given: Vec<&str> = TARGET_KINDS.into_iter().filter(|key| fields.has(key)).collect();
    if let [first, others @ ..] = &*given {
        for key in others {
            let Some(entry) = fields.entry(key) else { continue };
            let first = fields.out.spelling(first, fields.position());
            let expected = format!("only one kind of target, but {first} is given too");
            fields.out.report_invalid(entry, &entry.value, entry.value.value.shown(), expected);
        }
    }
    let interface = fields.text("network_interface_id", NetworkInterfaceId::new);
    let balancer = fields.text("network_load_balancer_arn", |text| {
        non_empty("network_load_balancer_arn", text, "the ARN of a load balancer")
    });
    let endpoint = fields.text("gateway_load_balancer_endpoint_id", |text| {
        non_empty("gateway_load_balancer_endpoint_id", text, "the id of an endpoint: vpce-...")
    });
    match (interface, balancer, endpoint) {
        (Some(id), _, _) => TargetKind::NetworkInterface(id),
        (None, Some(arn), _) => TargetKind::NetworkLoadBalancer(arn),
        (None, None, Some(id)) => TargetKind::GatewayLoadBalancerEndpoint(id),
        (None, None, None) => TargetKind::Address,
    }
}

/// The valid fields of a session.
pub(super) struct SessionDraft {
    pub(super) network_interface: Option<NetworkInterfaceId>,
    pub(super) target: Option<TargetId>,
    pub(super) filter: Option<FilterId>,
    pub(super) number: Option<SessionNumber>,
    id: Option<SessionId>,
    packet_length: Option<PacketLength>,
    rate_limit: Option<Rate>,
    virtual_network_id: Option<VirtualNetworkId>,
    description: Option<String>,
    tags: Tags,
}

impl SessionDraft {
    /// The session, if all required fields are valid.
    pub(super) fn to_session(&self) -> Option<Session> {
        let interface = self.network_interface.clone()?;
        let (filter, target) = (self.filter.clone()?, self.target.clone()?);
        let mut session = Session::new(interface, self.number?, filter, target);
        session.id.clone_from(&self.id);
        session.packet_length = self.packet_length;
        session.rate_limit = self.rate_limit;
        session.virtual_network_id = self.virtual_network_id;
        session.description.clone_from(&self.description);
        session.tags.clone_from(&self.tags);
        Some(session)
    }
}

pub(super) fn session(fields: &mut Fields<'_, '_, '_, '_>) -> SessionDraft {
    fields.require("network_interface_id", "the id of the network interface to mirror");
    fields.require("traffic_mirror_target_id", "the id of a target");
    fields.require("traffic_mirror_filter_id", "the id of a filter");
    fields.require("session_number", "a number from 1 to 32766");
    SessionDraft {
        network_interface: fields.text("network_interface_id", NetworkInterfaceId::new),
        target: fields.text("traffic_mirror_target_id", TargetId::new),
        filter: fields.text("traffic_mirror_filter_id", FilterId::new),
        number: fields.number("session_number", SessionNumber::new),
        id: fields.text("traffic_mirror_session_id", SessionId::new),
        packet_length: fields.number("packet_length", PacketLength::new),
        rate_limit: fields.text("rate_limit", str::parse),
        virtual_network_id: fields.number("virtual_network_id", VirtualNetworkId::new),
        description: description(fields),
        tags: tags(fields),
    }
}

pub(super) fn description(fields: &mut Fields<'_, '_, '_, '_>) -> Option<String> {
    fields.text("description", |text| Ok(text.to_owned()))
}

pub(super) fn tags(fields: &mut Fields<'_, '_, '_, '_>) -> Tags {
    let Some((_, table)) = fields.table("tags") else { return Tags::default() };
    let mut tags = Tags::default();
    for entry in &table.entries {
        match &entry.value.value {
            Value::String(text) => {
                tags.insert(entry.key.to_string(), text.to_string());
            }
            _ => fields.out.report_wrong_type(entry, &entry.value, "a string"),
        }
    }
    tags
}

fn non_empty(field: &'static str, text: &str, expected: &str) -> Result<String, InvalidValue> {
    if text.trim().is_empty() {
        return Err(InvalidValue::new(field, text, expected));
    }
    Ok(text.to_owned())
}

fn ip_address(field: &'static str, text: &str) -> Result<IpAddr, InvalidValue> {
    let expected = "an address such as 10.0.0.5 or 2001:db8::5";
    let address: IpAddr = text.parse().map_err(|_| InvalidValue::new(field, text, expected))?;
    if non_host_address_kind(address).is_some() {
        return Err(InvalidValue::new(field, text, "the unicast address of an interface"));
    }
    Ok(address.to_canonical())
}

/// The kernel accepts names of at most 15 bytes without white space and slashes.
fn device(text: &str) -> Result<String, InvalidValue> {
    let fits = (1..=15).contains(&text.len()) && text != "." && text != "..";
    if fits && !text.contains(|letter: char| letter == '/' || letter.is_whitespace()) {
        return Ok(text.to_owned());
    }
    Err(InvalidValue::new("device", text, "the name of a Linux interface such as eth0"))
}
