//! boto3 creates network interfaces at an endpoint whose interfaces are virtual, and discovers them.

use std::path::Path;
use std::process::Command;

use testkit::memory_endpoint;
use testkit::print_uncaptured;
use traffic_mirror::ec2;
use traffic_mirror::http::HostNames;

#[test]
fn boto3_creates_and_discovers_interfaces() {
    let has_boto3 = Command::new("python3").args(["-c", "import boto3"]).output();
    if !has_boto3.is_ok_and(|output| output.status.success()) {
        return print_uncaptured("NOT RUN: discovery with boto3 needs python3 and boto3\n");
    }
    let endpoint = memory_endpoint::virtual_endpoint();
    let address = "127.0.0.1:0".parse().unwrap();
    let server = ec2::serve(address, endpoint, HostNames::default(), None, |_| ()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/boto3_discovery.py");
    let mut command = Command::new("python3");
    command.arg(script).env("CREATES", "yes");
    command.env("EC2_ENDPOINT", format!("http://{}", server.address()));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
