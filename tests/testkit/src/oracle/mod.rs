//! The oracle: a second, plain implementation of mirroring on the types of the model.
//!
//! It is slow and literal: a double loop over sessions and rules, addresses as addresses, headers
//! read at fixed offsets. It shares only the model with the data plane, so that an error of one is
//! not an error of the other. Property tests and a fuzz target compare the two.

pub mod compare;
pub mod encapsulated;
pub mod generate;
pub mod nesting;
pub mod parse;

use std::net::IpAddr;

use parse::{ParsedFrame, parse_frame};
use traffic_mirror::control::Registry;
use traffic_mirror::dataplane::{FIRST_SOURCE_PORT, FlowKey, flow_hash, flow_tag};
use traffic_mirror::model::{
    Direction, Filter, FilterRule, NetworkInterface, RuleAction, Session, TargetKind,
};

/// A frame of a capture: its bytes, its recorded direction, and whether its link type is supported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    pub bytes: Vec<u8>,
    pub direction: Option<Direction>,
    pub supported: bool,
}

/// What happens to a frame at one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameOutcome {
    Mirrored {
        session_number: u16,
        rule_number: Option<u16>,
        bytes: Vec<u8>,
        truncated: bool,
    },
    /// A session accepted the frame, but its target has no address.
    Dropped {
        session_number: u16,
        rule_number: Option<u16>,
    },
    NotMirrored(&'static str),
}

/// One expected outcome: the interface (None if the frame belongs to none), direction, outcome.
pub type InterfaceOutcome = (Option<String>, Direction, FrameOutcome);

/// The origin of frames: a capture, whose direction may be forced, or live interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Replay(Option<Direction>),
    Live,
}

/// Returns what must happen to a frame.
pub fn expected_outcomes(registry: &Registry, mode: Mode, input: &Input) -> Vec<InterfaceOutcome> {
    let forced = if let Mode::Replay(forced) = mode { forced } else { None };
    if !input.supported {
        return vec![(
            None,
            Direction::Ingress,
            FrameOutcome::NotMirrored("unsupported_link_type"),
        )];
    }
    let parsed = parse_frame(&input.bytes);
    let mut outcomes = Vec::new();
    for interface in registry.network_interfaces() {
        let is_only_one = registry.network_interfaces().len() == 1;
        if let Some(direction) = direction_at(interface, is_only_one, input, &parsed) {
            let direction = forced.unwrap_or(direction);
            let outcome = outcome(registry, (interface, mode), direction, input, &parsed);
            outcomes.push((Some(interface.id().to_string()), direction, outcome));
        }
    }
    if outcomes.is_empty() {
        outcomes.push((
            None,
            Direction::Ingress,
            FrameOutcome::NotMirrored("no_network_interface"),
        ));
    }
    outcomes
}

fn direction_at(
    interface: &NetworkInterface,
    is_only_one: bool,
    input: &Input,
    parsed: &ParsedFrame,
) -> Option<Direction> {
    let has_no_address =
        interface.mac_address.is_none() && interface.private_ip_addresses.is_empty();
    if has_no_address {
        return is_only_one.then(|| input.direction.unwrap_or(Direction::Ingress));
    }
    if let (Some(mac), true) = (interface.mac_address, input.bytes.len() >= 12) {
        if input.bytes[6..12] == mac.octets() {
            return Some(Direction::Egress);
        }
        if input.bytes[0..6] == mac.octets() {
            return Some(Direction::Ingress);
        }
    }
    if let ParsedFrame::Ip { source, destination, .. } = parsed {
        if interface.private_ip_addresses.contains(source) {
            return Some(Direction::Egress);
        }
        if interface.private_ip_addresses.contains(destination) {
            return Some(Direction::Ingress);
        }
    }
    None
}

fn outcome(
    registry: &Registry,
    (interface, mode): (&NetworkInterface, Mode),
    direction: Direction,
    input: &Input,
    parsed: &ParsedFrame,
) -> FrameOutcome {
    match parsed {
        ParsedFrame::NotIp => return FrameOutcome::NotMirrored("not_ip"),
        ParsedFrame::Unparsable => return FrameOutcome::NotMirrored("unparsable"),
        ParsedFrame::Ip { .. } => {}
    }
    if mode == Mode::Live
        && let Some(reason) =
            nesting::reason_not_mirrored(&copy_destinations(registry), &input.bytes)
    {
        return FrameOutcome::NotMirrored(reason);
    }
    let exclusions = registry.settings().aws_exclusions;
    if exclusions && is_excluded(parsed) {
        return FrameOutcome::NotMirrored("aws_excluded");
    }
    let dns = is_resolver_dns(parsed, &registry.settings().vpc_resolver_addresses);
    let mut sessions: Vec<&Session> = registry
        .sessions()
        .iter()
        .filter(|session| session.network_interface_id == *interface.id())
        .collect();
    sessions.sort_by_key(|session| session.number);
    for session in sessions {
        let filter = registry.filter(&session.filter_id).unwrap();
        if dns && filter.amazon_dns {
            return mirrored(registry, (interface, mode), session, None, input);
        }
        if dns && exclusions {
            continue;
        }
        let rule = first_match(filter, direction, parsed);
        if let Some(rule) = rule.filter(|rule| rule.action() == RuleAction::Accept) {
            return mirrored(registry, (interface, mode), session, Some(rule), input);
        }
    }
    FrameOutcome::NotMirrored(if dns && exclusions { "amazon_dns" } else { "no_session_matched" })
}

/// The addresses to which copies are sent, of all targets.
fn copy_destinations(registry: &Registry) -> nesting::CopyDestinations {
    let target = |target| {
        let address = registry.target_address(target)?;
        let is_gateway = matches!(target.kind, TargetKind::GatewayLoadBalancerEndpoint(_));
        Some((address.ip(), address.port(), is_gateway))
    };
    registry.targets().iter().filter_map(target).collect()
}

fn first_match<'a>(
    filter: &'a Filter,
    direction: Direction,
    parsed: &ParsedFrame,
) -> Option<&'a FilterRule> {
    let mut rules: Vec<&FilterRule> = filter.all_rules().iter().collect();
    rules.sort_by_key(|rule| rule.number());
    rules.into_iter().find(|rule| rule.direction() == direction && matches(rule, parsed))
}

/// Whether a rule matches a frame: addresses, protocol and ports.
pub fn matches(rule: &FilterRule, parsed: &ParsedFrame) -> bool {
    let ParsedFrame::Ip { source, destination, protocol, ports } = parsed else { return false };
    rule.source().contains(*source)
        && rule.destination().contains(*destination)
        && rule.protocol().is_none_or(|wanted| *protocol == Some(wanted.0))
        && rule
            .source_ports()
            .is_none_or(|range| ports.is_some_and(|ports| range.contains(ports.0)))
        && rule
            .destination_ports()
            .is_none_or(|range| ports.is_some_and(|ports| range.contains(ports.1)))
}

fn is_excluded(parsed: &ParsedFrame) -> bool {
    let ParsedFrame::Ip { source, destination, protocol, ports } = parsed else { return false };
    if let (Some(17), Some((_, to))) = (protocol, ports) {
        let dhcp = if source.is_ipv4() { [67, 68] } else { [546, 547] };
        if dhcp.contains(to) {
            return true;
        }
    }
    let ends = [(source, ports.map(|ports| ports.0)), (destination, ports.map(|ports| ports.1))];
    ends.iter().any(|(address, port)| match address.to_string().as_str() {
        "169.254.169.254" | "169.254.169.123" | "fd00:ec2::254" | "fd00:ec2::123" => true,
        "169.254.169.250" | "169.254.169.251" => *protocol == Some(6) && *port == Some(1688),
        _ => false,
    })
}

fn is_resolver_dns(parsed: &ParsedFrame, configured: &[IpAddr]) -> bool {
    let ParsedFrame::Ip { source, destination, ports: Some((from, to)), .. } = parsed else {
        return false;
    };
    let resolver = |address: &IpAddr| {
        ["169.254.169.253", "fd00:ec2::253"].contains(&address.to_string().as_str())
            || configured.contains(address)
    };
    (resolver(source) && *from == 53) || (resolver(destination) && *to == 53)
}

fn mirrored(
    registry: &Registry,
    (interface, mode): (&NetworkInterface, Mode),
    session: &Session,
    rule: Option<&FilterRule>,
    input: &Input,
) -> FrameOutcome {
    let target = registry.target(&session.target_id).unwrap();
    let rule_number = rule.map(|rule| rule.number().value());
    let Some(address) = registry.target_address(target) else {
        return FrameOutcome::Dropped { session_number: session.number.value(), rule_number };
    };
    let ip_len = if address.is_ipv4() { 20 } else { 40 };
    let gateway = matches!(target.kind, TargetKind::GatewayLoadBalancerEndpoint(_));
    let balancer = matches!(target.kind, TargetKind::NetworkLoadBalancer(_));
    let (front_len, own_mtu) = if gateway { (ip_len + 8 + 40, 8500) } else { (0, 65_535) };
    let mtu = target.mtu.map_or(own_mtu + front_len, |mtu| mtu.value() as usize);
    let mut len = input.bytes.len().min(mtu - front_len - ip_len - 8 - 8);
    if let Some(length) = session.packet_length {
        len = len.min(length.value() as usize);
    } else if balancer {
        len = len.min(8500);
    }
    let source = interface
        .private_ip_addresses
        .iter()
        .find(|own| own.is_ipv4() == address.is_ipv4())
        .copied()
        .unwrap_or_else(|| {
            let placeholder = match (mode, address.is_ipv4()) {
                (Mode::Replay(_), true) => "192.0.2.1",
                (Mode::Replay(_), false) => "2001:db8::1",
                (Mode::Live, true) => "0.0.0.0",
                (Mode::Live, false) => "::",
            };
            placeholder.parse().unwrap()
        });
    // AWS does not document the hash, so the oracle uses that of the data plane. Another test
    // asserts that it is symmetric.
    let key = FlowKey::parse(&input.bytes).unwrap();
    let hash = flow_hash(&key);
    let port = FIRST_SOURCE_PORT + u16::from(hash);
    let vni = session.virtual_network_id.expect("generated sessions have one").value();
    let inner = &input.bytes[..len];
    let vxlan_port = if gateway { 4789 } else { address.port() };
    let mut bytes = encapsulate(source, address.ip(), (port, vxlan_port), &vxlan(vni, inner));
    if let TargetKind::GatewayLoadBalancerEndpoint(endpoint) = &target.kind {
        let cookie = u32::from(hash) << 16 | u32::from(flow_tag(&key));
        let ids = (endpoint.as_str(), interface.id().as_str());
        let geneve = geneve(ids, cookie, address.is_ipv4(), &bytes[14..]);
        bytes = encapsulate(source, address.ip(), (port, address.port()), &geneve);
    }
    FrameOutcome::Mirrored {
        session_number: session.number.value(),
        rule_number,
        bytes,
        truncated: len < input.bytes.len(),
    }
}

fn vxlan(vni: u32, inner: &[u8]) -> Vec<u8> {
    [&[8, 0, 0, 0], &vni.to_be_bytes()[1..], &[0], inner].concat()
}

fn geneve((endpoint, interface): (&str, &str), cookie: u32, v4: bool, packet: &[u8]) -> Vec<u8> {
    let protocol: u16 = if v4 { 0x0800 } else { 0x86dd };
    let endpoint = u64::from_str_radix(endpoint.trim_start_matches("vpce-"), 16).unwrap();
    let mut attachment = 0xcbf2_9ce4_8422_2325_u64;
    for byte in interface.bytes() {
        attachment = (attachment ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let mut out = vec![8, 0];
    out.extend(protocol.to_be_bytes());
    out.extend([0, 0, 0, 0]);
    out.extend([1, 8, 1, 2]);
    out.extend(endpoint.to_be_bytes());
    out.extend([1, 8, 2, 2]);
    out.extend(attachment.to_be_bytes());
    out.extend([1, 8, 3, 1]);
    out.extend(cookie.to_be_bytes());
    out.extend(packet);
    out
}

fn encapsulate(from: IpAddr, to: IpAddr, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut udp = Vec::new();
    udp.extend(ports.0.to_be_bytes());
    udp.extend(ports.1.to_be_bytes());
    udp.extend((payload.len() as u16 + 8).to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    let mut out = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut ip = vec![0x45, 0];
            ip.extend((udp.len() as u16 + 20).to_be_bytes());
            ip.extend([0, 0, 0, 0, 255, 17, 0, 0]);
            ip.extend(from.octets());
            ip.extend(to.octets());
            let sum = internet_checksum(&ip);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            out.extend([8, 0]);
            out.extend(ip);
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut pseudo = Vec::new();
            pseudo.extend(from.octets());
            pseudo.extend(to.octets());
            pseudo.extend((udp.len() as u32).to_be_bytes());
            pseudo.extend([0, 0, 0, 17]);
            pseudo.extend(&udp);
            let sum = match internet_checksum(&pseudo) {
                0 => 0xffff,
                sum => sum,
            };
            udp[6..8].copy_from_slice(&sum.to_be_bytes());
            out.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            out.extend((udp.len() as u16).to_be_bytes());
            out.extend([17, 255]);
            out.extend(from.octets());
            out.extend(to.octets());
        }
        _ => panic!("source {from} and destination {to} differ in their address family"),
    }
    out.extend(udp);
    out
}

fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += (pair[0] as u32) << 8 | pair.get(1).copied().unwrap_or(0) as u32;
        if sum > 0xffff {
            sum -= 0xffff;
        }
    }
    !(sum as u16)
}
