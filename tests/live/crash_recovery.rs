//! A process that is killed during writes: every confirmed change is restored, and none in part.

use std::path::Path;

use crate::lab::Lab;
use crate::mirror::BINARY;
use testkit::print_uncaptured;

/// Number of kills, unless `TM_KILLS` is set.
const KILLS: &str = "200";

#[test]
fn after_a_kill_during_writes_every_acknowledged_change_is_restored() {
    let Some(lab) = Lab::new("kills") else { return };
    let has_python = std::process::Command::new("python3").arg("--version").output();
    if !has_python.is_ok_and(|output| output.status.success()) {
        return print_uncaptured("NOT RUN: the script that kills the endpoint needs python3\n");
    }
    let kills = std::env::var("TM_KILLS").unwrap_or_else(|_| KILLS.to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/kills.py");
    let mut command = lab.host.command("python3");
    command
        .arg("-B")
        .arg(script)
        .env("TRAFFIC_MIRROR", BINARY)
        .env("EC2_ENDPOINT", "127.0.0.1:4566");
    command.env("STATE", lab.folder.path().join("state")).env("DEVICE", "h0").env("KILLS", kills);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    print_uncaptured(&String::from_utf8_lossy(&output.stdout));
}
