//! `run --impair`: faults of live copies, their counts and their metrics.

use std::collections::BTreeMap;

use crate::capacity::metrics;
use crate::collector::Collector;
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair, number_of};

const RUN: &str = "-i h0 --target 10.99.1.2 --virtual-network-id 42";
const PACKETS: u32 = 200;

fn send(lab: &Lab) {
    let pair = Pair::new(lab, IPV4, (4_000, 2_000));
    (0..PACKETS).for_each(|number| pair.send(number, 100));
}

#[test]
fn lost_copies_do_not_arrive_and_are_counted() {
    let Some(lab) = Lab::new("lost") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, &format!("{RUN} --impair loss=100%"));
    send(&lab);
    let ended = mirror.end();
    ended.assert_no_loss();
    assert_eq!(collector.end(), []);
    assert_eq!(ended.count("mirrored"), u64::from(PACKETS));
    assert_eq!(ended.report["impaired"]["lost"], PACKETS);
}

/// Delayed copies also leave when no further frames arrive.
#[test]
fn delayed_and_duplicated_copies_arrive_before_the_end() {
    let Some(lab) = Lab::new("late") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let faults = "--impair duplicate=100%,reorder=50%:20 --metrics 127.0.0.1:9464";
    let mirror = Mirror::start(&lab.host, &format!("{RUN} {faults}"));
    send(&lab);
    let arrived = collector.take_after(2 * usize::try_from(PACKETS).unwrap());
    let metrics = metrics(&lab, "127.0.0.1:9464");
    let ended = mirror.end();
    ended.assert_no_loss();
    let mut times = BTreeMap::new();
    let numbers: Vec<u32> = arrived.iter().map(|copy| number_of(&copy.inner)).collect();
    numbers.iter().for_each(|number| *times.entry(*number).or_insert(0) += 1);
    assert!(times.keys().copied().eq(0..PACKETS) && times.values().all(|count| *count == 2));
    assert!(!numbers.is_sorted());
    let reordered = ended.report["impaired"]["reordered"].as_u64().unwrap();
    assert!((50..150).contains(&reordered), "{reordered}");
    for (fault, count) in
        [("reordered", reordered), ("duplicated", u64::from(PACKETS)), ("lost", 0)]
    {
        let sample = format!("traffic_mirror_impaired_total{{fault=\"{fault}\"}} {count}\n");
        assert!(metrics.contains(&sample), "{sample}: {metrics}");
    }
}
