//! Targets that disappear: mirroring continues, losses are counted, and copies arrive again later.

use traffic_mirror::io::links::link_by_name;

use crate::collector::Collector;
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair};
use crate::waiting::{pause, wait_until};

/// A target that disappears and returns.
struct TargetOutageTest {
    lab: Lab,
    mirror: Mirror,
    pair: Pair,
    sent: u32,
}

impl TargetOutageTest {
    fn new(test: &str) -> Option<Self> {
        Self::with_options(test, "")
    }

    fn with_options(test: &str, options: &str) -> Option<Self> {
        let lab = Lab::new(test)?;
        let words = format!("-i h0 --target 10.99.1.2 --virtual-network-id 42 {options}");
        let mirror = Mirror::start(&lab.host, &words);
        let pair = Pair::new(&lab, IPV4, (4000, 2000));
        Some(Self { lab, mirror, pair, sent: 0 })
    }

    fn send(&mut self, count: u32) {
        for _ in 0..count {
            self.pair.send(self.sent, 200);
            self.sent += 1;
        }
    }

    /// Asserts that copies arrive again, and that none is lost after the first.
    fn assert_copies_arrive(&mut self) {
        let collector = Collector::listen(&self.lab.monitor, "10.99.1.2");
        wait_until("a copy", || {
            self.send(1);
            pause(10);
            collector.count() > 0
        });
        pause(200);
        let _ = collector.take();
        self.send(100);
        assert_eq!(collector.take_after(100).len(), 100);
    }

    /// Removes the carrier of m0 and waits until the kernel reports this.
    fn remove_carrier(&self) {
        self.lab.monitor.ip("link set v0 down\n");
        let link = || self.lab.host.inside(|| link_by_name("m0")).unwrap().unwrap();
        wait_until("m0 has no carrier", || !link().is_running);
        pause(200);
    }

    /// Asserts that the mirror continues while no target receives its copies.
    fn assert_keeps_running(&mut self) {
        for _ in 0..10 {
            self.send(20);
            pause(20);
        }
        self.mirror.assert_running();
    }
}

#[test]
fn copies_reach_a_target_again_after_an_outage() {
    let Some(mut setup) = TargetOutageTest::new("target") else { return };
    // No process listens: ICMP reports a closed port.
    setup.assert_keeps_running();
    setup.mirror.wait_for_lines("refuses copies: no program listens on that port", 1);
    setup.assert_copies_arrive();
    // The recovery is reported after some seconds of copies without an error.
    let collector = Collector::listen(&setup.lab.monitor, "10.99.1.2");
    wait_until("the recovery", || {
        setup.send(1);
        setup.mirror.count_lines_with("accepts copies again") > 0
    });
    drop(collector);

    setup.lab.monitor.ip("link set v0 down\n");
    setup.assert_keeps_running();
    setup.lab.monitor.ip("link set v0 up\n");
    setup.assert_copies_arrive();

    // No neighbour has the address.
    setup.lab.monitor.ip("addr del 10.99.1.2/24 dev v0\n");
    setup.lab.host.ip("neigh flush dev m0\n");
    setup.assert_keeps_running();
    setup.lab.monitor.ip("addr add 10.99.1.2/24 dev v0\n");
    setup.assert_copies_arrive();

    // There is no route.
    setup.lab.host.ip("link set m0 down\n");
    setup.assert_keeps_running();
    setup.lab.host.ip("link set m0 up\n");
    setup.assert_copies_arrive();

    let TargetOutageTest { mirror, sent, .. } = setup;
    let ended = mirror.end();
    assert_eq!(ended.code, 0, "{:#?}", ended.log_lines);
    let target = &ended.report["targets"][0];
    assert!(target["refused"].as_u64().unwrap() > 0, "{}", ended.report);
    assert!(ended.sum_of("dropped") > 0, "{}", ended.report);
    assert_eq!(ended.count("mirrored") + ended.sum_of("dropped"), u64::from(sent));
}

/// Without a carrier the kernel accepts copies and discards them.
#[test]
fn copies_are_dropped_while_the_egress_device_has_no_carrier() {
    let Some(mut setup) = TargetOutageTest::new("carrier") else { return };
    setup.assert_copies_arrive();
    setup.remove_carrier();
    let sent_before = setup.sent;
    setup.send(100);
    setup.mirror.wait_for_lines("10.99.1.2:4789 is unreachable", 1);
    setup.lab.monitor.ip("link set v0 up\n");
    setup.assert_copies_arrive();
    setup.mirror.wait_for_lines("accepts copies again", 1);
    let TargetOutageTest { mirror, sent, .. } = setup;
    assert_eq!(mirror.count_lines_with("is unreachable"), 1, "{:#?}", mirror.log_lines());
    let ended = mirror.end();
    let dropped = ended.report["dropped"]["target_unreachable"].as_u64().unwrap_or_default();
    let after = u64::from(sent - sent_before);
    assert!((100..=after).contains(&dropped), "{dropped}: {}", ended.report);
    assert_eq!(ended.count("mirrored") + dropped, u64::from(sent), "{}", ended.report);
}

#[test]
fn a_recreated_bound_device_is_used_again() {
    for options in ["--bind-device m0", "--bind-device m0 --egress ip"] {
        let Some(mut setup) = TargetOutageTest::with_options("bound", options) else { return };
        setup.assert_copies_arrive();
        setup.lab.host.ip("link del m0\n");
        setup.assert_keeps_running();
        setup.lab.connect_monitor();
        setup.assert_copies_arrive();
        assert_eq!(setup.mirror.end().code, 0);
    }
}

/// `pfifo_head_drop` drops another packet than the new one and returns success.
#[test]
fn a_queue_whose_losses_the_kernel_does_not_report_gives_one_warning() {
    let Some(mut setup) = TargetOutageTest::new("queue") else { return };
    let warnings = |mirror: &Mirror| mirror.count_lines_with("cannot be counted");
    setup.assert_copies_arrive();
    assert_eq!(warnings(&setup.mirror), 0, "{:#?}", setup.mirror.log_lines());
    setup.lab.host.run("tc qdisc replace dev m0 root pfifo_head_drop");
    wait_until("a warning", || {
        setup.send(1);
        pause(20);
        warnings(&setup.mirror) > 0
    });
    setup.lab.host.ip("link set m0 mtu 1400\n");
    setup.assert_copies_arrive();
    let log_lines = setup.mirror.end().log_lines;
    let lines: Vec<_> = log_lines.iter().filter(|one| one.contains("cannot be counted")).collect();
    assert!(lines.len() == 1 && lines[0].contains("m0") && lines[0].contains("pfifo_head_drop"));
}
