//! Copies are equal to the frames on the wire, byte for byte, with offloads and without.

use crate::collector::{Collector, inner_frames};
use crate::frames::{assert_same, is_in_order, of_a_test, sequences};
use crate::lab::{GEN_MAC, HOST_MAC, Lab};
use crate::mirror::Mirror;
use crate::recorder::Recorder;
use crate::traffic::{IPV4, IPV6, Pair, inject, ping, tcp};

/// The ring has room for the whole volume even on a slow machine. A thread that stays
/// on one processor keeps the order in the kernel.
const RUN: &str = "-i h0 --target 10.99.1.2 --virtual-network-id 42 --ring-size 256MiB --cpus 0";

/// Asserts that the copies of the traffic of `send` are the frames that passed g0. Returns the
/// length in bytes of the longest frame at h0.
fn assert_mirrored_equals_wire(lab: &Lab, send: impl FnOnce(&Lab)) -> usize {
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, RUN);
    let wire = Recorder::start(&lab.generator, "g0");
    let seen = Recorder::start(&lab.host, "h0");
    send(lab);
    let wire = of_a_test(wire.end());
    let seen = seen.end();
    let ended = mirror.end();
    let mirrored = of_a_test(inner_frames(collector.end()));
    assert_same(&mirrored, &wire);
    ended.assert_no_loss();
    assert_in_order(&mirrored, &seen);
    seen.iter().map(Vec::len).max().unwrap()
}

/// Asserts that the copies of each TCP stream that passed h0 in order are in order.
fn assert_in_order(mirrored: &[Vec<u8>], seen: &[Vec<u8>]) {
    let (mirrored, seen) = (sequences(mirrored), sequences(seen));
    assert!(!mirrored.is_empty());
    for (flow, segments) in mirrored {
        if is_in_order(&seen[&flow]) {
            assert!(is_in_order(&segments), "{flow:?}");
        }
    }
}

/// All kinds of traffic.
fn send_all(lab: &Lab, tcp_len: usize) {
    for addresses in [IPV4, IPV6] {
        tcp(lab, addresses, tcp_len);
        let pair = Pair::new(lab, addresses, (4000, 2000));
        for (number, len) in (0..).zip([4, 5, 100, 1400, 1452]) {
            pair.send(number, len);
            pair.answer(number, len);
        }
        // 3,000 bytes need fragments.
        for (number, len) in (0..).zip([0, 1, 56, 1400, 3000]) {
            ping(&lab.generator, addresses.1, number, len);
            ping(&lab.host, addresses.0, number, len);
        }
    }
}

#[test]
fn with_offloads_copies_equal_the_frames_on_the_wire() {
    let Some(lab) = Lab::new("on") else { return };
    let lab = lab.with_ipv6().with_offloads(true);
    let longest = assert_mirrored_equals_wire(&lab, |lab| send_all(lab, 20 << 20));
    assert!(longest > 1_514, "no super-frame passed h0, so the test shows nothing");
}

#[test]
fn without_offloads_copies_equal_the_frames_on_the_wire() {
    let Some(lab) = Lab::new("off") else { return };
    let lab = lab.with_ipv6().with_offloads(false);
    let longest = assert_mirrored_equals_wire(&lab, |lab| send_all(lab, 4 << 20));
    assert_eq!(longest, 1_514);
}

#[test]
#[ignore = "needs much time and memory"]
fn copies_of_100_mib_equal_the_frames_on_the_wire() {
    let Some(lab) = Lab::new("lot") else { return };
    let lab = lab.with_ipv6().with_offloads(true);
    assert_mirrored_equals_wire(&lab, |lab| send_all(lab, 100 << 20));
}

#[test]
fn jumbo_frames_are_mirrored_whole() {
    let Some(lab) = Lab::new("jumbo") else { return };
    let lab = lab.with_ipv6().with_mtu(9_000).with_offloads(true);
    assert_mirrored_equals_wire(&lab, |lab| {
        tcp(lab, IPV4, 4 << 20);
        tcp(lab, IPV6, 4 << 20);
        let pair = Pair::new(lab, IPV4, (4000, 2000));
        for (number, len) in (0..).zip([8_000, 8_972]) {
            pair.send(number, len);
            pair.answer(number, len);
        }
        ping(&lab.generator, IPV4.1, 1, 20_000);
    });
}

/// A UDP frame with these VLAN tags.
fn tagged(number: u16, is_egress: bool, tags: &[[u8; 4]]) -> Vec<u8> {
    let (from, to) = if is_egress { (HOST_MAC, GEN_MAC) } else { (GEN_MAC, HOST_MAC) };
    let builder = etherparse::PacketBuilder::ethernet2(from, to)
        .ipv4([10, 98, 1, 77], [10, 98, 1, 78], 64)
        .udp(4_000, number);
    let mut frame = Vec::new();
    builder.write(&mut frame, &[7; 80]).unwrap();
    frame.splice(12..12, tags.concat());
    frame
}

#[test]
fn vlan_tags_are_kept_in_place() {
    let Some(lab) = Lab::new("vlan") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, RUN);
    let one: &[[u8; 4]] = &[[0x81, 0x00, 0x60, 0x07]];
    let two: &[[u8; 4]] = &[[0x88, 0xa8, 0x00, 0x64], [0x81, 0x00, 0x20, 0x07]];
    let frames = |is_egress| -> Vec<Vec<u8>> {
        (0..60)
            .map(|number| tagged(number, is_egress, [&[], one, two][usize::from(number % 3)]))
            .collect()
    };
    inject(&lab.generator, "g0", &frames(false));
    inject(&lab.host, "h0", &frames(true));
    let arrived = of_any_tag(inner_frames(collector.take_after(120)));
    assert_same(&arrived, &[frames(false), frames(true)].concat());
    mirror.end().assert_no_loss();
}

/// Frames of `tagged`.
fn of_any_tag(frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    frames.into_iter().filter(|frame| frame.ends_with(&[7; 80])).collect()
}

/// The kernel's own vxlan device decapsulates the copies.
fn assert_kernel_decapsulates(test: &str, local: &str, target: &str) {
    let Some(lab) = Lab::new(test) else { return };
    let lab = lab.with_ipv6().with_offloads(true);
    lab.monitor.ip(&format!(
        "link add vx0 type vxlan id 42 local {local} dstport 4789 dev v0\n\
         link set vx0 mtu 9000 up\n"
    ));
    lab.monitor.offload("vx0", "gro off");
    let unwrapped = Recorder::start(&lab.monitor, "vx0");
    let mirror = Mirror::start(
        &lab.host,
        &format!("-i h0 --target {target} --virtual-network-id 42 --ring-size 256MiB"),
    );
    let wire = Recorder::start(&lab.generator, "g0");
    send_all(&lab, 1 << 20);
    let wire = of_a_test(wire.end());
    mirror.end().assert_no_loss();
    assert_same(&of_a_test(unwrapped.end()), &wire);
}

#[test]
fn the_kernel_decapsulates_copies_equal_to_the_wire() {
    assert_kernel_decapsulates("vx4", "10.99.1.2", "10.99.1.2");
}

#[test]
fn the_kernel_decapsulates_copies_equal_to_the_wire_over_ipv6() {
    assert_kernel_decapsulates("vx6", "fd99::2", "fd99::2");
}
