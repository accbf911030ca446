//! Output of the AWS CLI as a configuration.

use traffic_mirror::control::config::{ParsedConfig, Text, read_texts};
use traffic_mirror::model::{Direction, TargetKind};

use crate::{error_lines, warning_lines};

const SESSIONS: &str = r#"{
    "TrafficMirrorSessions": [
        {
            "TrafficMirrorSessionId": "tms-08a33b1214EXAMPLE",
            "TrafficMirrorTargetId": "tmt-07f75d8feeEXAMPLE",
            "TrafficMirrorFilterId": "tmf-04812ff784EXAMPLE",
            "NetworkInterfaceId": "eni-070203f901EXAMPLE",
            "OwnerId": "111122223333",
            "PacketLength": 20,
            "SessionNumber": 1,
            "VirtualNetworkId": 7159709,
            "Description": "TCP Session",
            "Tags": [{"Key": "Name", "Value": "caf\u00e9 \ud83d\ude00"}, {"Key": "empty"}]
        }
    ]
}"#;

const FILTERS: &str = r#"{
    "TrafficMirrorFilters": [
        {
            "TrafficMirrorFilterId": "tmf-04812ff784EXAMPLE",
            "IngressFilterRules": [
                {
                    "TrafficMirrorFilterRuleId": "tmfr-02d20d996673f3732",
                    "TrafficMirrorFilterId": "tmf-04812ff784EXAMPLE",
                    "TrafficDirection": "ingress",
                    "Description": "TCP Rule",
                    "RuleNumber": 1,
                    "RuleAction": "accept",
                    "Protocol": 6,
                    "DestinationPortRange": {"FromPort": 443, "ToPort": 443},
                    "DestinationCidrBlock": "0.0.0.0/0",
                    "SourceCidrBlock": "0.0.0.0/0"
                }
            ],
            "EgressFilterRules": [
                {
                    "TrafficMirrorFilterRuleId": "tmfr-0a1b2c3d4e5f60718",
                    "RuleNumber": 1,
                    "RuleAction": "reject",
                    "DestinationCidrBlock": "::/0",
                    "SourceCidrBlock": "::/0"
                }
            ],
            "NetworkServices": ["amazon-dns"],
            "Description": "",
            "Tags": []
        }
    ]
}"#;

const TARGETS: &str = r#"{
    "TrafficMirrorTargets": [
        {
            "TrafficMirrorTargetId": "tmt-07f75d8feeEXAMPLE",
            "NetworkInterfaceId": "eni-0f",
            "Type": "network-interface",
            "OwnerId": "111122223333",
            "Tags": []
        }
    ],
    "NextToken": null
}"#;

const INTERFACES: &str = r#"{
    "NetworkInterfaces": [
        {
            "Attachment": {"DeviceIndex": 0, "Status": "attached"},
            "Description": "",
            "Groups": [{"GroupName": "default", "GroupId": "sg-1"}],
            "Ipv6Addresses": [{"Ipv6Address": "2001:db8::6"},
                              {"Ipv6Address": "2001:db8::5", "IsPrimaryIpv6": true}],
            "MacAddress": "02:29:23:74:c7:7d",
            "NetworkInterfaceId": "eni-070203f901EXAMPLE",
            "PrivateIpAddress": "10.0.0.5",
            "PrivateIpAddresses": [
                {"Primary": false, "PrivateIpAddress": "10.0.0.6"},
                {"Association": {"PublicIp": "198.51.100.7"}, "Primary": true,
                 "PrivateIpAddress": "10.0.0.5"}
            ],
            "TagSet": [{"Key": "Name", "Value": "web"}]
        },
        {
            "NetworkInterfaceId": "eni-0f",
            "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.9.9", "Primary": true}]
        }
    ]
}"#;

fn read_config(texts: &[(&str, &str)]) -> ParsedConfig {
    let texts: Vec<Text<'_>> = texts.iter().map(|(name, text)| Text::new(name, text)).collect();
    read_texts(&texts)
}

fn account() -> Vec<(&'static str, &'static str)> {
    vec![
        ("sessions.json", SESSIONS),
        ("filters.json", FILTERS),
        ("targets.json", TARGETS),
        ("interfaces.json", INTERFACES),
    ]
}

#[test]
fn an_account_is_read_from_its_describe_calls() {
    let outcome = read_config(&account());
    assert_eq!(warning_lines(&outcome), "");
    let registry = outcome.registry.unwrap();
    let session = &registry.sessions()[0];
    assert_eq!(session.id.as_ref().unwrap().as_str(), "tms-08a33b1214EXAMPLE");
    assert_eq!(session.packet_length.unwrap().value(), 20);
    assert_eq!(session.virtual_network_id.unwrap().value(), 7_159_709);
    assert_eq!(session.description.as_deref(), Some("TCP Session"));
    assert_eq!((&*session.tags["Name"], &*session.tags["empty"]), ("café 😀", ""));
    let filter = &registry.filters()[0];
    assert!(filter.amazon_dns && filter.description.is_none() && filter.tags.is_empty());
    let [ingress, egress] = filter.all_rules() else { panic!("two rules") };
    assert_eq!(ingress.direction(), Direction::Ingress);
    assert_eq!(ingress.id.as_ref().unwrap().as_str(), "tmfr-02d20d996673f3732");
    assert_eq!(ingress.destination_ports().unwrap().to_string(), "443-443");
    assert_eq!((egress.direction(), egress.protocol()), (Direction::Egress, None));
    let target = &registry.targets()[0];
    assert!(matches!(&target.kind, TargetKind::NetworkInterface(id) if id.as_str() == "eni-0f"));
    assert_eq!(registry.target_address(target).unwrap().to_string(), "10.0.9.9:4789");
    let interface = &registry.network_interfaces()[0];
    let addresses: Vec<String> =
        interface.private_ip_addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.0.0.5", "10.0.0.6", "2001:db8::5", "2001:db8::6"]);
    assert_eq!(interface.tags["Name"], "web");
}

#[test]
fn one_object_and_a_list_of_one_are_equal() {
    let texts = account();
    let whole: Vec<&str> = texts.iter().map(|(_, text)| *text).collect();
    let list = format!("[{}]", whole.join(","));
    assert_eq!(read_config(&[("all.json", &list)]).registry, read_config(&texts).registry);
}

#[test]
fn toml_adds_fields_to_json_resources() {
    let balancer = TARGETS.replace(
        r#""NetworkInterfaceId": "eni-0f""#,
        r#""NetworkLoadBalancerArn": "arn:aws:x", "Description": "nlb""#,
    );
    let mut texts = account();
    texts[2].1 = &balancer;
    let outcome = read_config(&texts);
    assert_eq!(error_lines(&outcome), "");
    assert_eq!(
        warning_lines(&outcome).lines().find(|line| line.starts_with("targets.json")).unwrap(),
        "targets.json:3:9: target `tmt-07f75d8feeEXAMPLE` has no address, so its copies are dropped: \
         no address is known for the load balancer `arn:aws:x`; set it with --load-balancer \
         NAME=ADDRESS, with --default-target ADDRESS, with the tag mirror:address, or with `address` \
         in a [[traffic_mirror_target]] of this id in a TOML file"
    );
    let toml = "\
[[traffic_mirror_target]]
traffic_mirror_target_id = \"tmt-07f75d8feeEXAMPLE\"
address = \"192.0.2.1\"
[[network_interface]]
network_interface_id = \"eni-070203f901EXAMPLE\"
device = \"eth0\"
private_ip_addresses = [\"10.9.9.9\"]
[[traffic_mirror_session]]
traffic_mirror_session_id = \"tms-08a33b1214EXAMPLE\"
packet_length = 99
";
    texts.insert(0, ("here.toml", toml));
    let outcome = read_config(&texts);
    assert_eq!(error_lines(&outcome), "");
    let registry = outcome.registry.unwrap();
    let target = &registry.targets()[0];
    assert_eq!(target.address.unwrap().to_string(), "192.0.2.1:4789");
    assert!(matches!(&target.kind, TargetKind::NetworkLoadBalancer(arn) if arn == "arn:aws:x"));
    assert_eq!(target.description.as_deref(), Some("nlb"));
    let interface = &registry.network_interfaces()[0];
    assert_eq!(interface.device.as_deref(), Some("eth0"));
    assert_eq!(interface.mac_address.unwrap().to_string(), "02:29:23:74:c7:7d");
    assert_eq!(interface.private_ip_addresses.len(), 1);
    assert_eq!(registry.sessions()[0].packet_length.unwrap().value(), 99);
    assert_eq!(registry.sessions()[0].number.value(), 1);
}

#[test]
fn a_toml_file_may_change_the_kind_of_a_target() {
    let toml = "\
[[traffic_mirror_target]]
traffic_mirror_target_id = \"tmt-07f75d8feeEXAMPLE\"
gateway_load_balancer_endpoint_id = \"vpce-1\"
address = \"192.0.2.1\"
";
    let mut texts = account();
    texts.push(("here.toml", toml));
    let registry = read_config(&texts).registry.unwrap();
    assert!(matches!(
        &registry.targets()[0].kind,
        TargetKind::GatewayLoadBalancerEndpoint(id) if id == "vpce-1"
    ));
}

const RULES: &str = r#"{"TrafficMirrorFilterRules": [
    {"TrafficMirrorFilterRuleId": "tmfr-02d20d996673f3732",
     "TrafficMirrorFilterId": "tmf-04812ff784EXAMPLE", "TrafficDirection": "ingress",
     "RuleNumber": 1, "RuleAction": "accept", "Protocol": 6,
     "SourceCidrBlock": "0.0.0.0/0", "DestinationCidrBlock": "0.0.0.0/0"},
    {"TrafficMirrorFilterRuleId": "tmfr-03",
     "TrafficMirrorFilterId": "tmf-04812ff784EXAMPLE", "TrafficDirection": "ingress",
     "RuleNumber": 2, "RuleAction": "accept",
     "SourceCidrBlock": "0.0.0.0/0", "DestinationCidrBlock": "0.0.0.0/0",
     "Tags": [{"Key": "k", "Value": "v"}]}
]}"#;

#[test]
fn separately_listed_rules_are_added_to_their_filter_once() {
    let mut texts = account();
    texts.insert(0, ("rules.json", RULES));
    let outcome = read_config(&texts);
    assert_eq!(warning_lines(&outcome), "");
    let registry = outcome.registry.unwrap();
    let ids: Vec<&str> = registry.filters()[0]
        .all_rules()
        .iter()
        .map(|rule| rule.id.as_ref().unwrap().as_str())
        .collect();
    assert_eq!(ids, ["tmfr-02d20d996673f3732", "tmfr-03", "tmfr-0a1b2c3d4e5f60718"]);
    assert_eq!(registry.filters()[0].all_rules()[1].tags["k"], "v");
}

#[test]
fn separately_listed_rules_may_belong_to_a_toml_filter() {
    let filter =
        "[[traffic_mirror_filter]]\ntraffic_mirror_filter_id = \"tmf-04812ff784EXAMPLE\"\n";
    let outcome = read_config(&[("rules.json", RULES), ("f.toml", filter)]);
    assert_eq!(error_lines(&outcome), "");
    assert_eq!(outcome.registry.unwrap().filters()[0].all_rules().len(), 2);
}

#[test]
fn a_rule_of_an_unknown_filter_is_an_error() {
    let rules = RULES.replacen("tmf-04812ff784EXAMPLE", "tmf-no", 1);
    let mut texts = account();
    texts.push(("rules.json", &rules));
    assert_eq!(
        error_lines(&read_config(&texts)),
        "rules.json:3:31: TrafficMirrorFilterId `tmf-no`: expected the id of a filter: \
         `tmf-04812ff784EXAMPLE`"
    );
    let rules = r#"{"TrafficMirrorFilterRules": [{}]}"#;
    let errors = error_lines(&read_config(&[("rules.json", rules)]));
    assert!(errors.starts_with("rules.json:1:31: TrafficMirrorFilterId is missing"), "{errors}");
}

#[test]
fn errors_use_the_field_names_of_the_api() {
    let text = r#"{
  "TrafficMirrorSessions": [{
    "NetworkInterfaceId": "eni-x",
    "TrafficMirrorTargetId": 5,
    "SessionNumber": "1",
    "PacketLength": 8501,
    "Tags": [{"Value": "v"}, 5, {"Key": 1}, {"Key": "a", "Value": 1}]
  }],
  "TrafficMirrorFilters": [{
    "TrafficMirrorFilterId": "f",
    "IngressFilterRules": [{
      "TrafficDirection": "egress", "RuleNumber": 0, "RuleAction": "Accepts", "Protocol": -1,
      "SourceCidrBlock": "10.0.0.0/8", "DestinationCidrBlock": "::/0",
      "SourcePortRange": {"FromPort": 1}
    }]
  }],
  "TrafficMirrorTargets": {},
  "NetworkInterfaces": [5, {"PrivateIpAddresses": 5, "Ipv6Addresses": [{"Ipv6Address": 5}]}]
}"#;
    assert_eq!(
        error_lines(&read_config(&[("a.json", text)])),
        "\
a.json:2:29: TrafficMirrorFilterId is missing: expected the id of a filter
a.json:4:30: TrafficMirrorTargetId `5`: expected a string, got a number
a.json:5:22: SessionNumber `1`: expected a number, got a string
a.json:6:21: PacketLength `8501`: expected a number from 1 to 8500
a.json:7:14: Key is missing: expected the key of a tag
a.json:7:30: Tags `5`: expected a table, got a number
a.json:7:41: Key `1`: expected a string, got a number
a.json:7:67: Value `1`: expected a string, got a number
a.json:12:27: TrafficDirection `egress`: expected ingress, because it is listed in IngressFilterRules
a.json:12:51: RuleNumber `0`: expected a number from 1 to 32766
a.json:12:68: RuleAction `Accepts`: expected accept or reject
a.json:12:91: Protocol `-1`: expected an IANA number from 0 to 255, or nothing for all protocols
a.json:13:64: DestinationCidrBlock `::/0`: expected an IPv4 block, as source_cidr_block is 10.0.0.0/8
a.json:14:26: ToPort is missing: expected a port from 0 to 65535
a.json:17:27: TrafficMirrorTargets `{...}`: expected a list of tables, got a table
a.json:18:25: NetworkInterfaces `5`: expected a table, got a number
a.json:18:28: NetworkInterfaceId is missing: expected a name such as eni-web
a.json:18:51: PrivateIpAddresses `5`: expected a list of tables, got a number
a.json:18:88: PrivateIpAddresses `5`: expected a string, got a number"
    );
}

#[test]
fn unrecognised_json_is_an_error_with_the_expected_content() {
    let keys = "TrafficMirrorSessions, TrafficMirrorFilters, TrafficMirrorFilterRules, \
                TrafficMirrorTargets, NetworkInterfaces, a CloudFormation template with Resources, \
                or what `terraform show -json` prints";
    for text in [r#"{"Reservations": []}"#, "{}", "[]", "[{}]"] {
        assert_eq!(
            error_lines(&read_config(&[("a.json", text)])),
            format!("a.json:1:1: expected an object with one of the keys {keys}")
        );
    }
    for (text, kind) in [("5", "a number"), ("\"x\"", "a string"), ("null", "null")] {
        assert_eq!(
            error_lines(&read_config(&[("a.json", text)])),
            format!("a.json:1:1: expected a JSON object, got {kind}")
        );
    }
}

#[test]
fn a_resource_in_two_json_files_is_an_error() {
    let mut texts = account();
    texts.push(("again.json", TARGETS));
    assert_eq!(
        error_lines(&read_config(&texts)),
        "again.json:4:38: TrafficMirrorTargetId `tmt-07f75d8feeEXAMPLE`: expected an id that no \
         other target has, but it is already given in targets.json:4"
    );
}

#[test]
fn null_equals_an_absent_field() {
    let sessions = SESSIONS.replace("\"PacketLength\": 20", "\"PacketLength\": null");
    let interfaces = INTERFACES
        .replace("\"TagSet\": [{\"Key\": \"Name\", \"Value\": \"web\"}]", "\"TagSet\": null");
    let mut texts = account();
    texts[0].1 = &sessions;
    texts[3].1 = &interfaces;
    let registry = read_config(&texts).registry.unwrap();
    assert!(registry.sessions()[0].packet_length.is_none());
    assert!(registry.network_interfaces()[0].tags.is_empty());
    let outcome = read_config(&[("a.json", r#"{"TrafficMirrorSessions": null}"#)]);
    assert_eq!(error_lines(&outcome), "");
}

#[test]
fn a_rule_that_names_another_filter_than_its_own_is_refused() {
    let text = FILTERS.replacen(
        "\"TrafficMirrorFilterId\": \"tmf-04812ff784EXAMPLE\",\n                    \"TrafficDirection\"",
        "\"TrafficMirrorFilterId\": \"tmf-other\",\n                    \"TrafficDirection\"",
        1,
    );
    assert!(text.contains("tmf-other"));
    let errors = error_lines(&read_texts(&[Text::new("filters.json", &text)]));
    let part = "`tmf-other`: expected tmf-04812ff784EXAMPLE, the filter that lists the rule";
    assert!(errors.contains(part), "{errors}");
}
