//! Shutdown: frames that arrive before SIGTERM are sent before the program ends.

use crate::collector::Collector;
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::recorder::len_that_fits;
use crate::traffic::{IPV4, Pair, number_of};
use crate::waiting::{pause, wait_until};

/// The number of datagrams.
const BURST: usize = 5_000;

/// The length of a datagram in bytes.
const DATAGRAM_LEN: usize = 1_000;

/// Asserts that all frames in the ring are mirrored after `signal`. The program is stopped while a
/// burst arrives, so that the whole burst is in the ring when the signal is sent.
fn assert_drained_by(test: &str, signal: &str, words: &str) {
    let Some(lab) = Lab::new(test) else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(
        &lab.host,
        &format!("-i h0 --target 10.99.1.2 --virtual-network-id 42 {words}"),
    );
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    mirror.signal("-STOP");
    wait_until("a stop", || mirror.state() == 'T');
    let burst = len_that_fits(BURST * DATAGRAM_LEN) / DATAGRAM_LEN;
    let burst = u32::try_from(burst).unwrap();
    (0..burst).for_each(|number| pair.send(number, DATAGRAM_LEN));
    mirror.signal(signal);
    mirror.signal("-CONT");
    let ended = mirror.wait();
    ended.assert_no_loss();
    assert_eq!(ended.count("mirrored"), u64::from(burst));
    let arrived = collector.end();
    let numbers: Vec<u32> = arrived.iter().map(|one| number_of(&one.inner)).collect();
    assert!(
        numbers.iter().copied().eq(0..burst),
        "{} of {burst} copies arrived, or in another order",
        numbers.len()
    );
}

#[test]
fn frames_received_before_sigterm_are_mirrored() {
    assert_drained_by("term", "-TERM", "");
}

#[test]
fn frames_received_before_sigint_are_mirrored_by_all_workers() {
    assert_drained_by("int", "-INT", "--workers 2 --busy-poll");
}

#[test]
fn run_ends_without_packets_and_after_its_interface_was_removed() {
    let Some(lab) = Lab::new("empty") else { return };
    let words = "-i h0 --target 10.99.1.2 --virtual-network-id 42";
    let ended = Mirror::start(&lab.host, words).end();
    ended.assert_no_loss();
    assert_eq!(ended.count("mirrored"), 0);
    let mirror = Mirror::start(&lab.host, words);
    lab.wire.ip("link del p0\n");
    mirror.wait_for_lines("h0 no longer exists", 1);
    pause(50);
    mirror.end().assert_no_loss();
}

/// `timeout` signals its child and, right after that, its whole process group.
#[test]
fn every_run_under_timeout_prints_its_report() {
    let Some(lab) = Lab::new("timeout") else { return };
    let words = "-i h0 --target 10.99.1.2 --virtual-network-id 42";
    for _ in 0..20 {
        Mirror::start_under_timeout(&lab.host, words).end().assert_no_loss();
    }
}

/// The process is stopped, so all signals are delivered together when it continues.
#[test]
fn simultaneous_signals_stop_a_run_once() {
    let Some(lab) = Lab::new("signals") else { return };
    let mirror = Mirror::start(&lab.host, "-i h0 --target 10.99.1.2 --virtual-network-id 42");
    for name in ["-STOP", "-INT", "-TERM", "-CONT"] {
        mirror.signal(name);
    }
    mirror.wait().assert_no_loss();
}
