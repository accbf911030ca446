//! Frames with VLAN tags in the frame and beside it, and frames that are not IP.

use super::{RUN, kernel_lab};
use crate::collector::{Collector, inner_frames};
use crate::frames::assert_same;
use crate::lab::{GEN_MAC, HOST_MAC};
use crate::mirror::Mirror;
use crate::traffic::inject;
use testkit::namespace::Namespace;
use testkit::print_uncaptured;

/// An 802.1Q tag, and an 802.1ad tag in front of one.
const ONE: &[[u8; 4]] = &[[0x81, 0x00, 0x60, 0x07]];
const TWO: &[[u8; 4]] = &[[0x88, 0xa8, 0x00, 0x64], [0x81, 0x00, 0x20, 0x07]];

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

fn of_the_test(frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    frames.into_iter().filter(|frame| frame.ends_with(&[7; 80])).collect()
}

/// The kernel moves the outer tag of a received frame beside the frame.
#[test]
fn tags_of_received_and_sent_frames_are_kept_in_place() {
    let Some(lab) = kernel_lab("kt-vlan") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, RUN);
    let frames = |is_egress| -> Vec<Vec<u8>> {
        (0..60)
            .map(|number| tagged(number, is_egress, [&[], ONE, TWO][usize::from(number % 3)]))
            .collect()
    };
    inject(&lab.generator, "g0", &frames(false));
    inject(&lab.host, "h0", &frames(true));
    let arrived = of_the_test(inner_frames(collector.take_after(120)));
    assert_same(&arrived, &[frames(false), frames(true)].concat());
    let ended = mirror.end();
    ended.assert_no_loss();
    assert_eq!(ended.count("mirrored"), 120, "{}", ended.report);
}

/// A truncated copy of a tagged frame is as long as one of another frame.
#[test]
fn truncation_counts_the_tag_beside_the_frame() {
    let Some(lab) = kernel_lab("kt-vlcut") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, &format!("{RUN} --packet-length 100"));
    let frames: Vec<Vec<u8>> = (0..20).map(|number| tagged(number, false, TWO)).collect();
    inject(&lab.generator, "g0", &frames);
    let arrived = inner_frames(collector.take_after(20));
    let cut: Vec<Vec<u8>> = frames.iter().map(|frame| frame[..100].to_vec()).collect();
    assert_same(&arrived, &cut);
    mirror.end().assert_no_loss();
}

/// Adds an action that pushes a tag to each frame that a device sends or receives. Returns false,
/// and prints `NOT RUN:`, if the kernel has none.
fn add_tag(namespace: &Namespace, device: &str, hook: &str) -> bool {
    let tc = |words: String| {
        let output = namespace.command("tc").args(words.split_whitespace()).output();
        output.is_ok_and(|output| output.status.success())
    };
    let is_added = tc(format!("qdisc add dev {device} clsact"))
        && tc(format!(
            "filter add dev {device} {hook} matchall action vlan push id 9 protocol 802.1Q"
        ));
    if !is_added {
        print_uncaptured("NOT RUN: this kernel or user has no `tc ... action vlan`\n");
    }
    is_added
}

/// A tag that another program pushes before the frame is sent is beside the frame, too. Programs at
/// tcx run before filters of tc, so the tag is pushed at another device.
#[test]
fn a_tag_that_the_sender_pushed_is_mirrored() {
    let Some(lab) = kernel_lab("kt-push") else { return };
    if !add_tag(&lab.generator, "g0", "egress") {
        return;
    }
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, RUN);
    let frames: Vec<Vec<u8>> = (0..20).map(|number| tagged(number, false, &[])).collect();
    inject(&lab.generator, "g0", &frames);
    let arrived = of_the_test(inner_frames(collector.take_after(20)));
    let pushed: Vec<_> = (0..20).map(|number| tagged(number, false, &[[0x81, 0, 0, 9]])).collect();
    assert_same(&arrived, &pushed);
    mirror.end().assert_no_loss();
}

/// ARP, LLDP, an 802.3 length and MPLS.
fn not_ip() -> Vec<Vec<u8>> {
    let with_type = |ether_type: [u8; 2]| [&HOST_MAC[..], &GEN_MAC, &ether_type, &[7; 80]].concat();
    [[0x08, 0x06], [0x88, 0xcc], [0x00, 0x50], [0x88, 0x47]].map(with_type).to_vec()
}

#[test]
fn frames_that_are_not_ip_are_counted_and_not_mirrored() {
    let Some(lab) = kernel_lab("kt-arp") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let mirror = Mirror::start(&lab.host, RUN);
    inject(&lab.generator, "g0", &not_ip());
    inject(&lab.generator, "g0", &[tagged(1, false, &[])]);
    assert_eq!(collector.take_after(1).len(), 1);
    let ended = mirror.end();
    ended.assert_no_loss();
    assert_eq!(ended.not_mirrored("not_ip"), 4, "{}", ended.report);
    assert_eq!((ended.count("mirrored"), ended.count("received")), (1, 5), "{}", ended.report);
}
