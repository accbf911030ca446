//! Copies are never mirrored again, where the mirrored interface is the one that they leave by.

use crate::collector::Collector;
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::ping;

const PINGS: u16 = 20;

#[test]
fn copies_that_leave_by_the_mirrored_interface_are_not_mirrored_again() {
    let Some(lab) = Lab::new("loop") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let before = lab.host.packets("m0");
    let mirror = Mirror::start(&lab.host, "-i m0 --target 10.99.1.2 --virtual-network-id 42");
    (0..PINGS).for_each(|number| ping(&lab.host, "10.99.1.2", number, 56));
    let arrived = collector.take_after(2 * usize::from(PINGS));
    assert_eq!(arrived.len(), 2 * usize::from(PINGS), "requests and replies, each once");
    let ended = mirror.end();
    ended.assert_whole();
    let passed = lab.host.packets("m0") - before;
    assert_eq!((ended.count("mirrored"), ended.not_mirrored("own_traffic")), (40, 40));
    assert_eq!(ended.count("received"), passed, "the kernel counted the same: {}", ended.report);
    assert_eq!(collector.end().len(), 0);
}

/// Copies of somebody else, for whom another mark or none was chosen, are known by their headers.
#[test]
fn copies_without_our_mark_are_known_by_their_headers() {
    let Some(lab) = Lab::new("guard") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let words = "-i m0 --target 10.99.1.2 --virtual-network-id";
    let one = Mirror::start(&lab.host, &format!("{words} 42 --mark 7"));
    let two = Mirror::start(&lab.host, &format!("{words} 43 --mark 8"));
    (0..PINGS).for_each(|number| ping(&lab.host, "10.99.1.2", number, 56));
    let arrived = collector.take_after(4 * usize::from(PINGS));
    assert_eq!(arrived.len(), 4 * usize::from(PINGS), "each ping and reply by both");
    for ended in [one.end(), two.end()] {
        ended.assert_whole();
        let own = ended.not_mirrored("own_traffic");
        assert_eq!((ended.count("mirrored"), own), (40, 80), "its own, and those of the other");
    }
    assert_eq!(collector.end().len(), 0);
}
