//! Moves between the tiers under load: no copy is sent twice or out of order, and every frame that
//! neither tier mirrors is counted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use testkit::config::one_session;
use testkit::print_uncaptured;

use crate::collector::Collector;
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair, number_of};
use crate::waiting::pause;

/// The kernel tier cannot truncate to 60 bytes, which contain the number of a datagram.
const SHORT: &str = "packet_length = 60\n";

#[test]
fn moves_between_the_tiers_neither_duplicate_nor_reorder_and_every_loss_is_counted() {
    let Some(lab) = Lab::new("tiers") else { return };
    move_between_tiers(&lab, "--workers 1", 20);
    move_between_tiers(&lab, "--workers 2", 8);
}

fn move_between_tiers(lab: &Lab, words: &str, moves: usize) {
    let fitting = one_session("device = \"h0\"", "10.99.1.2", &["ingress"]);
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let path = lab.put("mirror.toml", &fitting);
    let mirror = Mirror::start(&lab.host, &format!("--config {path} --tier auto {words}"));
    if mirror.count_lines_with(", kernel tier") == 0 {
        let lines = mirror.log_lines().join("\n");
        return print_uncaptured(&format!("NOT RUN: no kernel tier:\n{lines}\n"));
    }
    let pair = Pair::new(lab, IPV4, (4000, 2000));
    let is_over = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let sender = scope.spawn(|| send_until(&pair, &is_over));
        for number in 0..moves {
            let times = mirror.count_lines_with("mirroring h0");
            let text = if number % 2 == 0 { fitting.clone() + SHORT } else { fitting.clone() };
            lab.put("mirror.toml", &text);
            mirror.signal("-HUP");
            mirror.wait_for_lines("mirroring h0", times + 1);
            pause(50);
        }
        is_over.store(true, Ordering::Release);
        sender.join().unwrap()
    });
    pause(500);
    let switches = mirror.count_lines_with("moves to the");
    let ended = mirror.end();
    let arrived = collector.take();
    let numbers: Vec<u32> = arrived.iter().map(|copy| number_of(&copy.inner)).collect();
    assert_eq!(switches, moves);
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "a copy is late or was sent twice");
    let (copies, sent) = (u64::try_from(numbers.len()).unwrap(), u64::from(sent));
    let dropped = ended.sum_of("dropped");
    assert_eq!(ended.count("mirrored"), copies);
    assert!(copies + dropped >= sent, "{sent} sent, {copies} copies, {dropped} dropped");
    let received = ended.count("received");
    assert_eq!(received, copies + dropped + ended.sum_of("not_mirrored"));
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
