//! The EC2 endpoint with the AWS CLI, used as a shell script does.

use std::path::Path;
use std::process::Command;

use crate::endpoint::ENDPOINT;
use crate::lab::Lab;
use crate::mirror::Mirror;
use testkit::print_uncaptured;

/// Runs about 40 commands of at least 500 ms each.
#[test]
fn the_aws_cli_creates_describes_and_deletes_resources() {
    let Some(lab) = Lab::new("ec2cli") else { return };
    for (program, argument) in [("aws", "--version"), ("python3", "--version")] {
        let ran = Command::new(program).arg(argument).output();
        if !ran.is_ok_and(|output| output.status.success()) {
            return print_uncaptured(&format!("NOT RUN: {program} is needed to try the AWS CLI\n"));
        }
    }
    let state = lab.folder.path().join("state");
    let words =
        format!("--ec2-endpoint {ENDPOINT} --allow-target 127.0.0.0/8 --state {}", state.display());
    let mirror = Mirror::start_and_wait_for(&lab.host, &words, "EC2 endpoint on");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/aws_cli.py");
    let mut command = lab.host.command("python3");
    let log_lines = mirror.log_lines();
    let key_line = log_lines.iter().find_map(|line| line.split_once("with the key in "));
    let (file, _) = key_line.unwrap().1.split_once(',').unwrap();
    command.arg(script).env("EC2_ENDPOINT", format!("http://{ENDPOINT}")).env("DEVICE", "h0");
    command.env("CREDENTIALS", file);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    mirror.end().assert_no_loss();
}
