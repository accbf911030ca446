//! Configuration files as users write them, valid and invalid.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails may panic, in its helpers too"
)]

mod aws;
mod cloudformation;
mod fields;
mod files;
mod infrastructure;
mod invalid_values;
mod multiple_files;
mod nested_templates;
mod properties;
mod template_limits;
mod terraform_keys;
mod warnings;

use traffic_mirror::control::config::{ParsedConfig, Problem, Text, read_texts};

/// An example with every key, whose target names an interface that is not defined.
const EXAMPLE_CONFIG: &str = r#"[settings]                               # optional
aws_exclusions = true
vpc_resolver_addresses = ["10.0.0.2"]

[[network_interface]]
network_interface_id = "eni-0a1b2c3d4e5f60718"
device = "eth0"
mac_address = "02:29:23:74:c7:7d"
private_ip_addresses = ["10.0.0.5"]

[[traffic_mirror_target]]
traffic_mirror_target_id = "tmt-0a1b2c3d4e5f60718"
address = "192.0.2.10"
mtu = 1500
network_interface_id = "eni-0f"

[[traffic_mirror_filter]]
traffic_mirror_filter_id = "tmf-0a1b2c3d4e5f60718"
network_services = ["amazon-dns"]

[[traffic_mirror_filter.rule]]
traffic_mirror_filter_rule_id = "tmfr-0a1b2c3d4e5f60718"
traffic_direction = "ingress"
rule_number = 100
rule_action = "accept"
protocol = 6
source_cidr_block = "0.0.0.0/0"
destination_cidr_block = "10.0.0.0/8"
source_port_range = { from_port = 1024, to_port = 65535 }
destination_port_range = { from_port = 443, to_port = 443 }

[[traffic_mirror_session]]
traffic_mirror_session_id = "tms-0a1b2c3d4e5f60718"
network_interface_id = "eni-0a1b2c3d4e5f60718"
traffic_mirror_target_id = "tmt-0a1b2c3d4e5f60718"
traffic_mirror_filter_id = "tmf-0a1b2c3d4e5f60718"
session_number = 1
packet_length = 128
virtual_network_id = 4242
description = "..."
tags = { Name = "x" }
"#;

/// Reads one text as `m.toml`.
fn read_toml(text: &str) -> ParsedConfig {
    read_texts(&[Text::new("m.toml", text)])
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// All errors, one per line.
fn error_lines(outcome: &ParsedConfig) -> String {
    assert_eq!(outcome.problems.is_empty(), outcome.registry.is_some());
    lines(&outcome.problems)
}

/// All warnings, one per line; there must be no error.
fn warning_lines(outcome: &ParsedConfig) -> String {
    assert_eq!(error_lines(outcome), "");
    lines(&outcome.warnings)
}
