//! Keys, locals and `for_each` in plans of Terraform, and files that are not plans.

use traffic_mirror::control::Registry;
use traffic_mirror::control::config::{
    ParameterValues, ParsedConfig, Text, read_texts, read_texts_with,
};
use traffic_mirror::control::render::to_toml;

use crate::error_lines;

/// What Terraform 1.11 and its AWS provider 5.100 planned, without values that are not read.
const PLAN: &str = include_str!("infrastructure/keys.json");

fn read(text: &str, options: &[&str]) -> ParsedConfig {
    let mut values = ParameterValues::default();
    options.iter().for_each(|option| values.add_option(option).unwrap());
    read_texts_with(&[Text::new("plan.json", text)], &values)
}

/// The interface, filter and target of a session.
fn references(registry: &Registry, id: &str) -> (String, String, String) {
    let has_id = |one: &&traffic_mirror::model::Session| {
        one.id.as_ref().is_some_and(|own| own.as_str() == id)
    };
    let session = registry.sessions().iter().find(has_id).unwrap();
    let (interface, filter) = (&session.network_interface_id, &session.filter_id);
    (interface.to_string(), filter.to_string(), session.target_id.to_string())
}

#[test]
fn references_with_keys_are_resolved() {
    let outcome = read(PLAN, &[]);
    assert_eq!(error_lines(&outcome), "");
    let registry = outcome.registry.unwrap();
    let (fe, filter) = ("aws_network_interface.fe", "aws_ec2_traffic_mirror_filter");
    let in_module = |name: &str| format!("module.{name}.{filter}.own");
    for (session, interface, filter) in [
        ("literal", format!("{fe}[\"a\"]"), format!("{filter}.f[\"web\"]")),
        ("instance", "aws_instance.web[0]".to_owned(), format!("{filter}.f[\"db\"]")),
        ("attached", "aws_network_interface.own".to_owned(), format!("{filter}.f[\"db\"]")),
        ("counted[1]", "aws_instance.web[1]".to_owned(), format!("{filter}.f[\"web\"]")),
        ("each_value[\"b\"]", format!("{fe}[\"b\"]"), in_module("m[\"b\"]")),
        ("via_module", format!("{fe}[\"b\"]"), in_module("c[1]")),
    ] {
        let id = format!("aws_ec2_traffic_mirror_session.{session}");
        let target = "aws_ec2_traffic_mirror_target.t".to_owned();
        assert_eq!(references(&registry, &id), (interface, filter, target), "{session}");
    }
    let own = references(&registry, "module.m[\"a\"].aws_ec2_traffic_mirror_session.s[0]");
    assert_eq!((own.0, own.1), (format!("{fe}[\"a\"]"), in_module("m[\"a\"]")));
    let toml = to_toml(&registry);
    assert!(toml.contains("\"aws_instance.web[1]\"\nprivate_ip_addresses = [\"10.0.1.6\"]"));
    // Protocol 0 means all protocols.
    assert!(
        registry
            .filters()
            .iter()
            .all(|one| one.all_rules().iter().all(|rule| rule.protocol().is_none()))
    );
}

#[test]
fn what_the_plan_does_not_resolve_is_an_error_with_the_option_that_gives_it() {
    let precise = "\"aws_network_interface.fe[\\\"a\\\"].id\", \"aws_network_interface.fe[\\\"a\\\"]\", \"aws_network_interface.fe\"";
    for replacement in ["\"local.eni\"", "\"aws_network_interface.fe\""] {
        assert!(PLAN.contains(precise));
        let plan = PLAN.replacen(precise, replacement, 1);
        let errors = error_lines(&read(&plan, &[]));
        let option =
            "--parameter 'aws_ec2_traffic_mirror_session.literal.network_interface_id=VALUE'";
        assert!(errors.contains("session.literal.network_interface_id `"), "{errors}");
        assert!(errors.contains(option), "{errors}");
        let given = "aws_ec2_traffic_mirror_session.literal.network_interface_id=eni-1";
        let registry = read(&plan, &[given]).registry.unwrap();
        let session = references(&registry, "aws_ec2_traffic_mirror_session.literal");
        assert_eq!(session.0, "eni-1");
    }
    let plan = PLAN.replacen(precise, "\"local.eni\"", 1);
    let registry = read(&plan, &["local.eni=eni-2"]).registry.unwrap();
    assert_eq!(references(&registry, "aws_ec2_traffic_mirror_session.literal").0, "eni-2");
}

#[test]
fn a_reference_to_an_argument_is_followed() {
    let plan = PLAN.replacen(
        "\"aws_network_interface.sensor.id\", \"aws_network_interface.sensor\"",
        "\"aws_instance.attached.network_interface_id\", \"aws_instance.attached\"",
        1,
    );
    let own = "\"expressions\": {\"network_interface\": [{\"device_index\": {\"constant_value\": 0}, \"network_interface_id\"";
    assert!(plan.contains(own), "{own}");
    let plan = plan.replacen(
        own,
        "\"expressions\": {\"network_interface_id\": {\"references\": [\"aws_network_interface.own.id\"]}, \"network_interface\": [{\"network_interface_id\"",
        1,
    );
    let errors = error_lines(&read(&plan, &[]));
    assert!(errors.contains("target `aws_ec2_traffic_mirror_target.t` uses it"), "{errors}");
    assert!(errors.contains("session.attached.network_interface_id `aws_network_interface.own`"));
}

#[test]
fn a_number_that_is_known_after_apply_is_an_error_with_its_option() {
    let plan = r#"{"format_version": "1.2", "terraform_version": "1.11.4", "planned_values": {
        "root_module": {"resources": [
        {"address": "aws_ec2_traffic_mirror_filter.f", "mode": "managed",
         "type": "aws_ec2_traffic_mirror_filter", "values": {}},
        {"address": "aws_ec2_traffic_mirror_filter_rule.r", "mode": "managed",
         "type": "aws_ec2_traffic_mirror_filter_rule", "values": {"rule_number": 7,
         "rule_action": "accept", "traffic_direction": "egress",
         "destination_cidr_block": "10.0.0.0/8"}}]}},
        "configuration": {"root_module": {"resources": [
        {"address": "aws_ec2_traffic_mirror_filter.f"},
        {"address": "aws_ec2_traffic_mirror_filter_rule.r", "expressions": {
         "source_cidr_block": {"references": ["aws_instance.web.private_ip", "aws_instance.web"]},
         "traffic_mirror_filter_id": {"references": ["aws_ec2_traffic_mirror_filter.f.id",
          "aws_ec2_traffic_mirror_filter.f"]}}}]}}}"#;
    let errors = error_lines(&read(plan, &[]));
    assert!(
        errors.contains(
            "aws_ec2_traffic_mirror_filter_rule.r.source_cidr_block `(known after apply)`: expected \
             a value that the plan contains, or --parameter \
             'aws_ec2_traffic_mirror_filter_rule.r.source_cidr_block=VALUE'"
        ),
        "{errors}"
    );
    let given = "aws_ec2_traffic_mirror_filter_rule.r.source_cidr_block=10.0.0.5/32";
    assert_eq!(error_lines(&read(plan, &[given])), "");
}

#[test]
fn a_state_file_is_an_error_with_the_command_that_converts_it() {
    let state = r#"{"version": 4, "terraform_version": "1.11.4", "serial": 3,
        "lineage": "0b7d0a3c-0000-0000-0000-000000000000", "outputs": {}, "resources": []}"#;
    for name in ["terraform.tfstate", "state.json"] {
        let errors = error_lines(&read_texts(&[Text::new(name, state)]));
        let command = format!("`terraform show -json {name} > state.json`");
        assert!(errors.contains(&command), "{errors}");
    }
}

/// A plan with interfaces `e["a"]` and `e["b"]`, an instance `i` with these expressions, and the
/// sessions `s["a"]` and `s["b"]`, whose block has `for_each` and these references.
fn plan_of_each(instance: &str, references: &str, for_each: &str) -> String {
    let resource = |kind: &str, index: &str, values: &str| {
        format!(
            r#"{{"address": "{kind}{}", "mode": "managed", "type": "{}", "values": {values}}}"#,
            index.replace('"', "\\\""),
            kind.split('.').next().unwrap()
        )
    };
    let (session, filter) = ("aws_ec2_traffic_mirror_session.s", "aws_ec2_traffic_mirror_filter.f");
    let target = "aws_ec2_traffic_mirror_target.t";
    let resources = [
        resource(filter, "", "{}"),
        resource(target, "", r#"{"network_interface_id": "eni-t"}"#),
        resource("aws_network_interface.e", "[\"a\"]", r#"{"private_ip": "10.0.0.1"}"#),
        resource("aws_network_interface.e", "[\"b\"]", r#"{"private_ip": "10.0.0.2"}"#),
        resource("aws_instance.i", "", "{}"),
        resource(session, "[\"a\"]", r#"{"session_number": 1}"#),
        resource(session, "[\"b\"]", r#"{"session_number": 2}"#),
    ];
    format!(
        r#"{{"format_version": "1.2", "planned_values": {{"root_module": {{"resources": [{}]}}}},
        "configuration": {{"root_module": {{"resources": [
        {{"address": "{filter}"}}, {{"address": "{target}"}},
        {{"address": "aws_network_interface.e", "for_each_expression": {{}}}},
        {{"address": "aws_instance.i", "expressions": {{{instance}}}}},
        {{"address": "{session}", "for_each_expression": {for_each}, "expressions": {{
         "traffic_mirror_filter_id": {{"references": ["{filter}.id", "{filter}"]}},
         "traffic_mirror_target_id": {{"references": ["{target}.id", "{target}"]}},
         "network_interface_id": {{"references": {references}}}}}}}]}}}}}}"#,
        resources.join(", ")
    )
}

#[test]
fn only_each_key_is_the_key_of_the_instance() {
    let value = r#"["aws_network_interface.e", "each.value"]"#;
    let attribute = r#"["aws_network_interface.e", "each.value.eni", "each.value"]"#;
    let key = r#"["aws_network_interface.e", "each.key"]"#;
    for (references, for_each, of_a) in [
        (key, r#"{"references": ["var.x"]}"#, Some("a")),
        (value, r#"{"constant_value": {"a": "b", "b": "a"}}"#, Some("b")),
        (attribute, r#"{"constant_value": {"a": {"eni": "b"}, "b": {"eni": "b"}}}"#, Some("b")),
        (value, "{}", Some("a")),
        (value, r#"{"references": ["var.x"]}"#, None),
        (attribute, r#"{"references": ["var.x"]}"#, None),
        (attribute, "{}", None),
    ] {
        let outcome = read(&plan_of_each("", references, for_each), &[]);
        let case = format!("{references} {for_each} {}", error_lines(&outcome));
        match of_a {
            Some(of_a) => {
                let own = references_of(&outcome);
                assert_eq!(own, format!("aws_network_interface.e[\"{of_a}\"]"), "{case}");
            }
            None => {
                assert!(case.contains(r#"e["a"] or aws_network_interface.e["b"]"#), "{case}");
                assert!(case.contains("s[\"a\"].network_interface_id=VALUE"), "{case}");
            }
        }
    }
}

fn references_of(outcome: &ParsedConfig) -> String {
    assert_eq!(error_lines(outcome), "");
    references(outcome.registry.as_ref().unwrap(), "aws_ec2_traffic_mirror_session.s[\"a\"]").0
}

#[test]
fn the_primary_interface_of_an_instance_is_mirrored() {
    let own = |index: &str, key: &str| {
        format!(
            r#"{{"device_index": {{"constant_value": {index}}}, "network_interface_id":
            {{"references": ["aws_network_interface.e[\"{key}\"].id", "aws_network_interface.e[\"{key}\"]", "aws_network_interface.e"]}}}}"#
        )
    };
    let of_instance = r#"["aws_instance.i.primary_network_interface_id", "aws_instance.i"]"#;
    for (instance, expected) in [
        (format!(r#""network_interface": [{}, {}]"#, own("1", "a"), own("0", "b")), Some("b")),
        (format!(r#""network_interface": [{}]"#, own("1", "a")), None),
        (format!(r#""primary_network_interface": [{}]"#, own("null", "b")), Some("b")),
    ] {
        let outcome = read(&plan_of_each(&instance, of_instance, "{}"), &[]);
        let expected = match expected {
            Some(key) => format!("aws_network_interface.e[\"{key}\"]"),
            None => "aws_instance.i".to_owned(),
        };
        assert_eq!(references_of(&outcome), expected, "{instance}");
    }
}

/// Many sessions that refer to many outputs: each would be followed alone in seconds.
#[test]
fn the_references_of_a_whole_plan_are_limited() {
    let outputs: String = (0..300)
        .map(|at| format!(r#", "o{at}": {{"expression": {{"references": ["local.x"]}}}}"#))
        .collect();
    let sessions: Vec<String> = (0..2000)
        .map(|at| {
            format!(
                r#"{{"address": "aws_ec2_traffic_mirror_session.s[{at}]", "mode": "managed", "type":
                "aws_ec2_traffic_mirror_session", "values": {{}}}}"#
            )
        })
        .collect();
    let references = vec![r#""module.m""#; 300].join(",");
    let plan = format!(
        r#"{{"format_version": "1.2", "planned_values": {{"root_module": {{"resources": [{}]}}}},
        "configuration": {{"root_module": {{"resources": [{{"address":
        "aws_ec2_traffic_mirror_session.s", "expressions": {{"network_interface_id": {{"references":
        [{references}]}}}}}}], "module_calls": {{"m": {{"module": {{"outputs": {{"o":
        {{}}{outputs}}}}}}}}}}}}}}}"#,
        sessions.join(",")
    );
    assert!(error_lines(&read(&plan, &[])).contains("more references than are followed"));
}

#[test]
fn ports_of_a_rule_for_all_protocols_are_ignored_with_a_warning() {
    let rule = |protocol: &str| {
        format!(
            r#"{{"format_version": "1.0", "values": {{"root_module": {{"resources": [
            {{"address": "aws_ec2_traffic_mirror_filter.f", "mode": "managed", "type":
             "aws_ec2_traffic_mirror_filter", "values": {{"id": "tmf-1"}}}},
            {{"address": "aws_ec2_traffic_mirror_filter_rule.r", "mode": "managed", "type":
             "aws_ec2_traffic_mirror_filter_rule", "values": {{"id": "tmfr-1", "rule_number": 7,
             "traffic_mirror_filter_id": "tmf-1", "rule_action": "accept", "traffic_direction":
             "egress", "destination_cidr_block": "10.0.0.0/8", "source_cidr_block": "0.0.0.0/0",
             "protocol": {protocol}, "source_port_range": [{{"from_port": 1, "to_port": 2}}]}}}}]}}}}}}"#
        )
    };
    let outcome = read(&rule("0"), &[]);
    assert_eq!(error_lines(&outcome), "");
    let warnings = crate::warning_lines(&outcome);
    assert!(warnings.contains("ignored, because protocol 0 means all protocols"), "{warnings}");
    let registry = outcome.registry.unwrap();
    assert_eq!(registry.filters()[0].all_rules().len(), 1);
    assert!(!error_lines(&read(&rule("1"), &[])).is_empty());
}
