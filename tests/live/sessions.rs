//! Rules, directions and several sessions: the copies, the report, and the counters of the kernel.

use crate::collector::{Collector, by_network};
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair, ping};

/// Session 1 accepts ingress UDP except to port 2000. Session 2 accepts the rest and egress UDP.
const CONFIG: &str = r#"
[[network_interface]]
network_interface_id = "eni-1"
device = "h0"

[[traffic_mirror_target]]
traffic_mirror_target_id = "tmt-near"
address = "10.99.1.2"

[[traffic_mirror_target]]
traffic_mirror_target_id = "tmt-far"
address = "10.99.1.3"

[[traffic_mirror_session]]
traffic_mirror_session_id = "tms-1"
network_interface_id = "eni-1"
traffic_mirror_target_id = "tmt-near"
traffic_mirror_filter_id = "tmf-most"
session_number = 1
packet_length = 100
virtual_network_id = 101

[[traffic_mirror_session]]
traffic_mirror_session_id = "tms-2"
network_interface_id = "eni-1"
traffic_mirror_target_id = "tmt-far"
traffic_mirror_filter_id = "tmf-udp"
session_number = 2
virtual_network_id = 202

[[traffic_mirror_filter]]
traffic_mirror_filter_id = "tmf-most"

[[traffic_mirror_filter.rule]]
traffic_direction = "ingress"
rule_number = 10
rule_action = "reject"
protocol = 17
source_cidr_block = "0.0.0.0/0"
destination_cidr_block = "10.98.1.2/32"
destination_port_range = { from_port = 2000, to_port = 2000 }

[[traffic_mirror_filter.rule]]
traffic_direction = "ingress"
rule_number = 20
rule_action = "accept"
protocol = 17
source_cidr_block = "0.0.0.0/0"
destination_cidr_block = "0.0.0.0/0"

[[traffic_mirror_filter]]
traffic_mirror_filter_id = "tmf-udp"

[[traffic_mirror_filter.rule]]
traffic_direction = "ingress"
rule_number = 10
rule_action = "accept"
protocol = 17
source_cidr_block = "0.0.0.0/0"
destination_cidr_block = "0.0.0.0/0"

[[traffic_mirror_filter.rule]]
traffic_direction = "egress"
rule_number = 10
rule_action = "accept"
protocol = 17
source_cidr_block = "10.98.1.2/32"
destination_cidr_block = "0.0.0.0/0"
"#;

#[test]
fn each_session_mirrors_its_own_frames_as_reported() {
    let Some(lab) = Lab::new("sessions") else { return };
    let lab = lab.with_offloads(false);
    lab.monitor.ip("addr add 10.99.1.3/24 dev v0\n");
    let near = Collector::listen(&lab.monitor, "10.99.1.2");
    let far = Collector::listen(&lab.monitor, "10.99.1.3");
    let config = lab.put("mirror.toml", CONFIG);
    let before = lab.host.packets("h0");
    let mirror = Mirror::start(&lab.host, &format!("--config {config}"));

    let (open, rejected) =
        (Pair::new(&lab, IPV4, (4000, 1000)), Pair::new(&lab, IPV4, (4001, 2000)));
    (0..50).for_each(|number| open.send(number, 200));
    (0..30).for_each(|number| rejected.send(number, 200));
    (0..20).for_each(|number| open.answer(number, 300));
    (0..7).for_each(|number| ping(&lab.generator, IPV4.1, number, 56));

    near.wait_for(50);
    far.wait_for(50);
    let passed = lab.host.packets("h0") - before;
    let ended = mirror.end();
    ended.assert_no_loss();
    let (near, far) = (near.end(), far.end());
    assert_eq!(by_network(&near), [(101, 50)].into());
    assert_eq!(by_network(&far), [(202, 50)].into());
    assert!(near.iter().all(|one| one.inner.len() == 100));
    let count = |len| far.iter().filter(|one| one.inner.len() == len).count();
    assert_eq!((count(242), count(342)), (30, 20), "to port 2000, and outbound");

    let [first, second] = [0, 1].map(|place| &ended.report["sessions"][place]);
    assert_eq!((&first["mirrored"], &first["truncated"]), (&50.into(), &50.into()));
    assert_eq!((&first["mirrored_bytes"], &first["truncated_to_mtu"]), (&5_000.into(), &0.into()));
    assert_eq!((&second["mirrored"], &second["truncated"]), (&50.into(), &0.into()));
    assert_eq!(second["mirrored_bytes"], 30 * 242 + 20 * 342);
    for (place, address) in ["10.99.1.2:4789", "10.99.1.3:4789"].iter().enumerate() {
        let target = &ended.report["targets"][place];
        assert_eq!((&target["address"], &target["mirrored"]), (&(*address).into(), &50.into()));
    }
    assert_eq!(ended.not_mirrored("no_session_matched"), 14, "no session accepts pings");
    assert_eq!(ended.count("received"), passed, "the kernel counted the same: {}", ended.report);
}
