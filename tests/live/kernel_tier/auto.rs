//! `--tier auto`: the tier of an interface follows its sessions.

use testkit::config::one_session;

use super::kernel_lab;
use crate::capacity::metrics;
use crate::collector::Collector;
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair};

const METRICS: &str = "127.0.0.1:9464";

/// A session that fits the kernel tier, and one that does not.
fn config(fits: bool) -> String {
    let session = one_session("device = \"h0\"", "10.99.1.2", &["ingress"]);
    let id = "traffic_mirror_session_id = \"tms-1\"\n";
    format!("{session}{id}packet_length = {}\n", if fits { 100 } else { 60 })
}

/// The value of a metric with these words.
fn metric(lab: &Lab, name: &str, words: &str) -> String {
    let text = metrics(lab, METRICS);
    let line = text.lines().find(|line| line.starts_with(name) && line.contains(words));
    line.unwrap_or_else(|| panic!("{name} {words}: {text}")).rsplit(' ').next().unwrap().to_owned()
}

fn assert_tier(lab: &Lab, tier: &str, switches: &str) {
    let value = |tier| metric(lab, "traffic_mirror_interface_tier{", &format!("\"{tier}\""));
    let expected = if tier == "kernel" { ("1", "0") } else { ("0", "1") };
    assert_eq!((&*value("kernel"), &*value("ring")), expected);
    let name = "traffic_mirror_interface_tier_switches_total";
    assert_eq!(metric(lab, name, "h0"), switches);
}

/// Asserts that each of 20 datagrams has one copy of this length in bytes.
fn assert_copies(collector: &Collector, pair: &Pair, len: usize) {
    (0..20).for_each(|number| pair.send(number, 200));
    let arrived = collector.take_after(20);
    let lens: Vec<usize> = arrived.iter().map(|copy| copy.inner.len()).collect();
    assert_eq!(lens, [len; 20]);
}

#[test]
fn an_interface_moves_to_the_ring_and_back_with_its_sessions() {
    let Some(lab) = kernel_lab("kt-auto") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let path = lab.put("mirror.toml", &config(true));
    let words = format!("--config {path} --tier auto --metrics {METRICS}");
    let mirror = Mirror::start(&lab.host, &words);
    assert_eq!(mirror.count_lines_with(", kernel tier"), 1, "{:#?}", mirror.log_lines());
    let pair = Pair::new(&lab, IPV4, (4_000, 2_000));
    assert_tier(&lab, "kernel", "0");
    assert_copies(&collector, &pair, 100);
    for round in 0..3 {
        lab.put("mirror.toml", &config(false));
        mirror.signal("-HUP");
        mirror.wait_for_lines("mirroring h0", 2 * round + 2);
        let reason =
            "h0 moves to the ring tier: session `tms-1` (session_number 1): packet_length 60";
        assert_eq!(mirror.count_lines_with(reason), round + 1, "{:#?}", mirror.log_lines());
        assert_tier(&lab, "ring", &(2 * round + 1).to_string());
        assert_copies(&collector, &pair, 60);
        lab.put("mirror.toml", &config(true));
        mirror.signal("-HUP");
        mirror.wait_for_lines("mirroring h0", 2 * round + 3);
        assert_eq!(mirror.count_lines_with("h0 moves to the kernel tier"), round + 1);
        assert_tier(&lab, "kernel", &(2 * round + 2).to_string());
        assert_copies(&collector, &pair, 100);
    }
    let ended = mirror.end();
    ended.assert_no_loss();
    assert_eq!(ended.count("mirrored"), 7 * 20, "{}", ended.report);
    assert_eq!(ended.count("unaccounted"), 0, "{}", ended.report);
}

#[test]
fn sessions_that_do_not_fit_start_in_the_ring_with_the_reason() {
    let Some(lab) = kernel_lab("kt-ring") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let path = lab.put("mirror.toml", &config(false));
    let words = format!("--config {path} --tier auto --metrics {METRICS}");
    let mirror = Mirror::start(&lab.host, &words);
    let line = "ring tier: session `tms-1` (session_number 1): packet_length 60";
    assert_eq!(mirror.count_lines_with(line), 1, "{:#?}", mirror.log_lines());
    assert_tier(&lab, "ring", "0");
    let pair = Pair::new(&lab, IPV4, (4_000, 2_000));
    assert_copies(&collector, &pair, 60);
    mirror.end().assert_no_loss();
}

/// With `--tier kernel`, a change that does not fit is rejected, and the previous one stays.
#[test]
fn a_change_that_does_not_fit_is_rejected_if_the_kernel_tier_is_required() {
    let Some(lab) = kernel_lab("kt-keep") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let path = lab.put("mirror.toml", &config(true));
    let mirror = Mirror::start(&lab.host, &format!("--config {path} --tier kernel"));
    lab.put("mirror.toml", &config(false));
    mirror.signal("-HUP");
    mirror.wait_for_lines("the configuration was not reloaded", 1);
    assert_eq!(mirror.count_lines_with("session `tms-1` (session_number 1): packet_length 60"), 1);
    let pair = Pair::new(&lab, IPV4, (4_000, 2_000));
    assert_copies(&collector, &pair, 100);
    mirror.end().assert_no_loss();
}
