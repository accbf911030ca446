//! Options of `run`: other namespaces, several workers, busy polling, and mistakes.

use std::collections::BTreeMap;
use std::thread;

use crate::collector::{Collector, ReceivedCopy, inner_frames};
use crate::frames::{assert_same, of_a_test};
use crate::lab::Lab;
use crate::mirror::{BINARY, Mirror, run_refused};
use crate::recorder::Recorder;
use crate::traffic::{IPV4, Pair, number_of};
use crate::waiting::pause;
use testkit::namespace::Namespace;

const RUN: &str = "-i h0 --target 10.99.1.2 --virtual-network-id 42";
const FLOWS: u16 = 16;
const PACKETS: u32 = 200;

/// The numbers of each flow, by its source and destination port, in the order of the frames.
fn numbers_by_flow<'f>(frames: impl Iterator<Item = &'f Vec<u8>>) -> BTreeMap<Vec<u8>, Vec<u32>> {
    let mut flows: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
    for frame in frames {
        flows.entry(frame[34..38].to_vec()).or_default().push(number_of(frame));
    }
    flows
}

/// Sends many flows in both directions at once. Asserts that each arrives completely and in order,
/// from one source port.
fn assert_flows_keep_their_order(lab: &Lab, mirror: Mirror, collector: Collector) {
    let pairs: Vec<Pair> =
        (0..FLOWS).map(|flow| Pair::new(lab, IPV4, (4_000 + flow, 2_000 + flow))).collect();
    for number in 0..PACKETS {
        for pair in &pairs {
            pair.send(number, 100);
            pair.answer(number, 300);
        }
    }
    mirror.end().assert_no_loss();
    let arrived = collector.end();
    let flows = numbers_by_flow(arrived.iter().map(|one| &one.inner));
    assert_eq!(flows.len(), 2 * usize::from(FLOWS));
    for (ports, numbers) in flows {
        assert!(numbers.into_iter().eq(0..PACKETS), "{ports:?}");
    }
    assert_one_port_a_flow(&arrived);
}

fn assert_one_port_a_flow(arrived: &[ReceivedCopy]) {
    let mut ports = BTreeMap::new();
    for one in arrived {
        let flow = &one.inner[26..38];
        assert_eq!(*ports.entry(flow).or_insert(one.source_port), one.source_port);
        assert!(one.source_port >= 65_408);
    }
}

/// A message that is logged while the live line is shown has its own line, and so has the report.
#[test]
fn log_lines_and_report_are_not_written_on_the_live_line() {
    let Some(lab) = Lab::new("screen") else { return };
    let run = format!("timeout --foreground 4 {BINARY} run {RUN}");
    let mut command = lab.host.command("script");
    command.args(["-qfec", &run, "/dev/null"]).env("TERM", "xterm");
    let ran = thread::scope(|scope| {
        let ran = scope.spawn(move || command.output().unwrap());
        pause(2_500);
        lab.host.ip("link set h0 down\n");
        ran.join().unwrap()
    });
    let received = String::from_utf8_lossy(&ran.stdout).into_owned();
    // `ESC [ 2 K` erases the line.
    let lines: Vec<&str> = received.split("\u{1b}[2K").flat_map(str::lines).collect();
    let has_live_line = |line: &&&str| line.contains("mirrored/s");
    assert!(lines.iter().any(|line| has_live_line(&line)), "{received:?}");
    for text in ["h0 is down: waiting", "frames received"] {
        assert!(lines.iter().any(|line| line.contains(text)), "{text}: {received:?}");
    }
    let is_mixed = |line: &&&str| line.contains("traffic-mirror:") || line.contains("count");
    let mixed: Vec<_> = lines.iter().filter(has_live_line).filter(is_mixed).collect();
    assert!(mixed.is_empty(), "{mixed:?}");
}

#[test]
fn log_lines_start_with_the_time() {
    let Some(lab) = Lab::new("times") else { return };
    let lines = Mirror::start(&lab.host, RUN).end().log_lines;
    let own: Vec<_> = lines.iter().filter(|line| line.contains("traffic-mirror: ")).collect();
    assert!(!own.is_empty(), "{lines:#?}");
    for line in own {
        let (time, _) = line.split_once(" traffic-mirror: ").unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok(), "{line}");
    }
}

#[test]
fn one_worker_keeps_the_order_of_flows() {
    let Some(lab) = Lab::new("one") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, &format!("{RUN} --cpus 0"));
    assert_flows_keep_their_order(&lab, mirror, collector);
}

#[test]
fn two_workers_keep_the_order_of_flows_and_lose_nothing() {
    let Some(lab) = Lab::new("two") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, &format!("{RUN} --workers 2 --cpus 0"));
    assert_flows_keep_their_order(&lab, mirror, collector);
}

#[test]
fn a_busy_polling_worker_mirrors_the_same_frames() {
    let Some(lab) = Lab::new("busy") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let wire = Recorder::start(&lab.generator, "g0");
    let mirror = Mirror::start(&lab.host, &format!("{RUN} --busy-poll"));
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    (0..500).for_each(|number| pair.send(number, 200));
    (0..500).for_each(|number| pair.answer(number, 1_200));
    mirror.end().assert_no_loss();
    assert_same(&inner_frames(collector.end()), &of_a_test(wire.end()));
}

/// The interface is in one namespace; the program starts, and sends, in another.
#[test]
fn an_interface_in_another_namespace_is_mirrored() {
    let Some(lab) = Lab::new("netns") else { return };
    let collector = Collector::listen(&lab.host, "10.99.1.1");
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    let path = format!("/run/netns/{}", lab.host.name);
    for name in [&lab.host.name, &path] {
        let words = "-i h0 --target 10.99.1.1 --virtual-network-id 42";
        let mirror = Mirror::start(&lab.monitor, &format!("{words} --netns {name}"));
        (0..50).for_each(|number| pair.send(number, 200));
        assert_eq!(collector.take_after(50).len(), 50);
        mirror.end().assert_no_loss();
    }
    let missing = run_refused(lab.monitor.command(BINARY), &format!("{RUN} --netns tm-none"));
    assert_eq!(missing.0, 1, "{}", missing.1);
    assert!(missing.1.contains("no network namespace `tm-none`"), "{}", missing.1);
}

#[test]
fn unknown_devices_and_own_target_addresses_are_refused() {
    let Some(lab) = Lab::new("wrong") else { return };
    let run = |words: &str| run_refused(lab.host.command(BINARY), words);
    let (code, log_lines) = run("-i h7 --target 10.99.1.2");
    assert_eq!(code, 2, "{log_lines}");
    assert!(log_lines.contains("`h7`"), "{log_lines}");
    for name in ["lo", "h0", "m0"] {
        assert!(log_lines.contains(name), "{log_lines}");
    }
    let (code, log_lines) = run("-i h0 --target 10.98.1.2");
    assert_eq!(code, 2, "{log_lines}");
    assert!(log_lines.contains("10.98.1.2"), "{log_lines}");
}

#[test]
fn a_missing_capture_capability_is_an_error() {
    let Some(lab) = Lab::new("right") else { return };
    let mut command = lab.host.command("setpriv");
    command.args(["--bounding-set", "-net_raw", "--inh-caps", "-net_raw", BINARY]);
    let (code, log_lines) = run_refused(command, RUN);
    assert_eq!(code, 1, "{log_lines}");
    assert!(log_lines.contains("CAP_NET_RAW"), "{log_lines}");
}

/// Checks the counters of `Namespace`, on which other tests rely.
#[test]
fn the_test_network_counts_the_frames_that_pass() {
    let Some(lab) = Lab::new("lab") else { return };
    let at = |namespace: &Namespace, device: &str| namespace.packets(device);
    let before = (at(&lab.generator, "g0"), at(&lab.host, "h0"));
    let wire = Recorder::start(&lab.generator, "g0");
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    (0..100).for_each(|number| pair.send(number, 64));
    let after = (at(&lab.generator, "g0"), at(&lab.host, "h0"));
    assert_eq!(after.0 - before.0, after.1 - before.1);
    let frames = wire.end();
    assert_eq!(u64::try_from(frames.len()).unwrap(), after.0 - before.0);
    let flows = numbers_by_flow(of_a_test(frames).iter());
    assert_eq!(flows.len(), 1);
    assert!(flows.into_values().all(|numbers| numbers.into_iter().eq(0..100)));
}
