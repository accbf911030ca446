//! CloudFormation templates, and plans and states of Terraform, as a configuration.

use traffic_mirror::control::Registry;
use traffic_mirror::control::config::{ParsedConfig, Text, read_texts};
use traffic_mirror::control::render::to_toml;

use crate::error_lines;

const TEMPLATE: &str = include_str!("../../pcaps/cloudformation-template/template.yaml");
const PLAN: &str = include_str!("../../pcaps/terraform-plan/plan.json");

fn read(name: &str, text: &str) -> ParsedConfig {
    read_texts(&[Text::new(name, text)])
}

fn registry(name: &str, text: &str) -> Registry {
    read(name, text).into_result().unwrap().0
}

/// The errors of the template with a part replaced.
fn changed(from: &str, to: &str) -> String {
    assert!(TEMPLATE.contains(from), "{from}");
    error_lines(&read("t.yaml", &TEMPLATE.replace(from, to)))
}

#[test]
fn a_cloudformation_template_is_read() {
    let text = to_toml(&registry("t.template", TEMPLATE));
    for line in [
        "network_interface_id = \"Eni\"",
        "private_ip_addresses = [\"10.0.0.5\"]",
        "address = \"192.0.2.10\"",
        "network_load_balancer_arn = \"arn:us-east-1\"",
        "tags = { Name = \"t-web\" }",
        "rule_number = 100",
        "destination_port_range = { from_port = 443, to_port = 443 }",
        "traffic_mirror_target_id = \"Target\"",
        "virtual_network_id = 7",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn a_json_template_equals_the_yaml_template() {
    let json = r#"{"Resources": {
        "F": {"Type": "AWS::EC2::TrafficMirrorFilter"},
        "R": {"Type": "AWS::EC2::TrafficMirrorFilterRule", "Properties": {
            "TrafficMirrorFilterId": {"Fn::GetAtt": ["F", "Id"]}, "TrafficDirection": "egress",
            "RuleNumber": 1, "RuleAction": "reject", "SourceCidrBlock": "0.0.0.0/0",
            "DestinationCidrBlock": "0.0.0.0/0", "Protocol": "17",
            "SourcePortRange": {"FromPort": "53", "ToPort": 53}}},
        "T": {"Type": "AWS::EC2::TrafficMirrorTarget", "Properties": {
            "NetworkInterfaceId": "eni-1", "Description": {"Ref": "AWS::NoValue"},
            "Tags": [{"Key": "mirror:address", "Value": {"Fn::Sub": "192.0.2.${!x}1"}}]}}
    }}"#;
    let refused = error_lines(&read("t.json", json));
    assert!(refused.starts_with("t.json:10:"), "{refused}");
    assert!(refused.contains("`192.0.2.${x}1`: expected in `mirror:address` an address"));
    let registry = registry("t.json", &json.replace("${!x}", ""));
    let rule = &registry.filters()[0].all_rules()[0];
    assert_eq!(rule.source_ports().map(|ports| ports.to_port()), Some(53));
    assert_eq!(registry.network_interfaces()[0].id().as_str(), "eni-1");
}

#[test]
fn a_template_that_cloudformation_refuses_is_an_error() {
    for (from, to, sentence) in [
        (
            "RuleAction: accept",
            "RuleActoin: accept",
            "unknown key `Rule.RuleActoin`: did you mean `RuleAct",
        ),
        ("!GetAtt Target.Id", "!Ref Traget", "TrafficMirrorTargetId `Ref`: expected a resource or"),
        (
            "SessionNumber: !Ref Number",
            "SessionNumber: !If [A, 1, 2]",
            "SessionNumber `Fn::If`: ex",
        ),
        ("    Default: 1\n", "", "expected a parameter with a Default, but `Number` has none"),
        ("\"100\"", "\"x\"", "RuleNumber `x`: expected a number, got a string"),
        ("VirtualNetworkId: 7", "VirtualNetworkId: -1", "VirtualNetworkId `-1`: expected"),
        ("!Ref Filter\n      TrafficDirection", "&a Filter\n      A: *a\n      B", "no alias"),
        ("Resources:", "Resourcen:", "expected a CloudFormation template with Resources"),
    ] {
        let errors = changed(from, to);
        assert!(errors.contains(sentence), "{errors}");
    }
}

#[test]
fn a_plan_without_ids_uses_resource_addresses() {
    let registry = registry("plan.json", PLAN);
    let session = &registry.sessions()[0];
    assert_eq!(session.filter_id.as_str(), "aws_ec2_traffic_mirror_filter.f");
    assert_eq!(session.network_interface_id.as_str(), "eni-0a1b2c3d4e5f60718");
    assert_eq!(registry.filters()[0].all_rules().len(), 1);
    assert_eq!(registry.network_interfaces().len(), 1);
    let refused =
        error_lines(&read("plan.json", &PLAN.replace("\"rule_number\": 1", "\"rule_number\": 0")));
    assert!(refused.contains("rule_number `0`: expected a number from 1 to 32766"), "{refused}");
    let refused = error_lines(&read("plan.json", &PLAN.replace("planned_values", "planned")));
    assert!(refused.contains("what `terraform show -json` prints"), "{refused}");
}

/// A resource with `count` in a module: its address has the module and an index.
#[test]
fn resources_in_modules_have_module_addresses() {
    let plan = r#"{"format_version": "1.2", "terraform_version": "1.11.4", "planned_values": {
        "root_module": {"child_modules": [{"address": "module.m", "resources": [
            {"address": "module.m.aws_ec2_traffic_mirror_filter.f", "mode": "managed",
             "type": "aws_ec2_traffic_mirror_filter", "values": {}},
            {"address": "module.m.aws_ec2_traffic_mirror_filter_rule.r[0]", "mode": "managed",
             "type": "aws_ec2_traffic_mirror_filter_rule", "values": {"rule_number": 7,
             "rule_action": "accept", "traffic_direction": "egress", "protocol": 0,
             "source_cidr_block": "::/0", "destination_cidr_block": "::/0"}}]}]}},
        "configuration": {"root_module": {"module_calls": {"m": {"module": {"resources": [
            {"address": "aws_ec2_traffic_mirror_filter_rule.r", "expressions": {
             "traffic_mirror_filter_id": {"references": [
                "aws_ec2_traffic_mirror_filter.f.id", "aws_ec2_traffic_mirror_filter.f"]}}}]}}}}}}"#;
    let registry = registry("plan.json", plan);
    let filter = &registry.filters()[0];
    assert_eq!(filter.id().as_str(), "module.m.aws_ec2_traffic_mirror_filter.f");
    assert_eq!(filter.all_rules()[0].number().value(), 7);
    assert_eq!(filter.all_rules()[0].protocol(), None);
}

/// A template in YAML and in JSON, with parameters that are lists and numbers that are texts.
#[test]
fn the_same_template_in_yaml_and_json_gives_equal_registries() {
    let yaml = include_str!("infrastructure/stack.yaml");
    let json = include_str!("infrastructure/stack.json");
    let text = to_toml(&registry("stack.yaml", yaml));
    for line in [
        "network_services = [\"amazon-dns\"]",
        "private_ip_addresses = [\"10.0.0.5\"]",
        "address = \"192.0.2.10\"",
        "network_load_balancer_arn = \"Balancer\"",
        "virtual_network_id = 4242",
        "traffic_mirror_filter_id = \"Filter\"",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    for name in ["stack.json", "stack.template", "stack.yml"] {
        assert_eq!(to_toml(&registry(name, json)), text, "{name}");
    }
}

#[test]
fn an_error_names_resource_property_and_value() {
    for (from, to, message) in [
        (
            "VirtualNetworkId: 7",
            "VirtualNetworkId: 99999999",
            "t.yaml:49:25: Session.VirtualNetworkId `99999999`: expected a number from 0 to \
             16777215",
        ),
        (
            "VirtualNetworkId: 7",
            "VirtualNetworkId: 007",
            "t.yaml:49:25: Session.VirtualNetworkId `007`: expected a number without a leading \
             zero, which some parsers read as octal",
        ),
        (
            "!Ref Eni",
            "!GetAtt Filter.Arn",
            "t.yaml:45:27: Session.NetworkInterfaceId `Fn::GetAtt`: expected Filter.Id: \
             AWS::EC2::TrafficMirrorFilter has no attribute `Arn`",
        ),
        (
            "192.0.2.10}",
            "nowhere}",
            "t.yaml:40:13: Target.Tags `nowhere`: expected in `mirror:address` an address such as \
             192.0.2.10, 192.0.2.10:4789 or [2001:db8::1]:4789",
        ),
        (
            "      SessionNumber: !Ref Number\n",
            "",
            "t.yaml:41:3: Session.SessionNumber is missing: expected a number from 1 to 32766",
        ),
    ] {
        assert_eq!(changed(from, to), message);
    }
    let more = TEMPLATE.replace("Value: 192.0.2.10}", "Value: 192.0.2.10}, {Key: n, Value: 5}");
    assert!(to_toml(&registry("t.yaml", &more)).contains("n = \"5\""));
}

/// What Terraform 1.11 and its AWS provider 5.100 planned: a module whose variables say which
/// filter and interface, and rules for each direction.
const MODULES: &str = include_str!("infrastructure/plan.json");

#[test]
fn plan_references_cross_modules_and_select_an_index() {
    let registry = registry("plan.json", MODULES);
    let filter = "aws_ec2_traffic_mirror_filter.web";
    let [web, second] = registry.sessions() else { panic!("expected two sessions") };
    assert_eq!((web.filter_id.as_str(), second.filter_id.as_str()), (filter, filter));
    assert_eq!(second.network_interface_id.as_str(), "aws_network_interface.web");
    assert_eq!(second.target_id.as_str(), "module.more.aws_ec2_traffic_mirror_target.second");
    let addresses: Vec<String> = registry
        .targets()
        .iter()
        .filter_map(|target| Some(registry.target_address(target)?.to_string()))
        .collect();
    assert_eq!(addresses, ["10.0.0.9:4789", "192.0.2.11:4790"]);
    assert_eq!(registry.filters()[0].all_rules().len(), 2);
}

#[test]
fn an_unresolvable_plan_reference_is_an_error_with_its_address() {
    let refused = |from: &str, to: &str| {
        assert!(MODULES.contains(from), "{from}");
        error_lines(&read("plan.json", &MODULES.replace(from, to)))
    };
    let errors = refused("\"aws_ec2_traffic_mirror_target.collector.id\"", "\"local.target\"");
    assert_eq!(errors, "", "the resource itself is still named");
    let errors = refused(
        "\"aws_ec2_traffic_mirror_target.collector.id\",",
        "\"aws_ec2_traffic_mirror_target.other.id\",",
    );
    assert!(
        errors.contains(
            "aws_ec2_traffic_mirror_session.web.traffic_mirror_target_id \
             `aws_ec2_traffic_mirror_target.collector or aws_ec2_traffic_mirror_target.other`: \
             expected references, variables and outputs that the plan resolves to one resource"
        ),
        "{errors}"
    );
    let errors = refused("\"var.filter_id\"", "\"local.filter\"");
    assert!(
        errors.contains("second[0].traffic_mirror_filter_id `local.filter`: expected"),
        "{errors}"
    );
    let errors = refused("\"packet_length\": 128", "\"packet_length\": 9000");
    assert!(
        errors.contains(
            ": aws_ec2_traffic_mirror_session.web.packet_length `9000`: expected a number from 1 \
             to 8500"
        ),
        "{errors}"
    );
}

#[test]
fn a_state_without_resources_is_valid() {
    let outcome = read("state.json", r#"{"format_version": "1.0"}"#);
    assert_eq!(error_lines(&outcome), "");
    assert_eq!(outcome.registry.unwrap(), Registry::default());
}

/// A second block must not be dropped silently.
#[test]
fn a_second_port_range_is_refused() {
    let rule = |range: &str| {
        format!(
            r#"{{"format_version": "1.0", "terraform_version": "1.11.4", "values": {{
            "root_module": {{"resources": [
            {{"address": "aws_ec2_traffic_mirror_filter.f", "mode": "managed",
             "type": "aws_ec2_traffic_mirror_filter", "values": {{"id": "tmf-1"}}}},
            {{"address": "aws_ec2_traffic_mirror_filter_rule.r", "mode": "managed",
             "type": "aws_ec2_traffic_mirror_filter_rule", "values": {{"id": "tmfr-1",
             "traffic_mirror_filter_id": "tmf-1", "rule_number": 7, "protocol": 17,
             "rule_action": "accept", "traffic_direction": "egress",
             "destination_port_range": [{range}],
             "source_cidr_block": "::/0", "destination_cidr_block": "::/0"}}}}]}}}}}}"#
        )
    };
    let one = r#"{"from_port": 1, "to_port": 2}"#;
    assert_eq!(error_lines(&read("state.json", &rule(one))), "");
    let refused = error_lines(&read("state.json", &rule(&format!("{one}, {one}"))));
    assert!(refused.contains("destination_port_range"), "{refused}");
    assert!(refused.contains("expected a table, got a list"), "{refused}");
}

#[test]
fn modules_that_are_nested_too_deep_are_refused() {
    let mut module = String::from("{}");
    for _ in 0..20 {
        module = format!("{{\"child_modules\": [{module}]}}");
    }
    let state = format!(
        "{{\"format_version\": \"1.0\", \"terraform_version\": \"1.11.4\", \
         \"values\": {{\"root_module\": {module}}}}}"
    );
    let refused = error_lines(&read("state.json", &state));
    assert!(refused.contains("modules at most 12 deep"), "{refused}");
}

/// The address of an interface may be a parameter.
#[test]
fn the_address_of_an_interface_may_be_a_parameter() {
    let template = TEMPLATE
        .replace("Parameters:\n", "Parameters:\n  Own:\n    Type: String\n    Default: 10.0.0.77\n")
        .replace("PrivateIpAddress: 10.0.0.5", "PrivateIpAddress: !Ref Own");
    assert!(template.contains("!Ref Own") && template.contains("10.0.0.77"));
    let text = to_toml(&registry("t.yaml", &template));
    assert!(text.contains("private_ip_addresses = [\"10.0.0.77\"]"), "{text}");
}
