//! An exported configuration is read back unchanged, and no text makes the reader panic.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use traffic_mirror::control::config::{Format, Text, read_texts};
use traffic_mirror::control::{Registry, render};
use traffic_mirror::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, FilterRuleId, MacAddress, Mtu,
    NetworkInterface, NetworkInterfaceId, PacketLength, PortRange, Protocol, RuleAction,
    RuleNumber, Session, SessionId, SessionNumber, Settings, Tags, Target, TargetId, TargetKind,
    VirtualNetworkId, non_host_address_kind,
};

use crate::{EXAMPLE_CONFIG, error_lines};

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        "[\\PC\"'\\\\]{1,12}".prop_filter("empty", |text| !text.trim().is_empty())
    ]
}

/// Any text that TOML can contain, including quotes, line ends and control characters.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{0,8}", any::<String>(), "[\\x00-\\x7f]{0,12}"]
}

fn extras() -> impl Strategy<Value = (Option<String>, Tags)> {
    (of(text()), btree_map(text(), text(), 0..3))
}

fn address() -> impl Strategy<Value = std::net::IpAddr> {
    any::<std::net::IpAddr>()
        .prop_map(|ip| ip.to_canonical())
        .prop_filter("not the address of one host", |ip| non_host_address_kind(*ip).is_none())
}

prop_compose! {
    fn rule()(
        (is_ingress, is_accept, is_v4) in any::<(bool, bool, bool)>(),
        number in 1_u16..=40,
        lens in (0_u8..=32, 0_u8..=32),
        ips in any::<([u8; 4], [u8; 4])>(),
        protocol in of(prop_oneof![Just(6_u8), Just(17), any::<u8>()]),
        ports in of((any::<(u16, u16)>(), any::<bool>(), any::<bool>())),
        id in of(name()),
        (description, tags) in extras(),
    ) -> FilterRule {
        let block = |ip: [u8; 4], len: u8| {
            let v4 = std::net::Ipv4Addr::from(ip);
            let ip = if is_v4 { v4.into() } else { v4.to_ipv6_mapped().into() };
            CidrBlock::new(ip, if is_v4 { len } else { len + 96 }).unwrap()
        };
        let direction = if is_ingress { Direction::Ingress } else { Direction::Egress };
        let action = if is_accept { RuleAction::Accept } else { RuleAction::Reject };
        let (source, destination) = (block(ips.0, lens.0), block(ips.1, lens.1));
        let number = RuleNumber::new(number).unwrap();
        let mut rule = FilterRule::new(direction, number, action, source, destination).unwrap();
        if let Some(protocol) = protocol.map(Protocol) {
            rule = rule.with_protocol(protocol).unwrap();
            if let (Some(((a, b), at_source, at_destination)), true) = (ports, protocol.has_ports())
            {
                let range = PortRange::new("", a.min(b), a.max(b)).unwrap();
                if at_source {
                    rule = rule.with_source_ports(range).unwrap();
                }
                if at_destination {
                    rule = rule.with_destination_ports(range).unwrap();
                }
            }
        }
        rule.id = id.map(|id| FilterRuleId::new(&id).unwrap());
        (rule.description, rule.tags) = (description, tags);
        rule
    }
}

prop_compose! {
    fn interface()(
        id in name(),
        device in of("[a-z][a-z0-9.@-]{0,14}"),
        mac in of(any::<[u8; 6]>()),
        private_ip_addresses in vec(address(), 0..3),
        (description, tags) in extras(),
    ) -> NetworkInterface {
        let mut interface = NetworkInterface::new(NetworkInterfaceId::new(&id).unwrap());
        interface.device = device;
        interface.mac_address = mac.map(|[first, rest @ ..]| {
            let [b, c, d, e, f] = rest;
            MacAddress::new([first & 0xfe, b, c, d, e, f])
        });
        interface.private_ip_addresses = private_ip_addresses;
        (interface.description, interface.tags) = (description, tags);
        interface
    }
}

prop_compose! {
    fn target()(
        id in name(),
        kind in 0..4,
        kind_name in name(),
        ip in address(),
        port in prop_oneof![Just(4789), 1_u16..],
        more in 0_u16..3,
        mtu in of(68_u16..),
        (description, tags) in extras(),
    ) -> Target {
        let kind = match kind {
            0 => TargetKind::Address,
            1 => TargetKind::NetworkInterface(NetworkInterfaceId::new(&kind_name).unwrap()),
            2 => TargetKind::NetworkLoadBalancer(kind_name),
            _ => TargetKind::GatewayLoadBalancerEndpoint(kind_name),
        };
        let mut target = Target::new(TargetId::new(&id).unwrap(), kind);
        target.address = Some((ip, port).into());
        if target.kind.is_load_balancer() {
            let other = |n: u16| {
                let port = 1 + (u32::from(port) + u32::from(n)) % 65_535;
                (ip, u16::try_from(port).unwrap()).into()
            };
            let others: Vec<std::net::SocketAddr> = (0..more).map(other).collect();
            let is_other = |one: &&std::net::SocketAddr| one.port() != port;
            target.further_addresses = others.iter().filter(is_other).copied().collect();
        }
        target.mtu = mtu.map(|mtu| Mtu::new(mtu).unwrap());
        (target.description, target.tags) = (description, tags);
        target
    }
}

prop_compose! {
    fn filter()(
        id in name(),
        rules in vec(rule(), 0..6),
        amazon_dns in any::<bool>(),
        (description, tags) in extras(),
    ) -> Filter {
        let (mut filter, _) = Filter::from_rules(FilterId::new(&id).unwrap(), rules);
        filter.amazon_dns = amazon_dns;
        (filter.description, filter.tags) = (description, tags);
        filter
    }
}

prop_compose! {
    /// A valid combination of these.
    fn registry()(
        aws_exclusions in any::<bool>(),
        vpc_resolver_addresses in vec(address(), 0..3),
        interfaces in vec(interface(), 0..4),
        targets in vec(target(), 0..3),
        filters in vec(filter(), 0..3),
        sessions in vec(
            (any::<[prop::sample::Index; 3]>(), 1_u16..9, of(1_u16..=8500), of(0_u32..1 << 24),
             of(name()), extras()),
            0..6,
        ),
    ) -> Registry {
        let mut registry = Registry::new(Settings { aws_exclusions, vpc_resolver_addresses });
        for interface in interfaces {
            let _ = registry.add_network_interface(interface);
        }
        for target in targets {
            let _ = registry.add_target(target);
        }
        for filter in filters {
            let _ = registry.add_filter(filter);
        }
        for (choices, number, packet_length, vni, id, (description, tags)) in sessions {
            let [interface, target, filter] = choices;
            let counts = [
                registry.network_interfaces().len(),
                registry.targets().len(),
                registry.filters().len(),
            ];
            if counts.contains(&0) {
                continue;
            }
            let mut session = Session::new(
                registry.network_interfaces()[interface.index(counts[0])].id().clone(),
                SessionNumber::new(number).unwrap(),
                registry.filters()[filter.index(counts[2])].id().clone(),
                registry.targets()[target.index(counts[1])].id().clone(),
            );
            session.id = id.map(|id| SessionId::new(&id).unwrap());
            session.packet_length = packet_length.map(|length| PacketLength::new(length).unwrap());
            session.virtual_network_id = vni.map(|vni| VirtualNetworkId::new(vni).unwrap());
            (session.description, session.tags) = (description, tags);
            let _ = registry.add_session(session);
        }
        registry
    }
}

/// The registry as the API returns it: without devices, MTUs and settings. Addresses of targets are
/// tags, those of interfaces are in the API's order, and there are no empty descriptions.
fn as_the_api_has_it(registry: &Registry) -> Registry {
    let mut expected = Registry::default();
    for one in registry.network_interfaces() {
        let mut interface = one.clone();
        interface.device = None;
        interface.private_ip_addresses.sort_by_key(std::net::IpAddr::is_ipv6);
        let mut seen = std::collections::HashSet::new();
        interface.private_ip_addresses.retain(|address| seen.insert(*address));
        interface.description = interface.description.filter(|text| !text.is_empty());
        expected.add_network_interface(interface).unwrap();
    }
    for one in registry.targets() {
        let mut target = one.clone();
        target.mtu = None;
        let port = target.kind.default_port();
        let shortest = |address: &std::net::SocketAddr| match address.port() == port {
            true => address.ip().to_string(),
            false => address.to_string(),
        };
        let all: Vec<String> =
            target.address.iter().chain(&target.further_addresses).map(shortest).collect();
        target.tags.insert("mirror:address".to_owned(), all.join(" "));
        target.description = target.description.filter(|text| !text.is_empty());
        expected.add_target(target).unwrap();
    }
    for one in registry.filters() {
        let rules = one.all_rules().iter().cloned().map(|mut rule| {
            rule.description = rule.description.filter(|text| !text.is_empty());
            rule
        });
        let (mut filter, _) = Filter::from_rules(one.id().clone(), rules.collect());
        filter.amazon_dns = one.amazon_dns;
        filter.description = one.description.clone().filter(|text| !text.is_empty());
        filter.tags.clone_from(&one.tags);
        expected.add_filter(filter).unwrap();
    }
    for one in registry.sessions() {
        let mut session = one.clone();
        session.description = session.description.filter(|text| !text.is_empty());
        expected.add_session(session).unwrap();
    }
    expected
}

/// Pieces of configurations, valid and invalid, in any order.
fn arbitrary_text() -> impl Strategy<Value = String> {
    let lines: Vec<String> = EXAMPLE_CONFIG.lines().map(|line| format!("{line}\n")).collect();
    let fragments = [
        "[",
        "]",
        "{",
        "}",
        "=",
        "\"",
        "'",
        ",",
        ".",
        "\n",
        "\\",
        "\u{feff}",
        "é",
        "#",
        "\"\"\"",
        "1",
        "inf",
        "null",
        "true",
        "{\"NetworkInterfaces\":",
        "\"Tags\":",
        ":",
        "\r",
        "0x",
        "\\ud83d",
        "[[traffic_mirror_session]]\n",
        "a.a.a.a",
        "1979-05-27",
        "\0",
    ];
    let piece = prop_oneof![
        prop::sample::select(lines),
        prop::sample::select(fragments.map(String::from).to_vec()),
    ];
    vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// The text with a few bytes replaced, inserted or removed.
fn mutated(text: &str, changes: &[(prop::sample::Index, u8, u8)]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (at, kind, byte) in changes {
        let at = at.index(bytes.len());
        match kind % 3 {
            0 => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            _ => drop(bytes.remove(at)),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #[test]
    fn printed_toml_reads_back_equal(registry in registry()) {
        let printed = render::to_toml(&registry);
        let outcome = read_texts(&[Text::new("m.toml", &printed)]);
        prop_assert_eq!(error_lines(&outcome), "", "{}", printed);
        prop_assert_eq!(outcome.registry.unwrap(), registry, "{}", printed);
    }

    #[test]
    fn printed_aws_json_reads_back_equal_in_the_fields_of_the_api(registry in registry()) {
        let printed = render::to_aws_json(&registry);
        let outcome = read_texts(&[Text::new("m.json", &printed)]);
        prop_assert_eq!(error_lines(&outcome), "", "{}", printed);
        prop_assert_eq!(outcome.registry.unwrap(), as_the_api_has_it(&registry), "{}", printed);
    }

    #[test]
    fn no_configuration_text_panics(a in arbitrary_text(), b in arbitrary_text()) {
        for (a_format, b_format) in
            [(Format::Toml, Format::AwsJson), (Format::AwsJson, Format::Yaml), (Format::Yaml, Format::Toml)]
        {
            let outcome = read_texts(&[
                Text { name: "a", format: a_format, text: &a },
                Text { name: "b", format: b_format, text: &b },
            ]);
            prop_assert_eq!(outcome.registry.is_some(), outcome.problems.is_empty());
            for problem in outcome.problems.iter().chain(&outcome.warnings) {
                prop_assert_eq!(problem.to_string().lines().count(), 1);
            }
        }
    }

    #[test]
    fn a_mutated_example_does_not_panic(
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 1..4)
    ) {
        let text = mutated(EXAMPLE_CONFIG, &changes);
        let outcome = read_texts(&[Text::new("m.toml", &text)]);
        prop_assert_eq!(outcome.registry.is_some(), outcome.problems.is_empty());
    }
}
