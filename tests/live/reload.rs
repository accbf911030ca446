//! Reloads under load: each packet is mirrored by exactly one configuration, and an invalid
//! configuration changes nothing.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use testkit::config::one_session;

use crate::collector::{Collector, ReceivedCopy, by_network};
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair, number_of};
use crate::waiting::{pause, wait_until};

const RELOADS: u32 = 1_000;

fn config(virtual_network_id: u32) -> String {
    let session = one_session("device = \"h0\"", "10.99.1.2", &["ingress"]);
    let id = format!("traffic_mirror_session_id = \"tms-{virtual_network_id}\"");
    format!("{session}{id}\nvirtual_network_id = {virtual_network_id}\n")
}

/// Replaces the configuration by rename, as an editor does.
fn replace(lab: &Lab, text: &str) -> String {
    let new = lab.put("mirror.toml.new", text);
    let path = lab.folder.path().join("mirror.toml");
    std::fs::rename(new, &path).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn each_packet_is_mirrored_once_during_reloads() {
    let Some(lab) = Lab::new("reload") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, &format!("--config {}", replace(&lab, &config(42))));
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    let is_over = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let sender = scope.spawn(|| send_until(&pair, &is_over));
        for number in 0..RELOADS {
            replace(&lab, &config(42 + number % 2));
            mirror.signal("-HUP");
        }
        is_over.store(true, Ordering::Release);
        sender.join().unwrap()
    });
    let arrived = collector.take_after(usize::try_from(sent).unwrap());
    assert_each_once(&arrived, sent);
    let networks = by_network(&arrived);
    assert_eq!(networks.keys().copied().collect::<Vec<_>>(), [42, 43]);
    assert!(
        mirror.count_lines_with("configuration reloaded") > 10,
        "{}",
        mirror.count_lines_with("configuration reloaded")
    );

    // An invalid configuration leaves the last one in force; the next valid one is accepted.
    let in_force = config(42 + (RELOADS - 1) % 2);
    for wrong in ["traffic", &in_force.replace("10.99.1.2", "10.99.1.2.3"), &no_device(&in_force)] {
        let times = mirror.count_lines_with("the configuration was not reloaded");
        replace(&lab, wrong);
        mirror.signal("-HUP");
        mirror.wait_for_lines("the configuration was not reloaded", times + 1);
        (0..10).for_each(|number| pair.send(number, 200));
        assert_eq!(by_network(&collector.take_after(10)), [(43, 10)].into(), "{wrong}");
    }
    let times = mirror.count_lines_with("configuration reloaded");
    replace(&lab, &config(44));
    mirror.signal("-HUP");
    mirror.wait_for_lines("configuration reloaded", times + 1);
    // The command is sent; a worker applies it between two bursts.
    pause(200);
    (0..10).for_each(|number| pair.send(number, 200));
    assert_eq!(by_network(&collector.take_after(10)), [(44, 10)].into());
    let ended = mirror.end();
    ended.assert_no_loss();
    assert_eq!(ended.count("mirrored"), u64::from(sent) + 40);
}

/// The message about capabilities is the last one before the devices are opened.
#[test]
fn a_sighup_during_the_start_is_a_reload_after_it() {
    let Some(lab) = Lab::new("early") else { return };
    let words = format!("--config {}", replace(&lab, &config(42)));
    for _ in 0..3 {
        let mirror = Mirror::start_and_wait_for(&lab.host, &words, "capabilities kept");
        mirror.signal("-HUP");
        mirror.wait_for_lines("configuration reloaded", 1);
        mirror.end().assert_no_loss();
    }
}

#[test]
fn a_reload_while_a_mirrored_device_is_absent_is_accepted() {
    let Some(lab) = Lab::new("absent") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, &format!("--config {}", replace(&lab, &config(42))));
    lab.wire.ip("link del p0\n");
    mirror.wait_for_lines("h0 no longer exists", 1);
    replace(&lab, &config(43));
    mirror.signal("-HUP");
    mirror.wait_for_lines("configuration reloaded", 1);
    let warning = "device `h0` of network interface `eni-1` does not exist";
    assert_eq!(mirror.count_lines_with(warning), 1, "{:#?}", mirror.log_lines());
    let times = mirror.count_lines_with("mirroring h0");
    lab.connect_host();
    mirror.wait_for_lines("mirroring h0", times + 1);
    let is_up = || lab.host.inside(|| traffic_mirror::io::links::link_by_name("h0"));
    wait_until("h0 is up", || is_up().unwrap().is_some_and(|link| link.is_running));
    pause(50);
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    (0..10).for_each(|number| pair.send(number, 200));
    assert_eq!(by_network(&collector.take_after(10)), [(43, 10)].into());
    mirror.end().assert_no_loss();
}

fn no_device(config: &str) -> String {
    config.replace("\"h0\"", "\"h1\"")
}

/// Sends as fast as the receiver reads; returns the number of datagrams.
fn send_until(pair: &Pair, is_over: &AtomicBool) -> u32 {
    let mut number = 0;
    while !is_over.load(Ordering::Acquire) {
        pair.send(number, 200);
        number += 1;
        if number % 16 == 0 {
            pause(1);
        }
    }
    number
}

fn assert_each_once(arrived: &[ReceivedCopy], sent: u32) {
    let numbers: BTreeSet<u32> = arrived.iter().map(|one| number_of(&one.inner)).collect();
    let lost: Vec<u32> = (0..sent).filter(|number| !numbers.contains(number)).collect();
    assert_eq!(lost, [0; 0], "{sent} packets were sent, {} copies arrived", arrived.len());
    assert_eq!(arrived.len(), usize::try_from(sent).unwrap(), "some arrived twice");
}
