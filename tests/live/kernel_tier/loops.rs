//! Copies that pass a mirrored device are not mirrored again, and collectors that refuse copies are
//! reported.

use super::{RUN, kernel_lab};
use crate::collector::Collector;
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair, ping};
use crate::waiting::{pause, wait_until};

const PINGS: u16 = 20;

#[test]
fn copies_that_leave_through_the_mirrored_device_are_not_mirrored_again() {
    let Some(lab) = kernel_lab("kt-loop") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let before = lab.host.packets("m0");
    let words = "-i m0 --target 10.99.1.2 --virtual-network-id 42 --tier kernel";
    let mirror = Mirror::start(&lab.host, words);
    (0..PINGS).for_each(|number| ping(&lab.host, "10.99.1.2", number, 56));
    let arrived = collector.take_after(2 * usize::from(PINGS));
    assert_eq!(arrived.len(), 2 * usize::from(PINGS), "requests and replies, each once");
    let ended = mirror.end();
    ended.assert_no_loss();
    let passed = lab.host.packets("m0") - before;
    let counts = (ended.count("mirrored"), ended.not_mirrored("own_traffic"));
    assert_eq!(counts, (40, 40), "{}", ended.report);
    assert_eq!(ended.count("received"), passed, "the kernel counted the same: {}", ended.report);
    assert_eq!(collector.end().len(), 0);
}

fn start(lab: &Lab, last: u8, more: &str) -> Mirror {
    let words = format!("-i m0 --target 10.99.1.{last} --virtual-network-id 4{last} {more}");
    Mirror::start(&lab.host, &words)
}

/// Each run mirrors the copies of the other once, in any combination of tiers.
#[test]
fn two_runs_that_mirror_each_others_copies_stop_looping() {
    let Some(lab) = kernel_lab("kt-pair") else { return };
    lab.monitor.ip("addr add 10.99.1.3/24 dev v0\n");
    lab.host.ip("neigh replace 10.99.1.3 lladdr 02:00:00:00:02:02 dev m0 nud permanent\n");
    let near = Collector::listen(&lab.monitor, "10.99.1.2");
    let far = Collector::listen(&lab.monitor, "10.99.1.3");
    for tiers in [["kernel", "kernel"], ["kernel", "ring"], ["ring", "kernel"]] {
        let [one, two] = tiers.map(|tier| format!("--tier {tier}"));
        let mirrors = [start(&lab, 2, &one), start(&lab, 3, &two)];
        (0..PINGS).for_each(|number| ping(&lab.host, "10.99.1.2", number, 56));
        for collector in [&near, &far] {
            let arrived = collector.take_after(4 * usize::from(PINGS));
            assert_eq!(arrived.len(), 4 * usize::from(PINGS), "{tiers:?}: pings and copies");
        }
        for ended in mirrors.map(Mirror::end) {
            ended.assert_no_loss();
            let (own, nested) =
                (ended.not_mirrored("own_traffic"), ended.not_mirrored("nested_copy"));
            let counts = (ended.count("mirrored"), own, nested);
            assert_eq!(counts, (80, 80, 40), "{tiers:?}: {}", ended.report);
        }
        assert_eq!(near.take().len() + far.take().len(), 0);
    }
}

/// No socket sends the copies, but the ICMP errors about them are counted.
#[test]
fn a_collector_that_refuses_copies_is_reported() {
    let Some(lab) = kernel_lab("kt-refuse") else { return };
    let mirror = Mirror::start(&lab.host, RUN);
    let pair = Pair::new(&lab, IPV4, (4_000, 2_000));
    let mut sent = 0;
    let mut send_until = |words: &str| {
        wait_until(words, || {
            pair.send(sent, 200);
            sent += 1;
            pause(10);
            mirror.count_lines_with(words) > 0
        });
    };
    send_until("refuses copies: no program listens on that port");
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    send_until("accepts copies again");
    let arrived = collector.end().len();
    assert!(arrived > 0);
    let ended = mirror.end();
    let refused = ended.report["targets"][0]["refused"].as_u64().unwrap();
    assert!(refused > 0, "{}", ended.report);
    assert_eq!(ended.count("mirrored") + ended.sum_of("dropped"), u64::from(sent));
}
