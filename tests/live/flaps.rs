//! Interfaces that go down, away and by other names: mirroring goes on when they are back, one
//! line is said for each change, and nothing spins in between.

use crate::collector::Collector;
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair};
use crate::waiting::{pause, wait_until};

/// A mirror of h0 and its monitor.
struct Watched {
    lab: Lab,
    collector: Collector,
    mirror: Mirror,
}

impl Watched {
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

    /// All that passes now is mirrored.
    fn mirrors(&self) {
        pause(50);
        let _ = self.collector.take();
        let pair = Pair::new(&self.lab, IPV4, (4000, 2000));
        (0..50).for_each(|number| pair.send(number, 200));
        (0..50).for_each(|number| pair.answer(number, 200));
        assert_eq!(self.collector.take_after(100).len(), 100);
    }

    /// It hardly works for a second. A thread that spins would take all of it.
    fn rests(&self) {
        let before = self.mirror.processor_time();
        pause(1_000);
        let spent = self.mirror.processor_time() - before;
        assert!(spent < 30, "{spent} hundredths of a second: {:#?}", self.mirror.said());
    }

    /// Says these words once more than before, and nothing else.
    fn says(&self, words: &str, change: impl FnOnce(&Lab)) {
        let (times, lines) = (self.mirror.times_said(words), self.mirror.said().len());
        change(&self.lab);
        self.mirror.wait_said(words, times + 1);
        pause(200);
        assert_eq!(self.mirror.said().len(), lines + 1, "{:#?}", self.mirror.said());
    }

    fn ends(self) {
        let ended = self.mirror.end();
        assert_eq!(ended.code, 0, "{:#?}", ended.said);
    }
}

#[test]
fn an_interface_that_goes_down_and_up_is_mirrored_on() {
    let Some(watched) = Watched::new("down") else { return };
    watched.mirrors();
    for _ in 0..3 {
        watched.says("h0 is down: waiting", |lab| lab.host.ip("link set h0 down\n"));
        watched.says("h0 is up: going on", |lab| lab.host.ip("link set h0 up\n"));
        watched.mirrors();
    }
    watched.says("h0 is down: waiting", |lab| lab.host.ip("link set h0 down\n"));
    watched.rests();
    watched.ends();
}

#[test]
fn the_portable_way_begins_anew() {
    let Some(watched) = Watched::with_options("portable", "--capture pnet") else { return };
    watched.mirrors();
    watched.says("h0 is down: waiting", |lab| lab.host.ip("link set h0 down\n"));
    watched.rests();
    watched.lab.host.ip("link set h0 up\n");
    watched.mirror.wait_said("mirroring h0", 2);
    watched.mirrors();
    watched.ends();
}

#[test]
fn an_interface_that_is_made_anew_is_mirrored_again() {
    let Some(watched) = Watched::new("anew") else { return };
    watched.mirrors();
    for _ in 0..2 {
        watched.says("h0 is gone: waiting", |lab| lab.wire.ip("link del p0\n"));
        watched.rests();
        // It is found down, or up: that is one line or two.
        let times = watched.mirror.times_said("mirroring h0");
        watched.lab.plug_host_in();
        watched.mirror.wait_said("mirroring h0", times + 1);
        let is_up = || watched.lab.host.inside(|| traffic_mirror::io::links::link_by_name("h0"));
        wait_until("h0 is up", || is_up().unwrap().is_some_and(|link| link.is_running));
        watched.mirrors();
    }
    watched.ends();
}

#[test]
fn an_interface_that_is_renamed_is_let_go_until_it_has_its_name_back() {
    let Some(watched) = Watched::new("name") else { return };
    watched.mirrors();
    watched.says("h0 is down: waiting", |lab| lab.host.ip("link set h0 down\n"));
    watched.says("h0 is gone: waiting", |lab| lab.host.ip("link set h0 name other\n"));
    watched.lab.host.ip("link set other up\n");
    let pair = Pair::new(&watched.lab, IPV4, (4005, 2005));
    (0..20).for_each(|number| pair.send(number, 200));
    pause(200);
    let foreign = watched.collector.take();
    assert_eq!(foreign.len(), 0, "it is not h0");
    watched.rests();
    watched.lab.host.ip("link set other down\n");
    watched.says("mirroring h0", |lab| lab.host.ip("link set other name h0\n"));
    watched.says("h0 is up: going on", |lab| lab.host.ip("link set h0 up\n"));
    watched.mirrors();
    watched.ends();
}
