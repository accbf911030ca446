//! Tests the filter with a real ring on the loopback device, where checksums stay unfinished.

use std::net::UdpSocket;
use std::os::fd::AsFd;

use socket2::{Domain, Socket, Type};

use super::generate::{session, table};
use super::reference::{PlainFrame, fold};
use crate::dataplane::{Burst, Frame, InterfaceIndex, MirrorTable, Source};
use crate::io::links::{Link, links};
use crate::io::live::{
    KernelFilter, LiveSource, RingOptions, RingSource, TrafficSample, Waker, open,
};
use crate::io::sys::{capability, option};
use crate::model::*;

const WIRE_LEN: usize = 1_042;

/// `PACKET_VNET_HDR` of `linux/if_packet.h`.
const PACKET_VNET_HDR: i32 = 15;

/// A sending packet socket, and the source under test.
struct LoopbackFixture {
    sender: Socket,
    source: RingSource,
}

/// A received frame: length, length on the wire, whether it was truncated, and whether its checksum
/// is valid.
type Received = (usize, u32, bool, bool);

impl LoopbackFixture {
    fn open(link: &Link, kernel_filter: KernelFilter, prefixed: bool) -> Self {
        let sender = Socket::new(Domain::PACKET, Type::RAW, None).unwrap();
        option::set_int_option(
            sender.as_fd(),
            libc::SOL_PACKET,
            PACKET_VNET_HDR,
            i32::from(prefixed),
        )
        .unwrap();
        option::bind_packet(sender.as_fd(), i32::try_from(link.index).unwrap(), 0).unwrap();
        let options = RingOptions {
            starts_closed: false,
            ring_len: 1 << 20,
            is_loopback: true,
            mtu: link.mtu,
            kernel_filter,
            ..RingOptions::default()
        };
        let source = open(link.index, &options, &[Waker::new().unwrap()]).unwrap().pop().unwrap();
        Self { sender, source }
    }

    /// Waits for the frame to `port`.
    fn receive(&mut self, port: u16) -> Option<Received> {
        for _ in 0..6 {
            let mut burst = Burst::new();
            self.source.fill(&mut burst).unwrap();
            let found = burst.iter().find(|one| {
                PlainFrame::of(one.bytes)
                    .is_some_and(|plain| plain.protocol == 17 && plain.ports.1 == port)
            });
            if let Some(found) = found {
                return Some((
                    found.bytes.len(),
                    found.wire_len,
                    found.is_cut,
                    has_valid_checksum(found),
                ));
            }
        }
        None
    }
}

fn has_valid_checksum(frame: &Frame<'_>) -> bool {
    let plain = PlainFrame::of(frame.bytes).unwrap();
    let rest = [0, 17, frame.bytes[38], frame.bytes[39]];
    fold(&[&frame.bytes[26..34], &rest, &frame.bytes[plain.transport..]].concat()) == 0xffff
}

/// A UDP frame from 127.0.0.1 to 127.0.0.1, with `checksum` or the correct one.
fn frame(port: u16, checksum: Option<u16>) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    let mut frame = vec![0; 12];
    frame.extend([8, 0, 0x45, 0, 4, 4, 0, 1, 0x40, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
    let header_sum = !fold(&frame[14..34]);
    frame[24..26].copy_from_slice(&header_sum.to_be_bytes());
    frame.extend([0x9c, 0x40, high, low, 3, 0xf0, 0, 0]);
    frame.resize(WIRE_LEN, 7);
    let unfinished = PlainFrame::of(&frame).unwrap().unfinished(&frame);
    frame[40..42].copy_from_slice(&unfinished.to_be_bytes());
    let checksum = checksum.unwrap_or(!fold(&frame[34..]));
    frame[40..42].copy_from_slice(&checksum.to_be_bytes());
    frame
}

/// A table that accepts UDP, to one port or to all, with PacketLength `len`.
fn udp_table(port: Option<u16>, len: i64) -> MirrorTable {
    let any = CidrBlock::any_ipv4();
    let number = RuleNumber::new(1).unwrap();
    let rule = FilterRule::new(Direction::Ingress, number, RuleAction::Accept, any, any);
    let mut rule = rule.unwrap().with_protocol(Protocol::UDP).unwrap();
    if let Some(port) = port {
        let port = PortRange::new("destination_port_range", port, port).unwrap();
        rule = rule.with_destination_ports(port).unwrap();
    }
    let mut filter = Filter::new(FilterId::new("tmf-1").unwrap());
    filter.push_rule(rule).unwrap();
    table(vec![session(InterfaceIndex::FIRST, filter, PacketLength::new(len).ok())], false)
}

fn loopback(name: &str) -> Option<Link> {
    let found =
        links().ok().and_then(|all| all.into_iter().find(|one| one.is_loopback && one.is_up));
    if found.is_none() || !capability::has_net_raw() {
        println!("NOT RUN: {name}: no right to capture, or no loopback device that is up");
        return None;
    }
    found
}

#[test]
fn finished_frames_are_truncated_and_others_arrive_whole() {
    let Some(link) = loopback("finished_frames_are_truncated_and_others_arrive_whole") else {
        return;
    };
    let mut fixture = LoopbackFixture::open(&link, KernelFilter::Auto, false);
    fixture.source.set_table(&udp_table(None, 100), InterfaceIndex::FIRST).unwrap();
    fixture.sender.send(&frame(40_011, None)).unwrap();
    assert_eq!(fixture.receive(40_011), Some((100, 1_042, true, false)));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&[7; 1_000], "127.0.0.1:40012").unwrap();
    assert_eq!(fixture.receive(40_012), Some((WIRE_LEN, 1_042, false, true)));
    fixture.source.set_table(&udp_table(None, 200), InterfaceIndex::FIRST).unwrap();
    fixture.sender.send(&frame(40_013, None)).unwrap();
    assert_eq!(fixture.receive(40_013), Some((200, 1_042, true, false)));
    assert_eq!(fixture.source.filter_state(), Default::default());
}

#[test]
fn truncation_stops_after_a_frame_was_truncated_too_early() {
    let Some(link) = loopback("truncation_stops_after_a_frame_was_truncated_too_early") else {
        return;
    };
    let mut fixture = LoopbackFixture::open(&link, KernelFilter::Auto, true);
    fixture.source.set_table(&udp_table(None, 100), InterfaceIndex::FIRST).unwrap();
    // Declared as unfinished, but without the expected content of an unfinished checksum.
    let prefix = |flags| {
        [[flags, 0, 0, 0, 0, 0].as_slice(), &34_u16.to_ne_bytes(), &6_u16.to_ne_bytes()].concat()
    };
    fixture.sender.send(&[prefix(1), frame(40_021, Some(0x1234))].concat()).unwrap();
    assert_eq!(fixture.receive(40_021), Some((100, 1_042, true, false)));
    assert_eq!(fixture.source.filter_state().overtruncated, 1);
    assert_eq!(fixture.source.take_warnings().len(), 1);
    for _ in 0..2 {
        fixture.sender.send(&[prefix(0), frame(40_022, None)].concat()).unwrap();
        assert_eq!(fixture.receive(40_022), Some((WIRE_LEN, 1_042, false, true)));
        fixture.source.set_table(&udp_table(None, 90), InterfaceIndex::FIRST).unwrap();
    }
    assert!(fixture.source.take_warnings().is_empty());
}

#[test]
fn unwanted_frames_are_dropped_until_a_session_wants_them() {
    let Some(link) = loopback("unwanted_frames_are_dropped_until_a_session_wants_them") else {
        return;
    };
    let mut fixture = LoopbackFixture::open(&link, KernelFilter::Always, false);
    fixture.source.set_table(&udp_table(Some(40_031), 8_500), InterfaceIndex::FIRST).unwrap();
    assert!(fixture.source.filter_state().is_filtering);
    for port in [40_032, 40_031] {
        fixture.sender.send(&frame(port, None)).unwrap();
        assert_eq!(fixture.receive(port).is_some(), port == 40_031, "{port}");
    }
    fixture.source.set_table(&udp_table(None, 8_500), InterfaceIndex::FIRST).unwrap();
    fixture.sender.send(&frame(40_032, None)).unwrap();
    assert!(fixture.receive(40_032).is_some());
    fixture.source.close().unwrap();
    // A closed source stays closed after a new table.
    fixture.source.set_table(&udp_table(None, 100), InterfaceIndex::FIRST).unwrap();
    fixture.sender.send(&frame(40_032, None)).unwrap();
    assert!(fixture.receive(40_032).is_none());
}

#[test]
fn under_load_frames_are_dropped_and_each_switch_is_reported_once() {
    let Some(link) = loopback("under_load_frames_are_dropped_and_each_switch_is_reported_once")
    else {
        return;
    };
    let mut fixture = LoopbackFixture::open(&link, KernelFilter::Auto, false);
    fixture.source.set_table(&udp_table(Some(40_041), 8_500), InterfaceIndex::FIRST).unwrap();
    let flood = TrafficSample { elapsed_ns: 1_000_000_000, frames: 60_000, mirrored: 10 };
    // On, off to probe, on for twice as long; the table may change meanwhile.
    for (load, is_accepted, is_filtering) in [
        (TrafficSample::default(), true, false),
        (flood, false, true),
        (flood, true, true),
        (flood, false, true),
        (flood, false, true),
        (flood, true, true),
        (TrafficSample { frames: 9_000, ..flood }, true, false),
    ] {
        fixture.source.observe_traffic(&load).unwrap();
        fixture.source.set_table(&udp_table(Some(40_041), 8_000), InterfaceIndex::FIRST).unwrap();
        fixture.sender.send(&frame(40_042, None)).unwrap();
        assert_eq!(fixture.receive(40_042).is_some(), is_accepted, "{load:?}");
        assert_eq!(fixture.source.filter_state().is_filtering, is_filtering);
    }
    assert_eq!(fixture.source.take_warnings().len(), 2);
    fixture.source.observe_traffic(&flood).unwrap();
    fixture.source.set_table(&udp_table(None, 8_000), InterfaceIndex::FIRST).unwrap();
    fixture.source.observe_traffic(&flood).unwrap();
    assert!(fixture.source.filter_state().is_filtering, "only UDP over IPv4 is wanted");
}
