//! The output of CDK: a template with metadata, parameters, conditions, mappings and tokens is replayed,
//! and played in `lab`.

use std::fs;
use std::process::Command;

use testkit::records::read;

use crate::lab_process::{LabProcess, path, quickstart, succeed};

const TEMPLATE: &str = "tests/stacks/cdk.out/MirrorStack.template.json";
/// The logical ids are the ids of a template that is not deployed.
const INTERFACE: &str = "WebInterface";
const TARGET: &str = "CollectorTarget";

#[test]
fn a_template_of_cdk_mirrors_in_replay_and_in_lab() {
    let template = path(TEMPLATE).display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copies.pcap").display().to_string();
    // In the third case, the condition of a rule that rejects all ingress frames is true.
    for (stage, maintenance, mirrored, longest) in
        [("test", "no", 57, 2000), ("production", "no", 57, 128), ("production", "yes", 36, 128)]
    {
        let parameters = [
            "CollectorAddress=192.0.2.10".to_owned(),
            format!("Stage={stage}"),
            format!("Maintenance={maintenance}"),
        ];
        let parameters = parameters.iter().flat_map(|value| ["--parameter", value]);
        let options: Vec<&str> = ["--config", &template].into_iter().chain(parameters).collect();
        let mut replay = Command::new(env!("CARGO_BIN_EXE_traffic-mirror"));
        replay.arg("replay").arg(path("pcaps/quickstart/input.pcap")).args(&options);
        succeed(replay.args(["--write", &file]));
        let replayed = read(&fs::read(&file).unwrap());
        assert_eq!(replayed.len(), mirrored, "{stage} {maintenance}");
        // Outer headers and VXLAN have 50 bytes.
        let lengths = replayed.iter().map(|copy| copy.bytes.len() - 50);
        assert!(lengths.max().unwrap() <= longest);

        let lab = LabProcess::start(&options);
        assert_eq!(lab.play(INTERFACE, &quickstart())["mirrored"], mirrored);
        assert_eq!(lab.copies(TARGET), replayed);
    }
}
