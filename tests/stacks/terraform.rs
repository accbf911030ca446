//! Terraform with `lab` in front of moto: a VPC, two instances, a network load balancer and their
//! mirroring are applied, planned, changed and destroyed.
//!
//! Needs `terraform` (1.5 or newer), its AWS provider in a folder of `testkit::terraform`, and moto.

use std::net::Ipv4Addr;
use std::process::Command;

use serde_json::Value;
use testkit::{MotoServer, print_uncaptured, terraform};

use crate::lab_process::{LabProcess, outer_addresses, path, quickstart};

/// The exit code of `plan -detailed-exitcode` if there is no difference, and of other commands that
/// succeed.
const CLEAN: i32 = 0;
/// The frames of the quickstart that each stage mirrors.
const FIRST_STAGE: u64 = 68;
const SECOND_STAGE: u64 = 40;

/// A folder with the configuration, and the endpoint that `terraform` uses.
struct Terraform<'a> {
    lab: &'a LabProcess,
    folder: tempfile::TempDir,
}

impl Terraform<'_> {
    /// Runs a command in a stage of the configuration; returns its output.
    fn run(&self, stage: u32, words: &str) -> String {
        let mut command = Command::new("terraform");
        terraform::isolate(&mut command, self.folder.path());
        command.env("AWS_ENDPOINT_URL", self.lab.url()).env("TF_VAR_stage", stage.to_string());
        let output = command.args(words.split(' ')).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(CLEAN), "{words}\n{printed}\n{complaint}");
        printed
    }

    /// Applies a stage, and asserts that Terraform prints this summary and that a plan then has no
    /// difference.
    fn apply(&self, stage: u32, summary: &str) {
        let printed = self.run(stage, "apply -input=false -no-color -auto-approve");
        assert!(printed.contains(&format!("Resources: {summary}.")), "{printed}");
        self.run(stage, "plan -input=false -no-color -detailed-exitcode");
    }
}

/// Runs seven commands, about 100 s: the provider waits 60 s for the load balancer and 10 s for each
/// group of instances, however fast they are.
#[test]
fn terraform_applies_changes_and_destroys_a_stack() {
    let Some(mirror) = terraform::installed() else {
        return print_uncaptured(
            "NOT RUN: a stack of Terraform needs terraform and a mirror with its AWS provider\n",
        );
    };
    let Some(moto) = MotoServer::start("Terraform with lab in front of moto") else { return };
    let lab = LabProcess::start(&["--upstream", &moto.url()]);
    let folder = tempfile::tempdir().unwrap();
    let main = path("tests/clients/terraform_stack/main.tf");
    std::fs::copy(main, folder.path().join("main.tf")).unwrap();
    terraform::write_rc(folder.path(), &mirror);
    let stack = Terraform { lab: &lab, folder };
    stack.run(1, "init -input=false");

    stack.apply(1, "14 added, 0 changed, 0 destroyed");
    let outputs: Value = serde_json::from_str(&stack.run(1, "output -json")).unwrap();
    let output = |name: &str| outputs[name]["value"].as_str().unwrap();
    let (interface, target) = (output("interface"), output("target"));
    let capture = quickstart();
    assert_eq!(lab.play(interface, &capture)["mirrored"], FIRST_STAGE);
    let copies = lab.copies(target);
    assert_eq!(lab.take_copies(target), FIRST_STAGE);
    // The collector is known from the members of the load balancer's target group only.
    let ends = [Ipv4Addr::new(10, 0, 0, 5), Ipv4Addr::new(10, 0, 0, 77)];
    assert!(copies.iter().all(|copy| outer_addresses(copy) == ends));

    stack.apply(2, "0 added, 6 changed, 0 destroyed");
    assert_eq!(lab.play(interface, &capture)["mirrored"], SECOND_STAGE);
    assert_eq!(lab.take_copies(target), SECOND_STAGE);
    assert_eq!(lab.snapshot()["sessions"][0]["session_number"], 2);

    let printed = stack.run(2, "destroy -input=false -no-color -auto-approve");
    assert!(printed.contains("Resources: 14 destroyed."), "{printed}");
    let left = lab.snapshot();
    assert_eq!((&left["targets"], &left["sessions"]), (&Value::from([0; 0]), &Value::from([0; 0])));
}
