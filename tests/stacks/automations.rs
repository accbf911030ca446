//! boto3 in the manner of public automations, which find instances and create sessions for them.

use std::process::Command;

use testkit::{MotoServer, has_boto3, print_uncaptured, python};

use crate::lab_process::{LabProcess, path, succeed};

/// Runs the scripts with a laboratory. `has_upstream` says whether moto is behind it.
fn run(lab: &LabProcess, has_upstream: bool) {
    let has_upstream = if has_upstream { "yes" } else { "no" };
    let script = path("tests/clients/automations/test_automations.py");
    let mut command = Command::new(python());
    command.arg("-B").arg(script).env("EC2_ENDPOINT", lab.url()).env("HAS_UPSTREAM", has_upstream);
    succeed(&mut command);
}

#[test]
fn automations_run_with_lab_alone() {
    if !has_boto3() {
        return print_uncaptured("NOT RUN: automations with lab need boto3\n");
    }
    run(&LabProcess::start(&[]), false);
}

#[test]
fn automations_run_with_lab_in_front_of_moto() {
    let Some(moto) = MotoServer::start("automations with lab in front of moto") else { return };
    run(&LabProcess::start(&["--upstream", &moto.url()]), true);
}
