//! A long run whose memory must not grow. `TM_SOAK_SECONDS` sets its length.

use crate::collector::Collector;
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair};
use testkit::print_uncaptured;

/// Allowed growth for allocators and counters since the start, in KiB.
const SLACK_KIB: u64 = 2_048;

/// The number of datagrams of a round, each way.
const ROUND: u32 = 200;

#[test]
fn memory_does_not_grow() {
    let seconds = std::env::var("TM_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let Some(seconds) = seconds.filter(|seconds| *seconds > 0) else {
        return print_uncaptured("NOT RUN: the soak test needs its length in TM_SOAK_SECONDS\n");
    };
    let Some(lab) = Lab::new("soak") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let words = "-i h0 --target 10.99.1.2 --virtual-network-id 42 --ring-size 1MiB";
    let mirror = Mirror::start(&lab.host, words);
    let pairs: Vec<Pair> =
        (0..50).map(|flow| Pair::new(&lab, IPV4, (4_000 + flow, 2_000 + flow))).collect();
    let mut sent = 0;
    let mut round = || {
        for (number, pair) in (0..ROUND).zip(pairs.iter().cycle()) {
            pair.send(number, 400);
            pair.answer(number, 1_000);
            sent += 2;
        }
        let _ = collector.take();
        mirror.status_kib("VmRSS")
    };
    // Warm-up: sockets are opened and buffers grow.
    let warm = (0..50).map(|_| round()).max().unwrap();
    let end = after(seconds);
    let mut most = warm;
    while !end.is_past() {
        most = most.max(round());
    }
    assert!(most <= warm + SLACK_KIB, "{warm} KiB after the warm-up, then {most} KiB");
    let ended = mirror.end();
    assert_eq!(ended.code, 0, "{:#?}", ended.log_lines);
    assert_eq!(ended.count("mirrored") + ended.sum_of("dropped"), sent);
}

/// The end of the test.
struct Deadline(std::time::Instant);

#[expect(clippy::disallowed_methods, reason = "a soak test runs for a given time")]
fn after(seconds: u64) -> Deadline {
    Deadline(std::time::Instant::now() + std::time::Duration::from_secs(seconds))
}

impl Deadline {
    fn is_past(&self) -> bool {
        !self.0.elapsed().is_zero()
    }
}
