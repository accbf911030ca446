//! Interfaces that go down, are removed or renamed: mirroring continues when they return, each
//! change is reported by one line, and no thread spins meanwhile.

use crate::collector::Collector;
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair};
use crate::waiting::{pause, wait_until};

/// A mirror of h0 and its monitor.
struct LinkChangeTest {
    lab: Lab,
    collector: Collector,
    mirror: Mirror,
}

impl LinkChangeTest {
    fn new(test: &str) -> Option<Self> {
        Self::with_options(test, "")
    }

    fn with_options(test: &str, options: &str) -> Option<Self> {
        let lab = Lab::new(test)?;
        let collector = Collector::listen(&lab.monitor, "10.99.1.2");
        let words = format!("-i h0 --target 10.99.1.2 --virtual-network-id 42 {options}");
        let mirror = Mirror::start(&lab.host, &words);
        Some(Self { lab, collector, mirror })
    }

    /// Asserts that current traffic is mirrored.
    fn assert_mirrors(&self) {
        pause(50);
        let _ = self.collector.take();
        let pair = Pair::new(&self.lab, IPV4, (4000, 2000));
        (0..50).for_each(|number| pair.send(number, 200));
        (0..50).for_each(|number| pair.answer(number, 200));
        assert_eq!(self.collector.take_after(100).len(), 100);
    }

    /// Asserts that the program uses less than 300 ms of processor time in one second. A thread
    /// that spins would use the whole second.
    fn assert_idle(&self) {
        let before = self.mirror.processor_time();
        pause(1_000);
        let spent = self.mirror.processor_time() - before;
        assert!(spent < 30, "{spent} hundredths of a second: {:#?}", self.mirror.log_lines());
    }

    /// Waits until these words are logged once more, and nothing else.
    fn assert_logs(&self, words: &str, change: impl FnOnce(&Lab)) {
        let (times, lines) = (self.mirror.count_lines_with(words), self.mirror.log_lines().len());
        change(&self.lab);
        self.mirror.wait_for_lines(words, times + 1);
        pause(200);
        assert_eq!(self.mirror.log_lines().len(), lines + 1, "{:#?}", self.mirror.log_lines());
    }

    fn assert_ends_cleanly(self) {
        let ended = self.mirror.end();
        assert_eq!(ended.code, 0, "{:#?}", ended.log_lines);
    }
}

#[test]
fn mirroring_resumes_after_an_interface_goes_down_and_up() {
    let Some(setup) = LinkChangeTest::new("down") else { return };
    setup.assert_mirrors();
    for _ in 0..3 {
        setup.assert_logs("h0 is down: waiting", |lab| lab.host.ip("link set h0 down\n"));
        setup.assert_logs("h0 is up: mirroring it", |lab| lab.host.ip("link set h0 up\n"));
        setup.assert_mirrors();
    }
    setup.assert_logs("h0 is down: waiting", |lab| lab.host.ip("link set h0 down\n"));
    setup.assert_idle();
    setup.assert_ends_cleanly();
}

#[test]
fn the_pnet_capture_reopens_after_an_interface_goes_down_and_up() {
    let Some(setup) = LinkChangeTest::with_options("portable", "--capture pnet") else { return };
    setup.assert_mirrors();
    setup.assert_logs("h0 is down: waiting", |lab| lab.host.ip("link set h0 down\n"));
    setup.assert_idle();
    setup.lab.host.ip("link set h0 up\n");
    setup.mirror.wait_for_lines("mirroring h0", 2);
    setup.assert_mirrors();
    setup.assert_ends_cleanly();
}

#[test]
fn a_recreated_interface_is_mirrored_again() {
    let Some(setup) = LinkChangeTest::new("anew") else { return };
    setup.assert_mirrors();
    for _ in 0..2 {
        setup.assert_logs("h0 no longer exists: waiting", |lab| lab.wire.ip("link del p0\n"));
        setup.assert_idle();
        // The interface may be down or up when it is found: one line or two.
        let times = setup.mirror.count_lines_with("mirroring h0");
        setup.lab.connect_host();
        setup.mirror.wait_for_lines("mirroring h0", times + 1);
        let is_up = || setup.lab.host.inside(|| traffic_mirror::io::links::link_by_name("h0"));
        wait_until("h0 is up", || is_up().unwrap().is_some_and(|link| link.is_running));
        setup.assert_mirrors();
    }
    setup.assert_ends_cleanly();
}

#[test]
fn a_renamed_interface_is_not_mirrored_until_its_name_is_restored() {
    let Some(setup) = LinkChangeTest::new("name") else { return };
    setup.assert_mirrors();
    setup.assert_logs("h0 is down: waiting", |lab| lab.host.ip("link set h0 down\n"));
    setup
        .assert_logs("h0 no longer exists: waiting", |lab| lab.host.ip("link set h0 name other\n"));
    setup.lab.host.ip("link set other up\n");
    let pair = Pair::new(&setup.lab, IPV4, (4005, 2005));
    (0..20).for_each(|number| pair.send(number, 200));
    pause(200);
    let foreign = setup.collector.take();
    assert_eq!(foreign.len(), 0, "it is not h0");
    setup.assert_idle();
    setup.lab.host.ip("link set other down\n");
    setup.assert_logs("mirroring h0", |lab| lab.host.ip("link set other name h0\n"));
    setup.assert_logs("h0 is up: mirroring it", |lab| lab.host.ip("link set h0 up\n"));
    setup.assert_mirrors();
    setup.assert_ends_cleanly();
}
