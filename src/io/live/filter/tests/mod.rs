//! Tests the filter against a reference, in our interpreter and in the kernel.

mod bpf_interpreter;
mod generate;
mod loopback;
mod reference;

use std::os::unix::net::UnixDatagram;

use proptest::prelude::*;
use socket2::{Domain, SockRef, Socket, Type};

use super::attach;
use super::program::{MAX_SNAPLEN, ProgramSpec, Truncation, exclude_own_copies};
use super::program_builder::Instruction;
use super::wanted_packets::WantedPackets;
use crate::dataplane::{FlowKey, InterfaceIndex, MirrorOutcome, MirrorTable};
use crate::io::sys::capability;
use crate::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, PacketLength, PortRange, Protocol,
    RuleAction, RuleNumber,
};
use bpf_interpreter::{TestFrame, run, to_usize};
use generate::{Entropy, session, table, table_of_targets};

const MARK: u32 = 109;

/// The kernel's maximum program length (`BPF_MAXINSNS` of `linux/bpf_common.h`).
const MAX_INSTRUCTIONS: usize = 4096;

fn test_frame(bytes: &[u8], direction: Direction) -> TestFrame<'_> {
    let packet_type = if direction == Direction::Egress { 4 } else { 0 };
    TestFrame { bytes, mark: 0, packet_type }
}

fn truncation_of(wanted_packets: &WantedPackets, mtu: u32) -> Option<Truncation> {
    wanted_packets.max_packet_length.and_then(|len| Truncation::new(len, mtu))
}

fn program(table: &MirrorTable, mtu: u32, drops: bool) -> (Option<Truncation>, Vec<Instruction>) {
    let wanted_packets = WantedPackets::of(table, InterfaceIndex::FIRST);
    let truncation = truncation_of(&wanted_packets, mtu);
    let target_ports = &wanted_packets.target_ports;
    let wanted = drops.then_some(&wanted_packets);
    let program_spec =
        ProgramSpec { mark: Some(MARK), target_ports, snaplen: MAX_SNAPLEN, truncation, wanted };
    (truncation, program_spec.compile())
}

/// The program of a mirror with mark 0, so that all unmarked frames have it.
fn program_of_no_mark(table: &MirrorTable) -> Vec<Instruction> {
    let wanted_packets = WantedPackets::of(table, InterfaceIndex::FIRST);
    let (target_ports, truncation) =
        (&wanted_packets.target_ports, truncation_of(&wanted_packets, 1_500));
    ProgramSpec {
        mark: Some(0),
        target_ports,
        snaplen: MAX_SNAPLEN,
        truncation,
        wanted: Some(&wanted_packets),
    }
    .compile()
}

/// Number of bytes of the frame that pass the filter.
fn accepted_len(program: &[Instruction], test_frame: TestFrame<'_>) -> usize {
    test_frame.bytes.len().min(to_usize(run(program, test_frame)))
}

fn bytes(max_len: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..max_len)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// A mirrored frame passes the filter, with as many bytes as any session copies.
    #[test]
    fn mirrored_frames_pass_the_filter(of_table in bytes(200), of_frame in bytes(80)) {
        let mut entropy = Entropy(&of_frame);
        let table = Entropy(&of_table).table(6);
        let direction = Direction::BOTH[entropy.below(2)];
        let frame = entropy.frame();
        let (_, program) = program(&table, 1_500, true);
        let Ok(key) = FlowKey::parse(&frame) else { return Ok(()) };
        if let MirrorOutcome::Mirrored(by) = table.decide(InterfaceIndex::FIRST, direction, &key) {
            let accepted_len = accepted_len(&program, test_frame(&frame, direction));
            let copied = table.max_inner_len(by.session).min(frame.len());
            prop_assert!(accepted_len >= copied && accepted_len > 0, "{accepted_len} of {copied}");
            // The bytes that the data plane parses are there.
            prop_assert_eq!(FlowKey::parse(&frame[..accepted_len]), Ok(key));
        }
    }

    #[test]
    fn the_program_matches_the_reference_filter(
        of_table in bytes(200),
        of_frame in bytes(80),
        drops: bool,
    ) {
        let mut entropy = Entropy(&of_frame);
        let table = Entropy(&of_table).table(6);
        let direction = Direction::BOTH[entropy.below(2)];
        let mtu = [1_500, 9_000, 0][entropy.below(3)];
        let frame = entropy.frame();
        let (truncation, program) = program(&table, mtu, drops);
        let wanted_by = drops.then_some((&table, InterfaceIndex::FIRST, direction));
        let expected = reference::accepted_len(&frame, truncation, wanted_by);
        prop_assert_eq!(accepted_len(&program, test_frame(&frame, direction)), expected);
        // With our mark, possible copies are dropped; other frames are handled like any frame.
        let marked = TestFrame { mark: MARK, ..test_frame(&frame, direction) };
        let expected = if reference::can_be_own(&frame) { 0 } else { expected };
        prop_assert_eq!(accepted_len(&program, marked), expected);
    }

    /// The kernel runs the program like our interpreter. The test uses a socket that needs no
    /// privileges, on which all frames are ingress.
    #[test]
    fn the_kernel_runs_the_program_like_the_interpreter(
        of_table in bytes(200),
        of_frames in bytes(400),
    ) {
        let table = Entropy(&of_table).table(6);
        let (out, into) = UnixDatagram::pair().unwrap();
        into.set_nonblocking(true).unwrap();
        for program in [program(&table, 1_500, true).1, program_of_no_mark(&table)] {
            attach(&SockRef::from(&into), &program).unwrap();
            for part in of_frames.chunks(80) {
                let frame = Entropy(part).frame();
                if frame.is_empty() {
                    continue;
                }
                prop_assert_eq!(out.send(&frame).unwrap(), frame.len());
                let received_len = into.recv(&mut [0; 4_096]).unwrap_or(0);
                let expected = accepted_len(&program, test_frame(&frame, Direction::Ingress));
                prop_assert_eq!(received_len, expected);
            }
        }
    }
}

/// The largest filter with which the kernel drops frames, with the longest terms.
fn longest_table() -> MirrorTable {
    let mut filter = Filter::new(FilterId::new("tmf-1").unwrap());
    for direction in Direction::BOTH {
        for (family, number) in [("10.0.0.1/32", 1), ("fd00::1/128", 101)] {
            for more in 0..28 {
                filter.push_rule(single_rule(direction, number + more, family)).unwrap();
            }
        }
    }
    filter.amazon_dns = true;
    let sessions = vec![session(InterfaceIndex::FIRST, filter, PacketLength::new(100).ok())];
    table_of_targets(sessions, true, (5_000..5_032).collect())
}

/// A rule that no other one of the table covers.
fn single_rule(direction: Direction, number: i64, block: &str) -> FilterRule {
    let (block, _) = CidrBlock::parse("source_cidr_block", block).unwrap();
    let port = 1_000 + number;
    let ports = PortRange::new("source_port_range", port, port + 7).unwrap();
    let number = RuleNumber::new(number).unwrap();
    FilterRule::new(direction, number, RuleAction::Accept, block, block)
        .unwrap()
        .with_protocol(Protocol::TCP)
        .unwrap()
        .with_source_ports(ports)
        .unwrap()
        .with_destination_ports(ports)
        .unwrap()
}

#[test]
fn the_kernel_accepts_the_longest_program() {
    let (truncation, program) = program(&longest_table(), 1_500, true);
    assert!(truncation.is_some() && program.len() > 1_000, "{}", program.len());
    assert!(program.len() < MAX_INSTRUCTIONS, "{}", program.len());
    if !capability::has_net_raw() {
        println!("NOT RUN: the_kernel_accepts_the_longest_program: no right to capture");
        return;
    }
    let socket = Socket::new(Domain::PACKET, Type::RAW, None).unwrap();
    attach(&socket, &program).unwrap();
    // Replaces itself: both programs exist for a moment.
    attach(&socket, &program).unwrap();
}

#[test]
fn every_term_of_the_longest_program_is_reached() {
    let table = longest_table();
    let (_, program) = program(&table, 1_500, true);
    let frame = |port: u16| {
        let mut frame = vec![0; 74];
        frame[12..15].copy_from_slice(&[0x86, 0xdd, 0x60]);
        frame[20] = 6;
        for address in [22, 38] {
            frame[address..address + 16]
                .copy_from_slice(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        }
        frame[54..56].copy_from_slice(&port.to_be_bytes());
        frame[56..58].copy_from_slice(&port.to_be_bytes());
        frame
    };
    for direction in Direction::BOTH {
        for port in 1_090..1_150 {
            let is_accepted = run(&program, test_frame(&frame(port), direction)) > 0;
            assert_eq!(is_accepted, (1_101..=1_135).contains(&port), "{port}");
        }
    }
}

#[test]
fn the_longest_packet_length_decides_the_cut() {
    let filter = Filter::accept_all(FilterId::new("tmf-1").unwrap());
    let wanted_packets = |lengths: &[Option<i64>]| {
        let length = |len: &Option<i64>| len.map(|len| PacketLength::new(len).unwrap());
        let sessions =
            lengths.iter().map(|len| session(InterfaceIndex::FIRST, filter.clone(), length(len)));
        WantedPackets::of(&table(sessions.collect(), true), InterfaceIndex::FIRST)
    };
    assert!(!wanted_packets(&[Some(1)]).can_drop());
    assert_eq!(wanted_packets(&[Some(60), Some(90)]).max_packet_length, Some(90));
    assert_eq!(wanted_packets(&[Some(60), None]).max_packet_length, None);
    // Headers are kept, and nothing is truncated if no frame is longer.
    assert_eq!(Truncation::new(1, 1_500), Some(Truncation { len: 74, max_frame_len: 1_518 }));
    assert_eq!(Truncation::new(1_518, 1_500), None);
    assert_eq!(Truncation::new(100, 0), None);
}

/// An IPv4 UDP frame with these ports.
fn udp(source: u16, destination: u16) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([source.to_be_bytes(), destination.to_be_bytes(), [0, 8], [0, 0]].concat());
    frame
}

#[test]
fn with_the_own_mark_only_possible_copies_are_dropped() {
    let of_protocol = |protocol| {
        let mut frame = udp(5_000, 53);
        frame[23] = protocol;
        frame
    };
    let program = exclude_own_copies(Some(MARK), MAX_SNAPLEN);
    let is_accepted = |frame: &[u8], mark| {
        run(&program, TestFrame { mark, ..test_frame(frame, Direction::Egress) }) == MAX_SNAPLEN
    };
    let ours = [udp(65_408, 4_999), udp(65_535, 53), udp(5_000, 4_789), udp(5_000, 6_081)];
    for frame in ours.into_iter().chain([4, 41, 47, 50, 51, 115].map(of_protocol)) {
        assert!(
            !is_accepted(&frame, MARK) && is_accepted(&frame, 0) && is_accepted(&frame, MARK + 1),
            "{frame:?}"
        );
    }
    let others = [udp(65_407, 53), udp(5_000, 51_820), Vec::new(), udp(65_408, 53)[..37].to_vec()];
    for frame in others.into_iter().chain([1, 6, 58, 132].map(of_protocol)) {
        assert!(is_accepted(&frame, MARK), "{frame:?}");
    }
    assert_eq!(
        run(
            &exclude_own_copies(None, MAX_SNAPLEN),
            test_frame(&udp(65_408, 4_789), Direction::Egress)
        ),
        MAX_SNAPLEN
    );
}

/// `GSO_MAX_SIZE` of linux/netdevice.h is 8 * 65,535 bytes.
#[test]
fn super_frames_of_big_tcp_are_received_whole() {
    let frame = vec![0; 8 * 65_535 + 14 + 4];
    let accepted =
        run(&exclude_own_copies(None, MAX_SNAPLEN), test_frame(&frame, Direction::Ingress));
    assert!(to_usize(accepted) >= frame.len());
}

#[test]
fn with_too_many_target_ports_no_frame_is_truncated() {
    let filter = Filter::accept_all(FilterId::new("tmf-1").unwrap());
    let wanted_packets = |ports: u16| {
        let sessions =
            vec![session(InterfaceIndex::FIRST, filter.clone(), PacketLength::new(100).ok())];
        WantedPackets::of(
            &table_of_targets(sessions, true, (5_000..5_000 + ports).collect()),
            InterfaceIndex::FIRST,
        )
    };
    assert_eq!(
        (wanted_packets(32).max_packet_length, wanted_packets(32).target_ports.len()),
        (Some(100), 32)
    );
    assert_eq!(
        (wanted_packets(33).max_packet_length, wanted_packets(33).target_ports.len()),
        (None, 0)
    );
}

#[test]
fn an_interface_without_sessions_receives_all_frames() {
    let filter = Filter::new(FilterId::new("tmf-1").unwrap());
    let table =
        table(vec![session(InterfaceIndex::FIRST, filter, PacketLength::new(100).ok())], true);
    assert!(WantedPackets::of(&table, InterfaceIndex::FIRST).can_drop());
    for other in [InterfaceIndex::new(1), InterfaceIndex::MAX] {
        let wanted_packets = WantedPackets::of(&table, other);
        assert!(!wanted_packets.can_drop() && wanted_packets.max_packet_length.is_none());
        assert_eq!(wanted_packets.target_ports, [generate::TARGET_PORT]);
    }
    assert!(!WantedPackets::ALL.can_drop());
}
