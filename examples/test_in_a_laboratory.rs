//! A test of mirroring in one process: resources by the EC2 API, a frame through a network interface,
//! and its copy as bytes. No root, no AWS, no socket.
//!
//! ```text
//! cargo run --example test_in_a_laboratory
//! ```

#![expect(clippy::print_stdout, clippy::panic_in_result_fn, reason = "an example of a test")]

use std::error::Error;

use traffic_mirror::lab::{Lab, LabOptions, PlayInput, PlayOptions};
use traffic_mirror::model::{InterfacePin, NetworkInterfaceId, TargetId};

const SOURCE: &str = "eni-0a1b2c3d4e5f60718";
const SENSOR: &str = "eni-0a1b2c3d4e5f60719";

/// The text of the first element of a name.
fn element(document: &str, name: &str) -> String {
    let behind = document.split_once(&format!("<{name}>")).map_or("", |(_, behind)| behind);
    behind.split('<').next().unwrap_or_default().to_owned()
}

/// A TCP segment from 10.0.0.6, port 40000, to 10.0.0.5, port 443.
fn frame() -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([0x08, 0x00]);
    frame.extend([0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 6, 10, 0, 0, 5]);
    frame.extend([
        0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0,
    ]);
    frame
}

fn main() -> Result<(), Box<dyn Error>> {
    let lab = Lab::new(LabOptions { seed: Some(7), ..LabOptions::default() })?;
    for (id, address) in [(SOURCE, "10.0.0.5"), (SENSOR, "10.0.0.9")] {
        let addresses = Some(vec![address.parse()?]);
        let pin = InterfacePin { private_ip_addresses: addresses, ..InterfacePin::default() };
        lab.pin_network_interface(&NetworkInterfaceId::new(id)?, pin)?;
    }

    // What the program under test does with an AWS client:
    let target = lab.ec2("CreateTrafficMirrorTarget", &[("NetworkInterfaceId", SENSOR)])?;
    let target = element(&target, "trafficMirrorTargetId");
    let filter = lab.ec2("CreateTrafficMirrorFilter", &[])?;
    let filter = element(&filter, "trafficMirrorFilterId");
    lab.ec2(
        "CreateTrafficMirrorFilterRule",
        &[
            ("TrafficMirrorFilterId", &filter),
            ("TrafficDirection", "ingress"),
            ("RuleNumber", "100"),
            ("RuleAction", "accept"),
            ("Protocol", "6"),
            ("DestinationPortRange.FromPort", "443"),
            ("DestinationPortRange.ToPort", "443"),
            ("SourceCidrBlock", "0.0.0.0/0"),
            ("DestinationCidrBlock", "10.0.0.0/8"),
        ],
    )?;
    lab.ec2(
        "CreateTrafficMirrorSession",
        &[
            ("NetworkInterfaceId", SOURCE),
            ("TrafficMirrorTargetId", &target),
            ("TrafficMirrorFilterId", &filter),
            ("SessionNumber", "1"),
            ("VirtualNetworkId", "42"),
        ],
    )?;

    let input = PlayInput::Frames(vec![frame().into()]);
    let played = lab.play(&NetworkInterfaceId::new(SOURCE)?, input, PlayOptions::default())?;
    assert_eq!(played.report.mirrored, 1);
    lab.for_each_copy(&TargetId::new(&target)?, |copy| {
        assert_eq!(copy.inner, frame());
        assert_eq!(copy.origin.virtual_network_id, 42);
        println!("copy of {} bytes by {}", copy.bytes.len(), copy.origin.session_id);
    })?;
    Ok(())
}

#[test]
fn the_copy_arrives() {
    main().unwrap();
}
