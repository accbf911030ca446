//! The EC2 endpoint with Terraform: applied resources mirror, and a plan then has no difference.
//!
//! Needs `terraform` (1.5 or newer) and its AWS provider in a folder of `testkit::terraform`. The
//! namespace of the test cannot reach a registry.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::collector::{Collector, by_network};
use crate::endpoint::{Client, ENDPOINT};
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair};
use testkit::{print_uncaptured, terraform};

/// The number of resources in `tests/clients/terraform`.
const RESOURCES: usize = 6;
/// The exit code of `plan -detailed-exitcode` if there is no difference.
const CLEAN: i32 = 0;
/// The exit code of other commands that succeed.
const DONE: i32 = 0;

/// A folder with the configuration, and the endpoint that `terraform` uses.
struct Terraform<'a> {
    lab: &'a Lab,
    folder: PathBuf,
}

impl<'a> Terraform<'a> {
    /// None, after `NOT RUN:`, if Terraform or its AWS provider is not installed.
    fn new(lab: &'a Lab) -> Option<Self> {
        let Some(mirror) = terraform::installed() else {
            print_uncaptured(
                "NOT RUN: terraform and a mirror with its AWS provider are not installed\n",
            );
            return None;
        };
        let folder = lab.folder.path().join("terraform");
        std::fs::create_dir(&folder).unwrap();
        let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/terraform/main.tf");
        std::fs::copy(main, folder.join("main.tf")).unwrap();
        terraform::write_rc(&folder, &mirror);
        let terraform = Self { lab, folder };
        terraform.run(1, "init -input=false", DONE);
        Some(terraform)
    }

    /// Runs a command in a stage of the configuration; returns its output.
    fn run(&self, stage: u32, words: &str, code: i32) -> String {
        let mut command = self.lab.host.command("terraform");
        terraform::isolate(&mut command, &self.folder);
        command.env("AWS_ENDPOINT_URL", format!("http://{ENDPOINT}"));
        command.env("TF_VAR_stage", stage.to_string());
        let output = command.args(words.split(' ')).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words}\n{printed}\n{complaint}");
        printed
    }

    /// Applies a stage, and asserts that Terraform prints this summary and that a plan then has no
    /// difference.
    fn apply(&self, stage: u32, summary: &str) {
        let printed = self.run(stage, "apply -input=false -no-color -auto-approve", DONE);
        assert!(printed.contains(&format!("Resources: {summary}.")), "{printed}");
        self.run(stage, "plan -input=false -no-color -detailed-exitcode", CLEAN);
    }

    /// Removes all resources from the state and returns their ids for import.
    fn forget(&self) {
        let ids: Value = serde_json::from_str(&self.run(2, "output -json ids", DONE)).unwrap();
        let ids = ids.as_object().unwrap();
        assert_eq!(ids.len(), RESOURCES);
        let import = |(address, id)| format!("import {{\n to = {address}\n id = {id}\n}}\n");
        let imports: String = ids.iter().map(import).collect();
        std::fs::write(self.folder.join("imports.tf"), imports).unwrap();
        std::fs::remove_file(self.folder.join("terraform.tfstate")).unwrap();
    }
}

/// Runs nine commands, most of which start the provider: 30 s on an idle machine, several minutes
/// on a busy one or if the provider is not in the page cache.
#[test]
fn terraform_applies_changes_imports_and_destroys() {
    let Some(lab) = Lab::new("ec2tf") else { return };
    let state = lab.folder.path().join("state");
    let words =
        format!("--ec2-endpoint {ENDPOINT} --no-authentication --state {}", state.display());
    let mirror = Mirror::start_and_wait_for(&lab.host, &words, "EC2 endpoint on");
    let Some(terraform) = Terraform::new(&lab) else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let pair = Pair::new(&lab, IPV4, (4000, 2000));

    terraform.apply(1, "6 added, 0 changed, 0 destroyed");
    (0..10).for_each(|number| pair.send(number, 100));
    // Egress is accepted in the second stage only.
    (0..10).for_each(|number| pair.answer(number, 100));
    assert_eq!(by_network(&collector.take_after(10)), [(41, 10)].into());

    terraform.apply(2, "0 added, 4 changed, 0 destroyed");
    (0..10).for_each(|number| pair.send(number, 100));
    (0..5).for_each(|number| pair.answer(number, 100));
    assert_eq!(by_network(&collector.take_after(15)), [(42, 15)].into());

    terraform.forget();
    terraform.apply(2, "6 imported, 0 added, 0 changed, 0 destroyed");

    let printed = terraform.run(2, "destroy -input=false -no-color -auto-approve", DONE);
    assert!(printed.contains("Resources: 6 destroyed."), "{printed}");
    assert_nothing_left(&Client { host: &lab.host });
    mirror.end().assert_no_loss();
}

fn assert_nothing_left(client: &Client<'_>) {
    for kind in ["Targets", "Filters", "FilterRules", "Sessions"] {
        let (status, document) = client.call(&format!("Action=DescribeTrafficMirror{kind}"));
        assert_eq!(status, 200, "{document}");
        assert!(!document.contains("<item>"), "{document}");
    }
}
