//! A laboratory with a source and a target, created by the EC2 API.

use testkit::memory_endpoint::send;
use traffic_mirror::lab::{Lab, LabOptions};
use traffic_mirror::model::{NetworkInterface, NetworkInterfaceId, TargetId};

pub(crate) const SOURCE: &str = "eni-0a1b2c3d4e5f60718";
pub(crate) const SENSOR: &str = "eni-0a1b2c3d4e5f60719";

pub(crate) fn eni(id: &str) -> NetworkInterfaceId {
    NetworkInterfaceId::new(id).unwrap()
}

/// Options with the interface 10.0.0.5 of the source and 10.0.0.9 of the sensor.
pub(crate) fn options() -> LabOptions {
    let mut options = LabOptions::default();
    for (id, address) in [(SOURCE, "10.0.0.5"), (SENSOR, "10.0.0.9")] {
        let mut interface = NetworkInterface::new(eni(id));
        interface.private_ip_addresses.push(address.parse().unwrap());
        options.registry.add_network_interface(interface).unwrap();
    }
    options
}

/// Executes an action and returns the text of an element of the response.
pub(crate) fn ec2(lab: &Lab, form: &str, element: &str) -> String {
    let (status, text) = send(lab.endpoint(), form);
    assert_eq!(status, 200, "{text}");
    let (_, behind) = text.split_once(&format!("<{element}>")).unwrap();
    behind.split_once('<').unwrap().0.to_owned()
}

/// The ids of a session that accepts everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resources {
    pub(crate) target: String,
    pub(crate) filter: String,
    pub(crate) session: String,
    pub(crate) network_id: String,
}

impl Resources {
    pub(crate) fn create(lab: &Lab) -> Self {
        let target = format!("Action=CreateTrafficMirrorTarget&NetworkInterfaceId={SENSOR}");
        Self::create_session(lab, &ec2(lab, &target, "trafficMirrorTargetId"))
    }

    /// A session to a target.
    pub(crate) fn create_session(lab: &Lab, target: &str) -> Self {
        let filter = ec2(lab, "Action=CreateTrafficMirrorFilter", "trafficMirrorFilterId");
        for direction in ["ingress", "egress"] {
            let rule = format!(
                "Action=CreateTrafficMirrorFilterRule&TrafficMirrorFilterId={filter}\
                 &TrafficDirection={direction}&RuleNumber=100&RuleAction=accept\
                 &SourceCidrBlock=0.0.0.0/0&DestinationCidrBlock=0.0.0.0/0"
            );
            ec2(lab, &rule, "trafficMirrorFilterRuleId");
        }
        let session = format!(
            "Action=CreateTrafficMirrorSession&NetworkInterfaceId={SOURCE}\
             &TrafficMirrorTargetId={target}&TrafficMirrorFilterId={filter}&SessionNumber=1"
        );
        let (status, text) = send(lab.endpoint(), &session);
        assert_eq!(status, 200, "{text}");
        let element = |name: &str| {
            let (_, behind) = text.split_once(&format!("<{name}>")).unwrap();
            behind.split_once('<').unwrap().0.to_owned()
        };
        let (session, network_id) =
            (element("trafficMirrorSessionId"), element("virtualNetworkId"));
        Self { target: target.to_owned(), filter, session, network_id }
    }

    pub(crate) fn target_id(&self) -> TargetId {
        TargetId::new(&self.target).unwrap()
    }
}

/// A UDP datagram from 10.0.0.6 to 10.0.0.5.
pub(crate) fn frame(port: u16) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([0x08, 0x00]);
    frame.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 6, 10, 0, 0, 5]);
    frame.extend(port.to_be_bytes());
    frame.extend([0x1f, 0x90, 0, 8, 0, 0]);
    frame
}
