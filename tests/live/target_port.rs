//! A target that is a network interface at an address with a port: copies arrive at that port.

use std::time::Duration;

use crate::binding::bind_udp;
use crate::endpoint::{Client, ENDPOINT, text};
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair};

/// The interface of the monitor.
const MONITOR: &str = "eni-0f000000000000001";

/// The interface of h0, the device of the host.
const HOST: &str = "eni-0f000000000000002";

#[test]
fn copies_for_an_interface_target_arrive_at_its_port() {
    let Some(lab) = Lab::new("port") else { return };
    let words = format!(
        "--ec2-endpoint {ENDPOINT} --no-authentication --network-interface {MONITOR}=udp:10.99.1.2:6000 \
         --network-interface {HOST}=h0"
    );
    let mirror = Mirror::start_and_wait_for(&lab.host, &words, "EC2 endpoint on");
    let socket = lab.monitor.inside(|| bind_udp("10.99.1.2:6000"));
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let client = Client { host: &lab.host };
    let made = |parameters: &str, element: &str| {
        let (status, document) = client.call(parameters);
        assert_eq!(status, 200, "{document}");
        text(&document, element)
    };
    let target = format!("Action=CreateTrafficMirrorTarget&NetworkInterfaceId={MONITOR}");
    let target = made(&target, "trafficMirrorTargetId");
    let filter = made("Action=CreateTrafficMirrorFilter", "trafficMirrorFilterId");
    let rule = format!(
        "Action=CreateTrafficMirrorFilterRule&TrafficMirrorFilterId={filter}\
         &TrafficDirection=ingress&RuleNumber=1&RuleAction=accept&Protocol=17\
         &SourceCidrBlock=0.0.0.0/0&DestinationCidrBlock=0.0.0.0/0"
    );
    made(&rule, "trafficMirrorFilterRuleId");
    let session = format!(
        "Action=CreateTrafficMirrorSession&NetworkInterfaceId={HOST}&SessionNumber=1\
         &VirtualNetworkId=42&TrafficMirrorTargetId={target}&TrafficMirrorFilterId={filter}"
    );
    made(&session, "trafficMirrorSessionId");
    Pair::new(&lab, IPV4, (4000, 2000)).send(0, 100);
    let mut datagram = [0; 2048];
    let len = socket.recv(&mut datagram).unwrap();
    assert_eq!(datagram[..8], [8, 0, 0, 0, 0, 0, 42, 0], "{len} bytes");
    mirror.end().assert_no_loss();
}
