//! The output of `export --format terraform` is formatted Terraform that the AWS provider accepts.
//!
//! Needs `terraform` and, for the provider, a folder of `MIRRORS` with
//! `registry.terraform.io/hashicorp/aws`. Prints `NOT RUN:` if one is missing.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic, in its helpers too")]

use std::path::Path;
use std::process::{Command, Output};
use testkit::print_uncaptured;

const MIRRORS: [&str; 3] =
    ["/opt/tf-plugins", "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins"];

/// A configuration with all fields, values that Terraform cannot express, and texts that look like
/// templates.
const EVERYTHING: &str = r#"
[[network_interface]]
network_interface_id = "web"
[[traffic_mirror_target]]
traffic_mirror_target_id = "1 t"
address = "192.0.2.10:5000"
description = "a $${x} ${y} %%{z} \u0007 \\ \" é"
tags = { "é" = "1", "long key" = "2", a = "3" }
[[traffic_mirror_target]]
traffic_mirror_target_id = "tmt-0a1b2c3d4e5f60718"
address = "192.0.2.11"
network_load_balancer_arn = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/x/0123456789abcdef"
[[traffic_mirror_filter]]
traffic_mirror_filter_id = "tmf-0a1b2c3d4e5f60718"
network_services = ["amazon-dns"]
description = "d"
tags = { Name = "x" }
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
[[traffic_mirror_filter.rule]]
traffic_direction = "egress"
rule_number = 1
rule_action = "reject"
protocol = "hopopt"
source_cidr_block = "::/0"
destination_cidr_block = "::/0"
[[traffic_mirror_session]]
traffic_mirror_session_id = "tms-0a1b2c3d4e5f60718"
network_interface_id = "web"
traffic_mirror_target_id = "1 t"
traffic_mirror_filter_id = "tmf-0a1b2c3d4e5f60718"
session_number = 1
virtual_network_id = 0
[[traffic_mirror_session]]
network_interface_id = "web"
traffic_mirror_target_id = "tmt-0a1b2c3d4e5f60718"
traffic_mirror_filter_id = "tmf-0a1b2c3d4e5f60718"
session_number = 2
packet_length = 128
"#;

fn terraform(folder: &Path, words: &str) -> Output {
    let rc = folder.join("rc");
    let output = Command::new("terraform")
        .args(words.split(' '))
        .current_dir(folder)
        .env("TF_CLI_CONFIG_FILE", &rc)
        .env("CHECKPOINT_DISABLE", "1")
        .output();
    output.unwrap()
}

fn assert_terraform_succeeds(folder: &Path, words: &str) {
    let ran = terraform(folder, words);
    let output = [ran.stdout, ran.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(ran.status.success(), "terraform {words}: {}", output.concat());
}

#[test]
fn terraform_accepts_the_exported_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("all.toml"), EVERYTHING).unwrap();
    let exported = Command::new(env!("CARGO_BIN_EXE_traffic-mirror"))
        .args(["export", "--config", "all.toml", "--format", "terraform"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let text = String::from_utf8(exported.stdout).unwrap();
    for line in [
        "  network_interface_id = var._1_t_network_interface_id",
        "# egress rule 1 of tmf-0a1b2c3d4e5f60718 is left out: protocol 0 is every protocol in Terraform",
        "# tms-0a1b2c3d4e5f60718 has VirtualNetworkId 0, which Terraform cannot express",
        "  id = \"tmf-0a1b2c3d4e5f60718:tmfr-0a1b2c3d4e5f60718\"",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} in {text}");
    }
    std::fs::write(folder.join("main.tf"), text).unwrap();
    if Command::new("terraform").arg("version").output().is_err() {
        return print_uncaptured("NOT RUN: terraform is not installed\n");
    }
    let mirror = MIRRORS.into_iter().find(|path| Path::new(path).is_dir());
    let rc = mirror.map_or(String::new(), |path| {
        format!("provider_installation {{\n filesystem_mirror {{\n path = \"{path}\"\n }}\n}}")
    });
    std::fs::write(folder.join("rc"), rc).unwrap();
    assert_terraform_succeeds(folder, "fmt -check -diff");
    if mirror.is_none() {
        return print_uncaptured("NOT RUN: no folder with Terraform's AWS provider\n");
    }
    assert_terraform_succeeds(folder, "init -input=false");
    assert_terraform_succeeds(folder, "validate -no-color");
}
