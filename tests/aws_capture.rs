//! What AWS itself sent, against what we make of the same inner frames: every outer field is
//! equal but the MAC addresses and the value of the UDP source port.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod records;
mod shared;

use std::collections::HashMap;
use std::fs;

use assert_cmd::Command;
use records::{Record, read};
use shared::shared_captures;

const MIRROR: &str = r#"
[settings]
vpc_resolver_addresses = ["172.31.0.2"]

[[network_interface]]
network_interface_id = "eni-source"
mac_address = "02:85:69:c2:ab:02"
private_ip_addresses = ["172.31.0.238"]

[[traffic_mirror_target]]
traffic_mirror_target_id = "tmt-collector"
address = "172.31.17.188"

[[traffic_mirror_filter]]
traffic_mirror_filter_id = "tmf-all"
network_services = ["amazon-dns"]

[[traffic_mirror_filter.rule]]
traffic_direction = "ingress"
rule_number = 100
rule_action = "accept"
source_cidr_block = "0.0.0.0/0"
destination_cidr_block = "0.0.0.0/0"

[[traffic_mirror_filter.rule]]
traffic_direction = "egress"
rule_number = 100
rule_action = "accept"
source_cidr_block = "0.0.0.0/0"
destination_cidr_block = "0.0.0.0/0"

[[traffic_mirror_session]]
network_interface_id = "eni-source"
traffic_mirror_target_id = "tmt-collector"
traffic_mirror_filter_id = "tmf-all"
session_number = 1
virtual_network_id = 5569041
"#;

/// Ethernet, IPv4, UDP, VXLAN.
const OUTER_LEN: usize = 50;

#[test]
fn outer_headers_match_aws() {
    let Some(folder) = shared_captures("outer_headers_match_aws") else { return };
    let scratch = tempfile::tempdir().unwrap();
    let config = scratch.path().join("mirror.toml");
    let written = scratch.path().join("out.pcap");
    fs::write(&config, MIRROR).unwrap();
    Command::new(env!("CARGO_BIN_EXE_traffic-mirror"))
        .arg("replay")
        .arg(folder.join("aws_inner.pcap"))
        .arg("--config")
        .arg(&config)
        .arg("--write")
        .arg(&written)
        .assert()
        .success();
    let aws = read(&fs::read(folder.join("suricata__vxlan-decoder-03-vxlan.pcap")).unwrap());
    let ours = read(&fs::read(&written).unwrap());
    assert_eq!((aws.len(), ours.len()), (100, 100));
    for (number, (aws, ours)) in aws.iter().zip(&ours).enumerate() {
        assert_eq!(without_what_may_differ(aws), without_what_may_differ(ours), "record {number}");
    }
    ports_are_symmetric(&ours);
    ports_are_symmetric(&aws);
}

/// The record, its outer MAC addresses and UDP source port blanked.
fn without_what_may_differ(record: &Record) -> Record {
    let mut record = record.clone();
    record.bytes[..12].fill(0);
    record.bytes[34..36].fill(0);
    record
}

/// Both directions of a flow leave from one port of 65408 to 65535. (Answers of the VPC resolver
/// are apart at AWS: always 65408.)
fn ports_are_symmetric(records: &[Record]) {
    let mut ports: HashMap<[Vec<u8>; 2], u16> = HashMap::new();
    for record in records {
        let port = u16::from_be_bytes([record.bytes[34], record.bytes[35]]);
        assert!(port >= 65408, "source port {port}");
        let inner = &record.bytes[OUTER_LEN..];
        if inner[12..14] != [8, 0] || ![6, 17].contains(&inner[23]) {
            continue;
        }
        assert_eq!(inner[14], 0x45, "options would move the ports");
        let end = |address: usize, port: usize| {
            [&inner[address..address + 4], &inner[port..port + 2]].concat()
        };
        let mut ends = [end(26, 34), end(30, 36)];
        if ends.iter().any(|end| end[..] == [172, 31, 0, 2, 0, 53]) {
            continue;
        }
        ends.sort();
        assert_eq!(*ports.entry(ends).or_insert(port), port, "a flow with two ports");
    }
    assert!(ports.len() >= 5, "{} flows", ports.len());
}
