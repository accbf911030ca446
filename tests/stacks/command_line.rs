//! The AWS CLI and curl with `lab`, as a user types them.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use testkit::print_uncaptured;
use testkit::records::read;

use crate::lab_process::{LabProcess, outer_addresses, path, succeed};

/// The frames of the quickstart that the filter for TCP over IPv4 accepts.
const TCP: usize = 61;

/// Runs about 14 commands of at least 500 ms each.
#[test]
fn the_aws_cli_goes_the_main_path() {
    for program in ["aws", "curl"] {
        let ran = Command::new(program).arg("--version").output();
        if !ran.is_ok_and(|output| output.status.success()) {
            let text =
                format!("NOT RUN: the AWS CLI with lab needs {program} (pip install awscli)\n");
            return print_uncaptured(&text);
        }
    }
    let lab = LabProcess::start(&["--network-interface", "eni-0a1b2c3d4e5f60718=10.0.0.5"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copies.pcap");
    let mut script = Command::new(path("tests/clients/main_path.sh"));
    script.env("EC2_ENDPOINT", lab.url()).env("COPIES", &file);
    succeed(script.env("CAPTURE", path("pcaps/quickstart/input.pcap")));
    let copies = read(&fs::read(file).unwrap());
    assert_eq!(copies.len(), TCP);
    let ends = [Ipv4Addr::new(10, 0, 0, 5), Ipv4Addr::new(192, 0, 2, 10)];
    assert!(copies.iter().all(|copy| outer_addresses(copy) == ends));
}
