//! Every field with values of the wrong type, out of range, absent, or misspelled.

use testkit::config::{one_session, session};
use traffic_mirror::control::config::{Text, read_texts};
use traffic_mirror::model::{Direction, RuleAction};

use crate::invalid_values::INVALID_VALUES;
use crate::{EXAMPLE_CONFIG, error_lines, read_toml, warning_lines};

/// The example with `line` in place of the line of `key` under `[[header]]`, or added if there is
/// none. Returns the text and the number of the line, from 1.
fn changed(header: &str, key: &str, line: &str) -> (String, usize) {
    let mut lines: Vec<&str> = EXAMPLE_CONFIG.lines().collect();
    let is_header =
        |text: &&str| text.starts_with(&format!("[{header}]")) || **text == format!("[[{header}]]");
    let start = lines.iter().position(is_header).unwrap();
    let is_key = |text: &&str| text.split(" = ").next() == Some(key);
    let end = start + lines[start..].iter().position(|text| text.is_empty()).unwrap_or(100);
    let end = end.min(lines.len());
    match lines[start..end].iter().position(is_key) {
        Some(place) => lines[start + place] = line,
        None => lines.insert(start + 1, line),
    }
    let number = lines.iter().position(|text| *text == line).unwrap() + 1;
    (lines.join("\n"), number)
}

#[test]
fn each_invalid_value_is_one_error_with_line_and_column() {
    for (header, line, complaint) in INVALID_VALUES {
        let key = line.split(" = ").next().unwrap();
        let (text, number) = changed(header, key, line);
        let errors = error_lines(&read_toml(&text));
        let first = errors.lines().next().unwrap_or_default();
        let column = key.len() + 4;
        assert_eq!(first, format!("m.toml:{number}:{column}: {key} {complaint}"));
        // A resource without a name cannot be referred to, which is reported too.
        let names =
            ["network_interface_id", "traffic_mirror_target_id", "traffic_mirror_filter_id"];
        assert!(errors.lines().count() == 1 || names.contains(&key), "{line}:\n{errors}");
    }
}

#[test]
fn errors_in_lists_and_tables_have_their_own_location() {
    for (header, line, complaint) in [
        (
            "settings",
            "vpc_resolver_addresses = [\"10.0.0.2\", \"10.0.0\"]",
            "39: vpc_resolver_addresses `10.0.0`: expected an address such as 10.0.0.5 or 2001:db8::5",
        ),
        (
            "network_interface",
            "private_ip_addresses = [\"224.0.0.1\"]",
            "25: private_ip_addresses `224.0.0.1`: expected the unicast address of an interface",
        ),
        (
            "network_interface",
            "private_ip_addresses = [5]",
            "25: private_ip_addresses `5`: expected a string, got a number",
        ),
        (
            "traffic_mirror_filter",
            "network_services = [\"amazon-ntp\"]",
            "21: network_services `amazon-ntp`: expected amazon-dns, the only network service",
        ),
        (
            "traffic_mirror_filter.rule",
            "source_port_range = { from_port = 70000, to_port = 80000 }",
            "35: from_port `70000`: expected a port from 0 to 65535",
        ),
        (
            "traffic_mirror_filter.rule",
            "source_port_range = { from_port = 1 }",
            "21: to_port is missing: expected a port from 0 to 65535",
        ),
        (
            "traffic_mirror_filter.rule",
            "source_port_range = { from_port = 1, to_port = 2, ports = 3 }",
            "51: unknown key `ports`: expected one of from_port, to_port",
        ),
        (
            "traffic_mirror_session",
            "tags = { Name = 1 }",
            "17: Name `1`: expected a string, got a number",
        ),
    ] {
        let (text, number) = changed(header, line.split(" = ").next().unwrap(), line);
        let errors = error_lines(&read_toml(&text));
        let first = errors.lines().next().unwrap_or_default();
        assert_eq!(first, format!("m.toml:{number}:{complaint}"));
    }
}

#[test]
fn a_missing_required_key_is_an_error() {
    for (header, key, complaint) in [
        ("network_interface", "network_interface_id", "a name such as eni-web"),
        ("traffic_mirror_target", "traffic_mirror_target_id", "a name such as tmt-collector"),
        ("traffic_mirror_filter", "traffic_mirror_filter_id", "a name such as tmf-web"),
        ("traffic_mirror_filter.rule", "traffic_direction", "ingress or egress"),
        ("traffic_mirror_filter.rule", "rule_number", "a number from 1 to 32766"),
        ("traffic_mirror_filter.rule", "rule_action", "accept or reject"),
        ("traffic_mirror_filter.rule", "source_cidr_block", "a CIDR block such as 0.0.0.0/0"),
        ("traffic_mirror_filter.rule", "destination_cidr_block", "a CIDR block such as 0.0.0.0/0"),
        (
            "traffic_mirror_session",
            "network_interface_id",
            "the id of the network interface to mirror",
        ),
        ("traffic_mirror_session", "traffic_mirror_target_id", "the id of a target"),
        ("traffic_mirror_session", "traffic_mirror_filter_id", "the id of a filter"),
        ("traffic_mirror_session", "session_number", "a number from 1 to 32766"),
    ] {
        let (text, _) = changed(header, key, "# nothing");
        let number = 1 + text.lines().position(|line| line == format!("[[{header}]]")).unwrap();
        let errors = error_lines(&read_toml(&text));
        let first = errors.lines().next().unwrap_or_default();
        assert_eq!(first, format!("m.toml:{number}:1: {key} is missing: expected {complaint}"));
    }
}

#[test]
fn optional_keys_may_be_absent() {
    for (header, key) in [
        ("settings", "aws_exclusions"),
        ("settings", "vpc_resolver_addresses"),
        ("network_interface", "device"),
        ("network_interface", "mac_address"),
        ("traffic_mirror_target", "mtu"),
        ("traffic_mirror_target", "network_interface_id"),
        ("traffic_mirror_filter", "network_services"),
        ("traffic_mirror_filter.rule", "traffic_mirror_filter_rule_id"),
        ("traffic_mirror_filter.rule", "source_port_range"),
        ("traffic_mirror_filter.rule", "destination_port_range"),
        ("traffic_mirror_session", "traffic_mirror_session_id"),
        ("traffic_mirror_session", "packet_length"),
        ("traffic_mirror_session", "virtual_network_id"),
        ("traffic_mirror_session", "description"),
        ("traffic_mirror_session", "tags"),
    ] {
        assert!(EXAMPLE_CONFIG.contains(&format!("\n{key} = ")), "{key}");
        let (text, _) = changed(header, key, "# nothing");
        assert_eq!(warning_lines(&read_toml(&text)), "", "{key}");
    }
}

#[test]
fn an_unknown_key_is_an_error_with_a_suggestion() {
    for (header, line, complaint) in [
        (
            "traffic_mirror_session",
            "packet_lenght = 5",
            "unknown key `packet_lenght`: did you mean `packet_length`?",
        ),
        (
            "traffic_mirror_session",
            "vni = 5",
            "unknown key `vni`: expected one of traffic_mirror_session_id, ",
        ),
        (
            "traffic_mirror_filter.rule",
            "source_port = 5",
            "unknown key `source_port`: did you mean `source_port_range`?",
        ),
        (
            "network_interface",
            "mac = \"\"",
            "unknown key `mac`: expected one of network_interface_id, device, ",
        ),
        (
            "settings",
            "exclusions = false",
            "unknown key `exclusions`: expected one of aws_exclusions, ",
        ),
    ] {
        let (text, number) = changed(header, "no such key", line);
        let errors = error_lines(&read_toml(&text));
        assert!(errors.starts_with(&format!("m.toml:{number}:1: {complaint}")), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
    assert_eq!(
        error_lines(&read_toml("[[traffic_mirror_sessions]]\n")),
        "m.toml:1:3: unknown key `traffic_mirror_sessions`: did you mean `traffic_mirror_session`?"
    );
}

#[test]
fn a_table_instead_of_an_array_of_tables_is_an_error() {
    let errors = error_lines(&read_toml("[network_interface]\nnetwork_interface_id = \"a\"\n"));
    assert_eq!(
        errors,
        "m.toml:1:1: network_interface `{...}`: expected a list of tables, \
         each headed [[network_interface]], got a table"
    );
    let text =
        EXAMPLE_CONFIG.replace("[[traffic_mirror_filter.rule]]", "[traffic_mirror_filter.rule]");
    let errors = error_lines(&read_toml(&text));
    assert!(errors.contains("each headed [[traffic_mirror_filter.rule]], got a table"), "{errors}");
    let errors = error_lines(&read_toml("traffic_mirror_session = [1]\n"));
    assert_eq!(errors, "m.toml:1:27: traffic_mirror_session `1`: expected a table, got a number");
    let errors = error_lines(&read_toml("settings = 5"));
    assert_eq!(errors, "m.toml:1:12: settings `5`: expected a table, got a number");
}

#[test]
fn ports_need_protocol_tcp_or_udp() {
    for line in ["# no protocol", "protocol = 1"] {
        let (text, _) = changed("traffic_mirror_filter.rule", "protocol", line);
        assert_eq!(
            error_lines(&read_toml(&text)),
            "m.toml:29:21: source_port_range `1024-65535`: \
             expected no port range, or protocol 6 (TCP) or 17 (UDP) beside it\n\
             m.toml:30:26: destination_port_range `443-443`: \
             expected no port range, or protocol 6 (TCP) or 17 (UDP) beside it"
        );
    }
    let (text, _) = changed("traffic_mirror_filter.rule", "protocol", "protocol = 17");
    assert_eq!(warning_lines(&read_toml(&text)), "");
}

#[test]
fn a_target_has_at_most_one_kind() {
    let line = "network_load_balancer_arn = \"arn:x\"";
    let (text, number) = changed("traffic_mirror_target", "none", line);
    assert_eq!(
        error_lines(&read_toml(&text)),
        format!(
            "m.toml:{number}:29: network_load_balancer_arn `arn:x`: \
             expected only one kind of target, but network_interface_id is given too"
        )
    );
}

#[test]
fn every_key_of_the_example_is_read() {
    let registry = read_toml(EXAMPLE_CONFIG).registry.unwrap();
    assert!(registry.settings().aws_exclusions);
    assert_eq!(registry.settings().vpc_resolver_addresses[0].to_string(), "10.0.0.2");
    let interface = &registry.network_interfaces()[0];
    assert_eq!(interface.device.as_deref(), Some("eth0"));
    assert_eq!(interface.mac_address.unwrap().to_string(), "02:29:23:74:c7:7d");
    assert_eq!(interface.private_ip_addresses[0].to_string(), "10.0.0.5");
    let target = &registry.targets()[0];
    assert_eq!(target.address.unwrap().to_string(), "192.0.2.10:4789");
    assert_eq!(target.mtu.unwrap().value(), 1500);
    let session = &registry.sessions()[0];
    assert_eq!(session.id.as_ref().unwrap().as_str(), "tms-0a1b2c3d4e5f60718");
    assert_eq!(session.number.value(), 1);
    assert_eq!(session.packet_length.unwrap().value(), 128);
    assert_eq!(session.virtual_network_id.unwrap().value(), 4242);
    assert_eq!(session.description.as_deref(), Some("..."));
    assert_eq!(session.tags["Name"], "x");
}

#[test]
fn every_key_of_a_rule_is_read() {
    let registry = read_toml(EXAMPLE_CONFIG).registry.unwrap();
    let filter = &registry.filters()[0];
    assert!(filter.amazon_dns);
    let rule = &filter.all_rules()[0];
    assert_eq!((rule.direction(), rule.action()), (Direction::Ingress, RuleAction::Accept));
    assert_eq!((rule.number().value(), rule.protocol().unwrap().0), (100, 6));
    assert_eq!(rule.source().to_string(), "0.0.0.0/0");
    assert_eq!(rule.destination().to_string(), "10.0.0.0/8");
    assert_eq!(rule.source_ports().unwrap().to_string(), "1024-65535");
    assert_eq!(rule.destination_ports().unwrap().to_string(), "443-443");
}

#[test]
fn an_error_has_the_full_key_path() {
    let (text, _) = changed("traffic_mirror_filter.rule", "protocol", "protocol = 300");
    let outcome = read_toml(&text);
    assert_eq!(outcome.problems[0].path, "traffic_mirror_filter[0].rule[0].protocol");
    assert_eq!(outcome.problems[0].field, "protocol");
    assert_eq!(outcome.problems[0].location.line_and_column, Some((26, 12)));
}

/// The filter of a text with one rule. Its values do not depend on upper and lower case.
fn assert_is_rule_in_any_case(name: &str, text: &str) {
    for text in [text.to_owned(), text.replace("ACCEPT", "Accept").replace("EGRESS", "eGress")] {
        let outcome = read_texts(&[Text::new(name, &text)]);
        assert_eq!(error_lines(&outcome), "", "{text}");
        let registry = outcome.registry.unwrap();
        let filter = &registry.filters()[0];
        let rule = &filter.all_rules()[0];
        assert!(filter.amazon_dns, "{text}");
        assert_eq!((rule.action(), rule.direction()), (RuleAction::Accept, Direction::Egress));
        assert_eq!(rule.protocol().map(|protocol| protocol.0), Some(6), "{text}");
    }
}

#[test]
fn enumeration_values_are_read_in_upper_lower_and_mixed_case() {
    assert_is_rule_in_any_case(
        "m.toml",
        "[[traffic_mirror_filter]]
traffic_mirror_filter_id = 'f'
network_services = ['Amazon-DNS']
[[traffic_mirror_filter.rule]]
traffic_direction = 'EGRESS'
rule_number = 1
rule_action = 'ACCEPT'
protocol = 'Tcp'
source_cidr_block = '::/0'
destination_cidr_block = '::/0'",
    );
    assert_is_rule_in_any_case(
        "m.json",
        r#"{"TrafficMirrorFilters": [{"TrafficMirrorFilterId": "f", "NetworkServices": ["AMAZON-DNS"],
            "EgressFilterRules": [{"TrafficDirection": "EGRESS", "RuleNumber": 1,
            "RuleAction": "ACCEPT", "Protocol": "TCP", "SourceCidrBlock": "::/0",
            "DestinationCidrBlock": "::/0"}]}]}"#,
    );
    assert_is_rule_in_any_case(
        "m.yaml",
        "Resources:
  Filter:
    Type: AWS::EC2::TrafficMirrorFilter
    Properties: {NetworkServices: [Amazon-Dns]}
  Rule:
    Type: AWS::EC2::TrafficMirrorFilterRule
    Properties:
      TrafficMirrorFilterId: !Ref Filter
      TrafficDirection: EGRESS
      RuleNumber: 1
      RuleAction: ACCEPT
      Protocol: tCP
      SourceCidrBlock: ::/0
      DestinationCidrBlock: ::/0
",
    );
    assert_is_rule_in_any_case(
        "state.json",
        r#"{"format_version": "1.0", "terraform_version": "1.9.0", "values": {"root_module":
            {"resources": [{"address": "aws_ec2_traffic_mirror_filter.f", "mode": "managed",
            "type": "aws_ec2_traffic_mirror_filter", "values": {"id": "f",
            "network_services": ["Amazon-DNS"]}},
            {"address": "aws_ec2_traffic_mirror_filter_rule.r", "mode": "managed",
            "type": "aws_ec2_traffic_mirror_filter_rule", "values": {"id": "r",
            "traffic_mirror_filter_id": "f", "traffic_direction": "EGRESS", "rule_number": 1,
            "rule_action": "ACCEPT", "protocol": "TCP", "source_cidr_block": "::/0",
            "destination_cidr_block": "::/0"}}]}}}"#,
    );
}

#[test]
fn an_invalid_resource_is_not_reported_again_at_its_session() {
    let valid = one_session("", "192.0.2.1", &["ingress"]);
    let gateway =
        "gateway_load_balancer_endpoint_id = \"vpce-0123456789abcdef0\"\nmtu = 100\naddress";
    let target = "[[traffic_mirror_target]]\ntraffic_mirror_target_id = \"tmt-1\"";
    let filter = "[[traffic_mirror_filter]]\ntraffic_mirror_filter_id = \"tmf-1\"";
    let interface = "[[network_interface]]\nnetwork_interface_id = \"eni-1\"";
    for (part, invalid, error) in [
        ("address", gateway, "mtu `100`"),
        (target, "[[traffic_mirror_target]]\ntraffic_mirror_target_id = 5", "`5`"),
        (filter, "[[traffic_mirror_filter]]\ntraffic_mirror_filter_id = \" \"", "` `"),
        (interface, "[[network_interface]]\nnetwork_interface_id = true", "`true`"),
    ] {
        assert!(valid.contains(part), "{part}");
        let errors = error_lines(&read_toml(&valid.replacen(part, invalid, 1)));
        assert!(errors.lines().count() == 1 && errors.contains(error), "{errors}");
    }
    // A wrong reference is still reported beside an invalid resource of the kind.
    let wrong = session(2, "eni-1", "tmt-x", "tmf-1");
    let errors = error_lines(&read_toml(&(valid.replacen("address", gateway, 1) + &wrong)));
    assert!(errors.lines().count() == 2 && errors.contains("`tmt-x`"), "{errors}");
}
