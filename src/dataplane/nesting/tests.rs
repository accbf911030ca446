//! Frames with all kinds of encapsulation, complete and truncated at each length.

use std::sync::LazyLock;

use super::nested_copy_reason;
use crate::dataplane::known_targets::KnownTargets;
use crate::dataplane::loop_guard::LoopGuard;
use crate::dataplane::{CompiledTarget, FlowKey, Frame, NotMirrored};
use crate::model::TargetId;

const OWN: Option<NotMirrored> = Some(NotMirrored::OwnTraffic);
const NESTED: Option<NotMirrored> = Some(NotMirrored::NestedCopy);

/// A target of this process, and its Gateway Load Balancer endpoint.
const TARGET: ([u8; 4], u16) = ([192, 0, 2, 10], 4_999);
const GATEWAY: ([u8; 4], u16) = ([192, 0, 2, 11], 7_081);

pub(in crate::dataplane) fn known_targets() -> [CompiledTarget; 2] {
    let entry = |end: ([u8; 4], u16), gateway_endpoint| CompiledTarget {
        id: TargetId::new("tmt-1").unwrap(),
        address: Some(end.into()),
        further_addresses: Vec::new(),
        gateway_endpoint,
        mtu: None,
        rate_limit: None,
    };
    [entry(TARGET, None), entry(GATEWAY, Some(1))]
}

fn guard() -> LoopGuard {
    LoopGuard::new(known_targets().iter())
}

/// The result of the loop guard for a frame, as the worker calls it.
fn verdict(frame: &[u8]) -> Option<NotMirrored> {
    static GUARD: LazyLock<LoopGuard> = LazyLock::new(guard);
    let (guard, frame) = (&*GUARD, Frame::new(frame));
    let key = FlowKey::parse(frame.bytes).unwrap();
    guard.may_be_copy(&key).then(|| guard.not_mirrored_reason(&key, &frame)).flatten()
}

fn ethernet(ether_type: u16, packet: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &ether_type.to_be_bytes(), packet].concat()
}

fn ipv4_to(destination: [u8; 4], protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(u16::try_from(20 + body.len()).unwrap().to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1]);
    packet.extend(destination);
    [packet, body.to_vec()].concat()
}

fn ipv4(protocol: u8, body: &[u8]) -> Vec<u8> {
    ipv4_to([10, 0, 0, 2], protocol, body)
}

fn ipv6(next_header: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    packet.extend([next_header, 64]);
    packet.extend([0x20; 32]);
    [packet, body.to_vec()].concat()
}

fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).unwrap();
    let words = [source, destination, len, 0].map(u16::to_be_bytes).concat();
    [words, payload.to_vec()].concat()
}

fn vxlan(frame: &[u8]) -> Vec<u8> {
    [&[8, 0, 0, 0, 1, 2, 3, 0], frame].concat()
}

/// A copy that another mirror sent to a port.
fn copy(port: u16, frame: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(17, &udp(65_450, port, &vxlan(frame))))
}

/// A VXLAN packet of an overlay network.
fn overlay(port: u16, frame: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(17, &udp(40_000, port, &vxlan(frame))))
}

/// A copy for a Gateway Load Balancer endpoint: GENEVE with options of 32 bytes.
fn geneve(port: u16, frame: &[u8]) -> Vec<u8> {
    let inner = ipv4(17, &udp(65_450, 4_789, &vxlan(frame)));
    let header = [&[8, 0, 0x08, 0x00, 0, 0, 0, 0][..], &[1; 32], &inner].concat();
    ethernet(0x0800, &ipv4(17, &udp(65_450, port, &header)))
}

/// The IP packet of a frame without a VLAN tag.
fn packet(frame: &[u8]) -> &[u8] {
    &frame[14..]
}

/// A UDP packet with 12 bytes of payload.
pub(in crate::dataplane) fn plain() -> Vec<u8> {
    ethernet(0x0800, &ipv4(17, &udp(5_000, 53, &[7; 12])))
}

/// Frames that contain one copy, in each kind of encapsulation.
pub(in crate::dataplane) fn copies(frame: &[u8]) -> Vec<Vec<u8>> {
    let body = udp(65_450, 4_789, &vxlan(frame));
    let mut with_options = ipv4(17, &body);
    with_options.splice(20..20, [1; 8]);
    with_options[0] = 0x47;
    let len = u16::try_from(with_options.len()).unwrap();
    with_options[2..4].copy_from_slice(&len.to_be_bytes());
    let extended = [&[60, 0, 0, 0, 0, 0, 0, 0], &[17, 0, 0, 0, 0, 0, 0, 0], &body[..]].concat();
    let one = copy(4_789, frame);
    let gre = |flags: u8, fields: usize, ether_type: u16, inner: &[u8]| {
        let header = [&[flags, 0][..], &ether_type.to_be_bytes(), &vec![5; fields]].concat();
        ethernet(0x0800, &ipv4(47, &[header, inner.to_vec()].concat()))
    };
    vec![
        one.clone(),
        copy(1, frame),
        copy(TARGET.1, frame),
        ethernet(0x86dd, &ipv6(17, &body)),
        ethernet(0x86dd, &ipv6(0, &extended)),
        ethernet(0x0800, &with_options),
        ethernet(0x8100, &[&[0, 5, 0x08, 0x00], packet(&one)].concat()),
        ethernet(0x88a8, &[&[0, 5, 0x81, 0x00, 0, 6, 0x08, 0x00], packet(&one)].concat()),
        geneve(6_081, frame),
        geneve(GATEWAY.1, frame),
        geneve(12_345, frame),
        overlay(4_789, &one),
        overlay(8_472, &one),
        overlay(TARGET.1, &one),
        overlay(4_789, &overlay(8_472, &one)),
        gre(0, 0, 0x6558, &one),
        gre(0xb0, 12, 0x0800, packet(&one)),
        ethernet(0x0800, &ipv4(4, packet(&one))),
        ethernet(0x0800, &ipv4(41, &ipv6(17, &body))),
        ethernet(0x86dd, &ipv6(4, packet(&one))),
    ]
}

/// ICMP errors that quote a packet from its IP header on.
pub(in crate::dataplane) fn errors(frame: &[u8]) -> Vec<Vec<u8>> {
    let of = |kind: u8, quoted: &[u8]| [&[kind, 3, 0, 0, 0, 0, 0, 0], quoted].concat();
    let quoted = packet(frame);
    let four = [3, 4, 5, 11, 12].map(|kind| ethernet(0x0800, &ipv4(1, &of(kind, quoted))));
    let six = ipv6(quoted[9], &quoted[20..]);
    let six = [1, 2, 3, 4].map(|kind| ethernet(0x86dd, &ipv6(58, &of(kind, &six))));
    // A router may quote only eight bytes after the IP header (RFC 792).
    let short = ethernet(0x0800, &ipv4(1, &of(11, &quoted[..28])));
    [&four[..], &six, &[short]].concat()
}

#[test]
fn a_copy_is_mirrored_and_a_copy_of_a_copy_is_not() {
    assert_eq!(verdict(&plain()), None);
    for (shape, one) in copies(&plain()).iter().enumerate() {
        assert_eq!(verdict(one), None, "one copy, shape {shape}");
        for (outer, two) in copies(one).iter().enumerate() {
            assert_eq!(verdict(two), NESTED, "shape {shape} in shape {outer}");
        }
    }
}

/// With PacketLength 1, 2, 3 and so on: a truncated copy is not mirrored again at any length.
#[test]
fn a_truncated_copy_of_a_copy_is_recognised() {
    for one in copies(&plain()).iter().chain(&errors(&copy(4_789, &plain()))) {
        for len in 1..one.len() {
            let cut = &one[..len];
            let outer = ipv6(17, &udp(65_408, 1, &vxlan(cut)));
            for two in [copy(4_789, cut), ethernet(0x86dd, &outer), geneve(7, cut)] {
                assert_eq!(verdict(&two), NESTED, "{len} bytes of {one:02x?}");
            }
        }
    }
}

/// A truncated copy of another mirror is mirrored if its bytes prove that it contains no copy.
#[test]
fn truncated_copies_of_ordinary_frames_are_mirrored() {
    let tcp = ethernet(0x0800, &ipv4(6, &[9; 40]));
    let echo = ethernet(0x0800, &ipv4(1, &[8; 40]));
    let ipv6 = ethernet(0x86dd, &ipv6(17, &udp(5_000, 53, &[7; 12])));
    for (frame, least) in [(plain(), 38), (tcp, 34), (echo, 35), (ipv6, 58)] {
        for len in 1..=frame.len() {
            let expected = if len < least { NESTED } else { None };
            assert_eq!(verdict(&copy(4_789, &frame[..len])), expected, "{len} of {frame:02x?}");
        }
    }
    let arp = ethernet(0x0806, &[1; 28]);
    assert_eq!(verdict(&copy(4_789, &arp)), None);
    // Complete by its own length, though too short for ports; and a later fragment.
    assert_eq!(verdict(&copy(4_789, &ethernet(0x0800, &ipv4(17, &[1, 2])))), None);
    let mut later = ipv4(17, &[9; 40]);
    later[7] = 9;
    assert_eq!(verdict(&copy(4_789, &ethernet(0x0800, &later))), None);
}

#[test]
fn overlays_are_mirrored_up_to_eight_layers() {
    let mut frame = plain();
    for _ in 0..7 {
        frame = overlay(4_789, &frame);
        assert_eq!(verdict(&frame), None);
    }
    assert_eq!(verdict(&overlay(4_789, &frame)), NESTED);
}

#[test]
fn icmp_errors_about_copies_are_not_mirrored() {
    for one in copies(&plain()).iter().filter(|one| one[12..15] == [8, 0, 0x45]) {
        for error in errors(one).iter().take(9) {
            assert_eq!(verdict(error), NESTED, "{error:02x?}");
        }
    }
    assert_eq!(verdict(errors(&copy(4_789, &plain())).last().unwrap()), NESTED);
    for error in errors(&plain()).iter().chain(&errors(&overlay(4_789, &plain()))) {
        assert_eq!(verdict(error), None, "{error:02x?}");
    }
    for error in errors(&plain()) {
        assert_eq!(verdict(&copy(4_789, &error)), None, "{error:02x?}");
    }
    // An echo request is not an error, whatever its payload is.
    let echo = [&[8, 0, 0, 0, 0, 0, 0, 0], packet(&copy(4_789, &plain()))].concat();
    assert_eq!(verdict(&ethernet(0x0800, &ipv4(1, &echo))), None);
}

#[test]
fn own_copies_are_recognised_in_tunnels_and_icmp_errors() {
    let to = |(address, port): ([u8; 4], u16)| {
        ethernet(0x0800, &ipv4_to(address, 17, &udp(65_500, port, &vxlan(&plain()))))
    };
    for own in [to(TARGET), to(GATEWAY)] {
        assert_eq!(verdict(&own), OWN);
        assert_eq!(verdict(&overlay(4_789, &own)), OWN);
        assert_eq!(verdict(&ethernet(0x0800, &ipv4(4, packet(&own)))), OWN);
        assert_eq!(verdict(&errors(&own)[0]), OWN);
        assert_eq!(
            verdict(&copy(4_789, &own)),
            NESTED,
            "a copy that another host made of an own copy"
        );
    }
    assert_eq!(verdict(&to((TARGET.0, 5_000))), None, "to another port");
}

#[test]
fn frames_that_only_resemble_a_copy_are_mirrored() {
    let one = copy(4_789, &plain());
    let mut tcp = copy(4_789, &one);
    tcp[23] = 6;
    let mut later = copy(4_789, &one);
    later[21] = 9;
    let no_header = ethernet(0x0800, &ipv4(17, &udp(65_450, 4_789, &[0; 60])));
    let from_below = ethernet(0x0800, &ipv4(17, &udp(65_407, 1, &vxlan(&one))));
    let short = ethernet(0x0800, &ipv4(17, &udp(65_450, 4_789, &[8, 0, 0])));
    let pptp = ethernet(0x0800, &ipv4(47, &[&[0x20, 1, 0x88, 0x0b, 0, 0], &one[..]].concat()));
    for frame in [tcp, later, no_header, from_below, short, pptp] {
        assert_eq!(verdict(&frame), None, "{frame:02x?}");
    }
}

/// A segment of a super-frame has its headers in the first piece and its payload in the second.
#[test]
fn a_frame_split_into_head_and_tail_is_judged_like_the_whole_frame() {
    let targets = KnownTargets::new(known_targets().iter());
    let one = copies(&plain());
    for frame in one.iter().chain(&copies(&one[0])).chain(&copies(&one[0][..45])) {
        let whole = nested_copy_reason(&targets, &Frame::new(frame));
        for at in 1..frame.len() {
            let (bytes, tail) = frame.split_at(at);
            let split = Frame { tail, ..Frame::new(bytes) };
            assert_eq!(nested_copy_reason(&targets, &split), whole, "split at {at}: {frame:02x?}");
        }
    }
}

#[test]
fn a_disabled_guard_suspects_no_frame() {
    let guard = LoopGuard::disabled();
    for frame in copies(&copy(4_789, &plain())) {
        assert!(!guard.may_be_copy(&FlowKey::parse(&frame).unwrap()));
    }
}

/// Ordinary traffic is not parsed for copies.
#[test]
fn well_known_ports_are_not_suspected() {
    let guard = guard();
    for port in [20, 21, 22, 53, 67, 68, 80, 123, 443, 500, 4_500, 5_060, 5_353, 8_080, 8_443] {
        let frame = ethernet(0x0800, &ipv4(17, &udp(50_000, port, &[])));
        assert!(!guard.may_be_copy(&FlowKey::parse(&frame).unwrap()), "{port}");
    }
}
