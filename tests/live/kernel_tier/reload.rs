//! Reloads under load: each frame is mirrored once, by the old or by the new sessions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use testkit::config::{accept_rule, network_interface, session, target};

use super::kernel_lab;
use crate::capacity::SetOnDrop;
use crate::collector::{Collector, ReceivedCopy};
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair, number_of};
use crate::waiting::{pause, wait_until};

/// UDP ports of the host. Sessions 1 and 2 accept one each; session 3 accepts the rest.
const PORTS: [u16; 3] = [2_001, 2_002, 2_003];

/// Three sessions whose network identifiers are `first`, `first` + 1 and `first` + 2.
fn config(first: usize) -> String {
    let mut text = network_interface("eni-1", "device = \"h0\"") + &target("tmt-1", "10.99.1.2");
    for (number, port) in (1..).zip(PORTS) {
        let filter = format!("tmf-{number}");
        text += &format!("[[traffic_mirror_filter]]\ntraffic_mirror_filter_id = \"{filter}\"\n");
        for direction in ["ingress", "egress"] {
            text += &accept_rule(direction, 100);
            let side = if direction == "ingress" { "destination" } else { "source" };
            if number < 3 {
                let range = format!("{{ from_port = {port}, to_port = {port} }}");
                text += &format!("protocol = 17\n{side}_port_range = {range}\n");
            }
        }
        text += &session(number, "eni-1", "tmt-1", &filter);
        text += &format!("virtual_network_id = {}\n", first + number - 1);
    }
    text
}

/// Replaces the configuration by rename, as an editor does.
fn replace(lab: &Lab, text: &str) -> String {
    let new = lab.put("mirror.toml.new", text);
    let path = lab.folder.path().join("mirror.toml");
    std::fs::rename(new, &path).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Sends numbered datagrams both ways over all ports until `is_over`; returns their number.
fn send_until(lab: &Lab, is_over: &AtomicBool) -> u32 {
    let pairs = PORTS.map(|port| Pair::new(lab, IPV4, (port + 2_000, port)));
    let mut number = 0;
    while !is_over.load(Ordering::Acquire) {
        for pair in &pairs {
            pair.send(number, 200);
            pair.answer(number + 1, 200);
            number += 2;
        }
        if number % 48 == 0 {
            pause(1);
        }
    }
    number
}

/// The port of the host in a frame of either direction.
fn host_port(frame: &[u8]) -> u16 {
    let ports = [34, 36].map(|at| u16::from_be_bytes([frame[at], frame[at + 1]]));
    ports[0].min(ports[1])
}

fn assert_each_once(arrived: &[ReceivedCopy], sent: u32) {
    let mut times: BTreeMap<u32, u32> = BTreeMap::new();
    for one in arrived {
        *times.entry(number_of(&one.inner)).or_default() += 1;
        let session = usize::try_from(one.virtual_network_id % 10).unwrap();
        assert_eq!(PORTS[session], host_port(&one.inner), "the copy of another session");
    }
    let lost: Vec<u32> = (0..sent).filter(|number| !times.contains_key(number)).collect();
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(lost.is_empty() && twice.is_empty(), "{sent} sent, lost {lost:?}, twice {twice:?}");
}

/// Reloads under load. `wait` gets the number of each reload, from 1 on, and the first network
/// identifier of the new sessions.
fn assert_each_once_during(
    lab: &Lab,
    reloads: usize,
    wait: impl Fn(&Mirror, &AtomicU32, usize, u32),
) {
    let newest = Arc::new(AtomicU32::new(0));
    let arrived: Arc<Mutex<Vec<ReceivedCopy>>> = Arc::default();
    let (last, copies) = (Arc::clone(&newest), Arc::clone(&arrived));
    let collector = Collector::listen_with(&lab.monitor, "10.99.1.2", move |copy| {
        last.store(copy.virtual_network_id / 10 * 10, Ordering::Release);
        copies.lock().unwrap().push(copy);
    });
    let path = replace(lab, &config(10));
    let mirror = Mirror::start(&lab.host, &format!("--config {path} --tier kernel"));
    let is_over = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let sender = scope.spawn(|| send_until(lab, &is_over));
        let _end = SetOnDrop(&is_over);
        for number in 1..=reloads {
            let first = 10 + number % 2 * 10;
            replace(lab, &config(first));
            mirror.signal("-HUP");
            wait(&mirror, &newest, number, u32::try_from(first).unwrap());
        }
        is_over.store(true, Ordering::Release);
        sender.join().unwrap()
    });
    let ended = mirror.end();
    collector.end();
    let arrived = arrived.lock().unwrap();
    assert_each_once(&arrived, sent);
    let of_first = arrived.iter().filter(|one| one.virtual_network_id < 20).count();
    assert!(of_first > 0 && of_first < arrived.len(), "{of_first} of {}", arrived.len());
    ended.assert_no_loss();
    assert_eq!(ended.count("mirrored"), u64::from(sent), "{}", ended.report);
    assert_eq!(ended.count("unaccounted"), 0, "{}", ended.report);
}

/// Waits until copies have the network identifiers of the newest sessions.
fn wait_for_swap(_: &Mirror, newest: &AtomicU32, number: usize, first: u32) {
    wait_until(&format!("swap {number}"), || newest.load(Ordering::Acquire) == first);
}

/// Sessions may be replaced before their programs are loaded.
#[test]
fn each_frame_is_mirrored_once_during_1000_reloads_at_once() {
    let Some(lab) = kernel_lab("kt-reload") else { return };
    assert_each_once_during(&lab, 1_000, |mirror, _, number, _| {
        mirror.wait_for_lines("configuration reloaded", number);
    });
}

#[test]
fn each_frame_is_mirrored_once_during_40_swaps() {
    let Some(lab) = kernel_lab("kt-swap") else { return };
    assert_each_once_during(&lab, 40, wait_for_swap);
}

#[test]
#[ignore = "needs some minutes"]
fn each_frame_is_mirrored_once_during_1000_swaps() {
    let Some(lab) = kernel_lab("kt-swaps") else { return };
    assert_each_once_during(&lab, 1_000, wait_for_swap);
}
