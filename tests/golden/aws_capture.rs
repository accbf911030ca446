//! Compares copies that AWS sent with our copies of the same inner frames: every outer field is
//! equal, except the MAC addresses and the value of the UDP source port.

#![expect(clippy::indexing_slicing, reason = "tests")]

use std::collections::HashMap;
use std::fs;

use assert_cmd::Command;
use testkit::config::{accept_rule, network_interface, session, target};
use testkit::records::{Record, read};
use testkit::shared_captures;

/// The interface, the resolver and the session of the capture.
fn config() -> String {
    let fields = "mac_address = \"02:85:69:c2:ab:02\"\nprivate_ip_addresses = [\"172.31.0.238\"]";
    [
        "[settings]\nvpc_resolver_addresses = [\"172.31.0.2\"]\n",
        &network_interface("eni-source", fields),
        &target("tmt-collector", "172.31.17.188"),
        "[[traffic_mirror_filter]]\ntraffic_mirror_filter_id = \"tmf-all\"\n",
        "network_services = [\"amazon-dns\"]\n",
        &accept_rule("ingress", 100),
        &accept_rule("egress", 100),
        &session(1, "eni-source", "tmt-collector", "tmf-all"),
        "virtual_network_id = 5569041\n",
    ]
    .concat()
}

/// Ethernet, IPv4, UDP, VXLAN.
const OUTER_LEN: usize = 50;

#[test]
fn outer_headers_match_aws() {
    let Some(folder) = shared_captures("outer_headers_match_aws") else { return };
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("mirror.toml");
    let written = scratch.path().join("out.pcap");
    fs::write(&path, config()).unwrap();
    Command::new(env!("CARGO_BIN_EXE_traffic-mirror"))
        .arg("replay")
        .arg(folder.join("aws_inner.pcap"))
        .arg("--config")
        .arg(&path)
        .arg("--write")
        .arg(&written)
        .assert()
        .success();
    let aws = read(&fs::read(folder.join("suricata__vxlan-decoder-03-vxlan.pcap")).unwrap());
    let ours = read(&fs::read(&written).unwrap());
    assert_eq!((aws.len(), ours.len()), (100, 100));
    for (number, (aws, ours)) in aws.iter().zip(&ours).enumerate() {
        assert_eq!(with_cleared_fields(aws), with_cleared_fields(ours), "record {number}");
    }
    assert_ports_are_symmetric(&ours);
    assert_ports_are_symmetric(&aws);
}

/// The record with zeros for its outer MAC addresses and UDP source port.
fn with_cleared_fields(record: &Record) -> Record {
    let mut record = record.clone();
    record.bytes[..12].fill(0);
    record.bytes[34..36].fill(0);
    record
}

/// Asserts that both directions of a flow have one source port from 65408 to 65535. Flows of the
/// VPC resolver are skipped: AWS always sends its responses from 65408.
fn assert_ports_are_symmetric(records: &[Record]) {
    let mut ports: HashMap<[Vec<u8>; 2], u16> = HashMap::new();
    for record in records {
        let port = u16::from_be_bytes([record.bytes[34], record.bytes[35]]);
        assert!(port >= 65408, "source port {port}");
        let inner = &record.bytes[OUTER_LEN..];
        if inner[12..14] != [8, 0] || ![6, 17].contains(&inner[23]) {
            continue;
        }
        assert_eq!(inner[14], 0x45, "IP options, which move the ports, are not expected");
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
