//! The next hop follows neighbours, routes and devices.

use super::{RUN, kernel_lab, kernel_lab_with_unknown_monitor};
use crate::collector::Collector;
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair};
use crate::waiting::{pause, wait_until};

/// A run whose next hop changes.
struct NextHopTest {
    lab: Lab,
    collector: Collector,
    mirror: Mirror,
    pair: Pair,
    sent: u32,
}

impl NextHopTest {
    fn new(lab: Lab) -> Self {
        let collector = Collector::listen(&lab.monitor, "10.99.1.2");
        let mirror = Mirror::start(&lab.host, RUN);
        let pair = Pair::new(&lab, IPV4, (4_000, 2_000));
        Self { lab, collector, mirror, pair, sent: 0 }
    }

    fn send(&mut self, count: u32) {
        for _ in 0..count {
            self.pair.send(self.sent, 200);
            self.sent += 1;
        }
    }

    /// Sends until `has_changed`, then asserts that each of 100 copies arrives.
    fn assert_copies_arrive_once(&mut self, what: &str, has_changed: impl Fn(&Self) -> bool) {
        wait_until(what, || {
            self.send(1);
            pause(10);
            has_changed(self)
        });
        pause(200);
        let _ = self.collector.take();
        self.send(100);
        assert_eq!(self.collector.take_after(100).len(), 100);
    }

    /// Asserts that each frame was mirrored, or dropped because the target could not be reached.
    fn end(self) {
        let ended = self.mirror.end();
        assert_eq!(ended.code, 0, "{:#?}", ended.log_lines);
        // A clone to a device that was removed a moment ago fails.
        let causes = ["target_unreachable", "send_failed"];
        let dropped = causes.map(|cause| ended.report["dropped"][cause].as_u64().unwrap_or(0));
        assert_eq!(ended.sum_of("dropped"), dropped.iter().sum::<u64>(), "{}", ended.report);
        let total = ended.count("mirrored") + ended.sum_of("dropped");
        assert_eq!(total, u64::from(self.sent), "{}", ended.report);
    }
}

/// Nothing else resolves the neighbour.
#[test]
fn an_unresolved_neighbour_is_resolved() {
    let Some(lab) = kernel_lab_with_unknown_monitor("kt-arp1") else { return };
    let mut test = NextHopTest::new(lab);
    test.assert_copies_arrive_once("a copy", |test| test.collector.count() > 0);
    test.end();
}

#[test]
fn copies_follow_the_ethernet_address_of_the_collector() {
    let Some(lab) = kernel_lab("kt-mac") else { return };
    let mut test = NextHopTest::new(lab);
    test.assert_copies_arrive_once("a copy", |test| test.collector.count() > 0);
    test.lab.monitor.ip("link set v0 address 02:00:00:00:02:99\n");
    let _ = test.collector.take_after(0);
    test.lab.host.ip("neigh replace 10.99.1.2 lladdr 02:00:00:00:02:99 dev m0 nud permanent\n");
    test.assert_copies_arrive_once("a copy", |test| test.collector.count() > 0);
    test.end();
}

#[test]
fn copies_follow_the_route_to_another_device() {
    let Some(lab) = kernel_lab("kt-route") else { return };
    let mut test = NextHopTest::new(lab);
    test.assert_copies_arrive_once("a copy", |test| test.collector.count() > 0);
    test.lab.monitor.ip(&format!(
        "link add v1 type veth peer name m1 netns {}\n\
         link set v1 address 02:00:00:00:03:02 up\n",
        test.lab.host.name
    ));
    test.lab.host.ip("link set m1 up\n\
         neigh replace 10.99.1.2 lladdr 02:00:00:00:03:02 dev m1 nud permanent\n\
         route add 10.99.1.2/32 dev m1 src 10.99.1.1\n");
    let before = test.lab.host.packets("m1");
    test.assert_copies_arrive_once("a copy", |test| test.lab.host.packets("m1") > before);
    let passed = test.lab.host.packets("m1");
    test.send(100);
    assert_eq!(test.collector.take_after(100).len(), 100);
    assert_eq!(test.lab.host.packets("m1") - passed, 100);
    test.end();
}

#[test]
fn copies_leave_by_a_recreated_device() {
    let Some(lab) = kernel_lab("kt-egress") else { return };
    let mut test = NextHopTest::new(lab);
    test.assert_copies_arrive_once("a copy", |test| test.collector.count() > 0);
    test.lab.host.ip("link del m0\n");
    for _ in 0..20 {
        test.send(1);
        pause(20);
    }
    test.mirror.assert_running();
    test.lab.connect_monitor();
    let _ = test.collector.take();
    test.lab.host.ip("neigh replace 10.99.1.2 lladdr 02:00:00:00:02:02 dev m0 nud permanent\n");
    test.assert_copies_arrive_once("a copy", |test| test.collector.count() > 0);
    test.end();
}
