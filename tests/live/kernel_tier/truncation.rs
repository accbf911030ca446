//! PacketLength and the MTU of the path truncate copies; nothing is fragmented.

use testkit::config::one_session;

use super::{RUN, kernel_lab};
use crate::collector::{Collector, ReceivedCopy, inner_frames};
use crate::frames::{assert_same, of_a_test};
use crate::lab::Lab;
use crate::mirror::{BINARY, Mirror, RunResult, run_refused};
use crate::recorder::Recorder;
use crate::traffic::{IPV4, IPV6, Pair, tcp};
use crate::waiting::{pause, wait_until};
use testkit::namespace::Namespace;

/// The UDP payload in bytes of a frame of 1,514 bytes.
const FULL: usize = 1_472;

/// The length in bytes of the VXLAN, UDP and IPv4 headers.
const OUTER: usize = 36;

/// Truncated copies equal the beginnings of the frames on the wire.
#[test]
fn packet_length_truncates_frames_and_super_frames() {
    for (test, packet_length) in [("kt-pl82", 82), ("kt-pl128", 128), ("kt-pl1000", 1_000)] {
        let Some(lab) = kernel_lab(test) else { return };
        let lab = lab.with_ipv6().with_offloads(true);
        let collector = Collector::listen(&lab.monitor, "10.99.1.2");
        let words = format!("{RUN} --packet-length {packet_length}");
        let mirror = Mirror::start(&lab.host, &words);
        let wire = Recorder::start(&lab.generator, "g0");
        for addresses in [IPV4, IPV6] {
            tcp(&lab, addresses, 1 << 20);
            let pair = Pair::new(&lab, addresses, (4_000, 2_000));
            for (number, len) in (0..).zip([4, 60, 100, 1_452]) {
                pair.send(number, len);
                pair.answer(number, len);
            }
        }
        let wire = wire.end();
        let ended = mirror.end();
        let is_ip =
            |frame: &[u8]| [[0x08, 0x00], [0x86, 0xdd]].iter().any(|one| frame[12..14] == *one);
        let cut = wire.iter().filter(|one| is_ip(one) && one.len() > packet_length).count();
        let mut wire = of_a_test(wire);
        wire.iter_mut().for_each(|frame| frame.truncate(packet_length));
        assert_same(&of_a_test(inner_frames(collector.end())), &wire);
        ended.assert_no_loss();
        let session = &ended.report["sessions"][0];
        assert_eq!((&session["truncated"], &session["truncated_to_mtu"]), (&cut.into(), &0.into()));
    }
}

#[test]
fn a_short_packet_length_is_an_error_that_names_the_session() {
    let Some(lab) = kernel_lab("kt-short") else { return };
    let config = one_session("device = \"h0\"", "10.99.1.2", &["ingress"]);
    let config = format!("{config}traffic_mirror_session_id = \"tms-short\"\npacket_length = 60\n");
    let path = lab.put("mirror.toml", &config);
    let words = format!("--config {path} --tier kernel");
    let (code, log_lines) = run_refused(lab.host.command(BINARY), &words);
    assert_eq!(code, 2, "{log_lines}");
    assert!(log_lines.contains("session `tms-short` (session_number 1): packet_length 60"));
    let words = format!("{RUN} --packet-length 60");
    let (code, log_lines) = run_refused(lab.host.command(BINARY), &words);
    assert_eq!(code, 2, "{log_lines}");
    assert!(log_lines.contains("packet_length 60"), "{log_lines}");
}

fn of_len(arrived: &[ReceivedCopy], len: usize) -> usize {
    arrived.iter().filter(|one| one.inner.len() == len).count()
}

/// Sends until copies of `new` bytes arrive; before, they have `old` bytes. Returns the number of
/// datagrams.
fn send_until_len(collector: &Collector, pair: &Pair, (old, new): (usize, usize)) -> u64 {
    let mut sent = 0;
    wait_until("copies of the length of the new MTU", || {
        pair.send(u32::try_from(sent).unwrap(), FULL);
        sent += 1;
        pause(10);
        let arrived = collector.take();
        assert_eq!(of_len(&arrived, old) + of_len(&arrived, new), arrived.len());
        of_len(&arrived, new) > 0
    });
    sent
}

#[test]
fn copies_are_truncated_to_the_current_mtu() {
    let Some(lab) = kernel_lab("kt-mtu") else { return };
    lab.host.ip("link set m0 mtu 1500\n");
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, RUN);
    let pair = Pair::new(&lab, IPV4, (4_000, 2_000));
    (0..50).for_each(|number| pair.send(number, FULL));
    (0..50).for_each(|number| pair.answer(number, 100));
    let arrived = collector.take_after(100);
    assert_eq!((of_len(&arrived, 1_500 - OUTER), of_len(&arrived, 142)), (50, 50));
    let sent = change_mtu(&lab, &collector, &pair);
    let ended = mirror.end();
    assert_truncated_to_mtu(&ended, (150 + sent, 50 + sent));
    assert_eq!(lab.host.counter("Ip", "FragCreates"), 0);
    assert_eq!(lab.monitor.counter("Ip", "ReasmReqds"), 0);
}

/// Decreases and increases the MTU. Returns the number of datagrams sent, besides 50.
fn change_mtu(lab: &Lab, collector: &Collector, pair: &Pair) -> u64 {
    lab.host.ip("link set m0 mtu 1300\n");
    let mut sent = send_until_len(collector, pair, (1_500 - OUTER, 1_300 - OUTER));
    lab.host.ip("link set m0 mtu 1400\n");
    sent += send_until_len(collector, pair, (1_300 - OUTER, 1_400 - OUTER));
    (0..50).for_each(|number| pair.send(number, FULL));
    assert_eq!(of_len(&collector.take_after(50), 1_400 - OUTER), 50);
    sent
}

fn assert_truncated_to_mtu(ended: &RunResult, (passed, cut): (u64, u64)) {
    let session = &ended.report["sessions"][0];
    assert_eq!(ended.count("received"), passed + ended.sum_of("not_mirrored"), "{}", ended.report);
    assert_eq!(session["truncated_to_mtu"], session["truncated"], "{}", ended.report);
    // A copy that was longer than a decreased MTU was dropped and counted.
    let lost = ended.sum_of("dropped");
    let truncated = session["truncated_to_mtu"].as_u64().unwrap();
    assert_eq!(truncated + lost, cut + 50, "{}", ended.report);
    assert_eq!(ended.count("mirrored") + lost, passed);
}

/// The MTU of the route of the host is large enough for the copies, that of the next router is not.
#[test]
fn copies_are_truncated_to_the_path_mtu() {
    let Some(lab) = kernel_lab("kt-pmtu") else { return };
    let far = Namespace::new("kt-pmtu-far");
    lab.monitor.run("sysctl -qw net.ipv4.ip_forward=1");
    lab.monitor.ip(&format!(
        "link add x0 mtu 1300 type veth peer name x1 netns {}\n\
         link set x0 up\naddr add 10.50.0.1/24 dev x0\n",
        far.name
    ));
    far.ip("link set x1 mtu 1300 up\naddr add 10.50.0.2/24 dev x1\n\
            route add default via 10.50.0.1\n");
    lab.host.ip("route add 10.50.0.0/24 via 10.99.1.2 mtu 1300\n");
    let collector = Collector::listen(&far, "10.50.0.2");
    let words = "-i h0 --target 10.50.0.2 --virtual-network-id 42 --tier kernel";
    let mirror = Mirror::start(&lab.host, words);
    let pair = Pair::new(&lab, IPV4, (4_000, 2_000));
    (0..50).for_each(|number| pair.send(number, FULL));
    let arrived = collector.take_after(50);
    assert_eq!(of_len(&arrived, 1_300 - OUTER), 50);
    assert_eq!(far.counter("Ip", "ReasmReqds"), 0, "nothing is fragmented");
    mirror.end().assert_no_loss();
}
