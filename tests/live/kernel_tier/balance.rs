//! Several addresses of a load balancer: the kernel tier sends each flow where the ring does.

use std::collections::BTreeMap;

use testkit::config::one_session;

use super::kernel_lab;
use crate::collector::Collector;
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair, number_of};

const ADDRESSES: [&str; 3] = ["10.99.1.2", "10.99.1.3", "10.99.1.4"];

const FLOWS: u16 = 100;

fn config() -> String {
    let arn =
        "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/c/50dc6c495c0c9188";
    let addresses = format!("addresses = {ADDRESSES:?}\nnetwork_load_balancer_arn = \"{arn}\"");
    let session = one_session("device = \"h0\"", ADDRESSES[0], &["ingress", "egress"]);
    session.replace(&format!("address = \"{}\"", ADDRESSES[0]), &addresses)
}

/// The address that got the copies of each flow, by the number of the flow.
fn addresses_of_flows(lab: &Lab, tier: &str) -> BTreeMap<u32, usize> {
    let path = lab.put("mirror.toml", &config());
    let collectors = ADDRESSES.map(|address| Collector::listen(&lab.monitor, address));
    let mirror = Mirror::start(&lab.host, &format!("--config {path} --tier {tier}"));
    for flow in 0..FLOWS {
        let pair = Pair::new(lab, IPV4, (4_000 + flow, 2_000));
        pair.send(u32::from(flow), 200);
        pair.answer(u32::from(flow), 200);
    }
    let ended = mirror.end();
    ended.assert_no_loss();
    assert_eq!(ended.count("mirrored"), 2 * u64::from(FLOWS), "{}", ended.report);
    assert_eq!(ended.report["targets"][0]["mirrored"], 2 * u64::from(FLOWS), "{}", ended.report);
    let mut addresses = BTreeMap::new();
    for (address, collector) in collectors.into_iter().enumerate() {
        for copy in collector.end() {
            let known = addresses.insert(number_of(&copy.inner), address);
            assert!(known.is_none_or(|known| known == address), "both directions of a flow");
        }
    }
    addresses
}

#[test]
fn each_flow_goes_to_the_same_address_as_in_the_ring_tier() {
    let Some(lab) = kernel_lab("kt-nlb") else { return };
    for address in &ADDRESSES[1..] {
        lab.monitor.ip(&format!("addr add {address}/24 dev v0\n"));
        lab.host.ip(&format!("neigh replace {address} lladdr 02:00:00:00:02:02 dev m0\n"));
    }
    let (kernel, ring) = (addresses_of_flows(&lab, "kernel"), addresses_of_flows(&lab, "ring"));
    assert_eq!(kernel, ring);
    for address in 0..ADDRESSES.len() {
        assert!(kernel.values().any(|one| *one == address), "no flow goes to {address}");
    }
}
