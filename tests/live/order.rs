//! Copies of many flows arrive in the order of their frames, and many targets need few descriptors.

use testkit::config::{filter, network_interface, session, target};

use crate::collector::Collector;
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair, number_of, numbered};

const FLOWS: u16 = 32;
const ROUNDS: u32 = 60;

fn copies_of_many_flows(lab: &Lab, words: &str) -> Vec<u32> {
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(
        &lab.host,
        &format!("-i h0 --target 10.99.1.2 --virtual-network-id 42 {words}"),
    );
    let pairs: Vec<Pair> =
        (0..FLOWS).map(|flow| Pair::new(lab, IPV4, (4000 + flow, 2000 + flow))).collect();
    let mut sent = 0;
    for round in 0..ROUNDS {
        for (flow, pair) in (0..).zip(&pairs) {
            // Two lengths, so that some copies are sent together; without pauses, so that bursts
            // form.
            let len = if (round + flow) % 3 == 0 { 900 } else { 60 };
            pair.generator.send(&numbered(sent, len)).unwrap();
            sent += 1;
        }
    }
    let total = usize::from(FLOWS) * usize::try_from(ROUNDS).unwrap();
    let arrived = collector.take_after(total);
    mirror.end().assert_no_loss();
    let numbers: Vec<u32> = arrived.iter().map(|copy| number_of(&copy.inner)).collect();
    assert_eq!(numbers.len(), total);
    numbers
}

#[test]
fn copies_arrive_in_the_order_of_their_frames_across_flows() {
    let Some(lab) = Lab::new("order") else { return };
    for words in ["", "--egress ip", "--gso off"] {
        let numbers = copies_of_many_flows(&lab, words);
        let late = numbers.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert_eq!(late, 0, "{words}: {late} of {} copies are out of order", numbers.len());
    }
    let mut numbers = copies_of_many_flows(&lab, "--order flow");
    // Each round sends one frame of each flow, in the order of the flows.
    for flow in 0..u32::from(FLOWS) {
        let of_flow = numbers.iter().filter(|number| **number % u32::from(FLOWS) == flow);
        assert!(of_flow.is_sorted(), "the copies of flow {flow} are out of order");
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), usize::from(FLOWS) * usize::try_from(ROUNDS).unwrap());
}

#[test]
fn descriptors_do_not_grow_with_targets_and_ports() {
    const TARGETS: usize = 40;
    let Some(lab) = Lab::new("few") else { return };
    let collector = Collector::listen(&lab.monitor, "0.0.0.0");
    let fields = "device = \"h0\"\nprivate_ip_addresses = [\"10.98.1.2\"]";
    let mut text = network_interface("eni-1", fields);
    for number in 0..TARGETS {
        lab.monitor.ip(&format!("addr add 10.99.1.{}/24 dev v0\n", 100 + number));
        let (target_id, filter_id) = (format!("t{number}"), format!("f{number}"));
        text += &target(&target_id, &format!("10.99.1.{}", 100 + number));
        text += &filter(&filter_id, &["ingress"]);
        let port = 2000 + number;
        text += "protocol = 17\n";
        text += &format!("destination_port_range = {{ from_port = {port}, to_port = {port} }}\n");
        text += &session(number + 1, "eni-1", &target_id, &filter_id);
        text += &format!("virtual_network_id = {}\n", number + 1);
    }
    let path = lab.put("many.toml", &text);
    let mirror = Mirror::start(&lab.host, &format!("--config {path}"));
    for round in 0..4_u32 {
        for target in 0..u16::try_from(TARGETS).unwrap() {
            let near = 4000 + target + 100 * u16::try_from(round).unwrap();
            Pair::new(&lab, IPV4, (near, 2000 + target)).send(round, 60);
        }
    }
    let arrived = collector.take_after(4 * TARGETS);
    assert_eq!(arrived.len(), 4 * TARGETS);
    let folder = format!("/proc/{}/fd", mirror.id());
    let sockets = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter(|link| link.to_string_lossy().starts_with("socket:"))
        .count();
    // Ring, wake-up socket and up to three senders; links, routes, signals and ICMP of the process.
    assert!(sockets <= 16, "{sockets} sockets for {TARGETS} targets");
    mirror.end().assert_no_loss();
}
