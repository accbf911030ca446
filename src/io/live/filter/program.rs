//! Compiles the kernel filter to a classic BPF program.
//!
//! The program is built from its end to its beginning (see `program_builder`), so each `emit_`
//! function receives the labels at which the program continues and returns the label of its own
//! first instruction. For TCP to port 443 over IPv4, the part for the rules is, in the order of
//! execution:
//!
//! ```text
//!      ld  [protocol slot]     the fields of the frame were stored in slots before
//!      jeq #6, next, reject
//! next ld  [destination port slot]
//!      jge #443, next2, reject
//! next2 jgt #443, reject, accept
//! ```
//!
//! If truncation is on, `accept` leads to further tests. A frame is truncated only if the rest is
//! not needed. The difficult case is an unfinished checksum: the kernel fills the field with the
//! sum of the pseudo-header and lets the network card complete it. The program computes that sum,
//! and accepts the frame whole if the field is equal to it or zero. A complete checksum has this
//! value by chance in one of 65,536 frames, and such a frame is merely not truncated.

use super::layout::{
    ETHER_TYPE, FRAGMENT, Family, MAX_HEADERS_LEN, TCP, TCP_CHECKSUM, TUNNEL_PORTS, UDP,
    UDP_CHECKSUM, VERSION,
};
use super::own_copies::emit_own_copy_test;
use super::program_builder::{
    ExitLabels, Instruction, Label, ProgramBuilder, emit_min_len_test, load_byte, load_half,
    load_slot, load_word, opcodes, store,
};
use super::wanted_packets::{Term, TermSet, WantedPackets};
use crate::dataplane::FIRST_SOURCE_PORT;
use crate::model::{Direction, PortRange};

/// `SKF_AD_OFF` with `SKF_AD_PKTTYPE` and `SKF_AD_MARK` of `linux/filter.h`.
pub(super) const PACKET_TYPE: u32 = 0xffff_f000 + 4;
/// Ancillary offset of the mark of a frame.
pub(super) const MARK: u32 = 0xffff_f000 + 20;

/// `PACKET_OUTGOING` of `linux/if_packet.h`.
const OUTGOING: u32 = 4;

/// Length in bytes to which the kernel truncates every frame: 1 MiB, the longest block of a ring.
/// It is longer than every frame: super-frames of BIG TCP have up to 512 KiB (`GSO_MAX_SIZE`,
/// 8 * 65,535 bytes) and their headers.
pub(in crate::io::live) const MAX_SNAPLEN: u32 = 0x0010_0000;

/// Length of the Ethernet header and a VLAN tag.
const LINK_HEADER_LEN: u32 = 14 + 4;

/// The next-header values of IPv6 extension headers, as in the data plane.
const EXTENSIONS: [u32; 5] = [0, 43, 44, 51, 60];

/// The memory slots of the fields that terms test: eleven of the sixteen slots of the BPF machine
/// (`BPF_MEMWORDS`).
mod slots {
    pub(super) const PROTOCOL: u32 = 0;
    pub(super) const SOURCE_PORT: u32 = 1;
    pub(super) const DESTINATION_PORT: u32 = 2;
    pub(super) const SOURCE: u32 = 3;
    pub(super) const DESTINATION: u32 = 7;
    /// The checksum, and a sum that is being folded.
    pub(super) const CHECKSUM: u32 = 11;
    pub(super) const SUM: u32 = 12;
}

/// The specification of a program.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProgramSpec<'a> {
    /// The mark of our own copies.
    pub(super) mark: Option<u32>,
    /// The UDP ports of targets, except those of known tunnels.
    pub(super) target_ports: &'a [u16],
    /// Number of bytes of an accepted frame that is not truncated.
    pub(super) snaplen: u32,
    pub(super) truncation: Option<Truncation>,
    /// The packets that are accepted; `None` accepts all.
    pub(super) wanted: Option<&'a WantedPackets>,
}

/// How frames are truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Truncation {
    /// Length in bytes after truncation.
    pub(super) len: u32,
    /// A longer frame is a super-frame. In bytes.
    pub(super) max_frame_len: u32,
}

impl Truncation {
    /// Truncates to `len` bytes, but not within the headers. `None` if no frame of the device is
    /// longer.
    pub(super) fn new(len: u32, mtu: u32) -> Option<Self> {
        let len = len.max(MAX_HEADERS_LEN);
        let max_frame_len = mtu.saturating_add(LINK_HEADER_LEN);
        (len < max_frame_len).then_some(Self { len, max_frame_len })
    }
}

/// A program that drops our own copies only, by their mark.
pub(in crate::io::live) fn exclude_own_copies(mark: Option<u32>, snaplen: u32) -> Vec<Instruction> {
    ProgramSpec { mark, target_ports: &[], snaplen, truncation: None, wanted: None }.compile()
}

impl ProgramSpec<'_> {
    /// Compiles the program.
    pub(super) fn compile(&self) -> Vec<Instruction> {
        let mut builder = ProgramBuilder::default();
        let reject = builder.prepend(&[Instruction::returning(0)]);
        let accept = builder.prepend(&[Instruction::returning(self.snaplen)]);
        if self.truncation.is_some() || self.wanted.is_some() {
            let exits = ExitLabels { reject, accept };
            let ipv6 = self.emit_family(&mut builder, Family::V6, exits);
            let ipv4 = self.emit_family(&mut builder, Family::V4, exits);
            let not_ipv4 = builder.branch(opcodes::IF_EQUAL, Family::V6.ether_type(), ipv6, accept);
            builder.branch(opcodes::IF_EQUAL, Family::V4.ether_type(), ipv4, not_ipv4);
            let typed = builder.prepend(&[load_half(ETHER_TYPE)]);
            emit_min_len_test(&mut builder, Family::V4.transport() + 4, typed, accept);
        }
        if let Some(mark) = self.mark {
            let other = builder.current_label();
            let own_copy = emit_own_copy_test(
                &mut builder,
                self.target_ports,
                ExitLabels { reject, accept: other },
            );
            builder.branch(opcodes::IF_EQUAL, mark, own_copy, other);
            builder.prepend(&[load_word(MARK)]);
        }
        builder.build()
    }

    /// Emits the tests for frames with the EtherType of a family.
    fn emit_family(
        &self,
        builder: &mut ProgramBuilder,
        family: Family,
        exits: ExitLabels,
    ) -> Label {
        let mut plain = exits.accept;
        if let Some(truncation) = &self.truncation {
            plain = emit_truncation(builder, family, (truncation, self.target_ports), exits.accept);
        }
        if let Some(wanted_packets) = self.wanted {
            plain =
                emit_wanted(builder, family, wanted_packets, ExitLabels { accept: plain, ..exits });
        }
        match family {
            Family::V4 => emit_plain_ipv4(builder, plain, exits.accept),
            Family::V6 => emit_plain_ipv6(builder, plain, exits.accept),
        }
    }
}

fn emit_plain_ipv4(builder: &mut ProgramBuilder, plain: Label, other: Label) -> Label {
    // More fragments, or an offset: RFC 791, section 3.1.
    builder.branch(opcodes::IF_ANY_BIT, 0x3fff, other, plain);
    let short = builder.prepend(&[load_half(FRAGMENT)]);
    builder.branch(opcodes::IF_EQUAL, 0x45, short, other);
    builder.prepend(&[load_byte(VERSION)])
}

fn emit_plain_ipv6(builder: &mut ProgramBuilder, plain: Label, other: Label) -> Label {
    let mut next = plain;
    for extension in EXTENSIONS {
        next = builder.branch(opcodes::IF_EQUAL, extension, other, next);
    }
    let next = builder.prepend(&[load_byte(Family::V6.protocol())]);
    builder.branch(opcodes::IF_EQUAL, 0x60, next, other);
    let version = builder.prepend(&[load_byte(VERSION), Instruction::new(opcodes::AND, 0xf0)]);
    emit_min_len_test(builder, Family::V6.transport() + 4, version, other)
}

/// Emits the tests of the terms: a plain packet that matches a term continues at `accept`, others
/// at `reject`.
fn emit_wanted(
    builder: &mut ProgramBuilder,
    family: Family,
    wanted_packets: &WantedPackets,
    exits: ExitLabels,
) -> Label {
    let mut term_set = |direction| match wanted_packets.term_set(direction, family) {
        TermSet::All => exits.accept,
        TermSet::Any(terms) => {
            let last = exits.reject;
            terms.iter().rev().fold(last, |next, term| {
                emit_term(builder, family, term, ExitLabels { reject: next, accept: exits.accept })
            })
        }
    };
    let ingress = term_set(Direction::Ingress);
    let egress = term_set(Direction::Egress);
    builder.branch(opcodes::IF_EQUAL, OUTGOING, egress, ingress);
    builder.prepend(&[load_byte(PACKET_TYPE)]);
    builder.prepend(&fields(family))
}

/// The instructions that load the fields that terms test.
fn fields(family: Family) -> Vec<Instruction> {
    let ports = family.transport();
    let mut loads = vec![
        (load_byte(family.protocol()), slots::PROTOCOL),
        (load_half(ports), slots::SOURCE_PORT),
        (load_half(ports + 2), slots::DESTINATION_PORT),
    ];
    let words = family.address_words();
    for word in 0..words {
        let at = family.addresses() + 4 * word;
        loads.push((load_word(at), slots::SOURCE + word));
        loads.push((load_word(at + 4 * words), slots::DESTINATION + word));
    }
    loads.into_iter().flat_map(|(load, slot)| [load, store(slot)]).collect()
}

/// Emits the test of a term: a match continues at `accept`, others at `reject`.
fn emit_term(
    builder: &mut ProgramBuilder,
    family: Family,
    term: &Term,
    exits: ExitLabels,
) -> Label {
    let mut matched = exits.accept;
    let ports = [
        (term.destination_ports, slots::DESTINATION_PORT),
        (term.source_ports, slots::SOURCE_PORT),
    ];
    for (range, slot) in ports {
        if let Some(range) = range {
            matched = emit_ports(builder, range, slot, ExitLabels { accept: matched, ..exits });
        }
    }
    let blocks = [(term.destination, slots::DESTINATION), (term.source, slots::SOURCE)];
    for (block, slot) in blocks {
        for (word, (mask, value)) in (0..family.address_words()).zip(block_words(block)) {
            if mask != 0 {
                builder.branch(opcodes::IF_EQUAL, value, matched, exits.reject);
                let masked = Instruction::new(opcodes::AND, mask);
                matched = builder.prepend(&[load_slot(slot + word), masked]);
            }
        }
    }
    if let Some(protocol) = term.protocol {
        builder.branch(opcodes::IF_EQUAL, protocol.0.into(), matched, exits.reject);
        matched = builder.prepend(&[load_slot(slots::PROTOCOL)]);
    }
    matched
}

fn emit_ports(
    builder: &mut ProgramBuilder,
    range: PortRange,
    slot: u32,
    exits: ExitLabels,
) -> Label {
    let not_above =
        builder.branch(opcodes::IF_ABOVE, range.to_port().into(), exits.reject, exits.accept);
    builder.branch(opcodes::IF_AT_LEAST, range.from_port().into(), not_above, exits.reject);
    builder.prepend(&[load_slot(slot)])
}

/// For each 32-bit word of an address, the mask of a CIDR block and the value under the mask.
fn block_words(block: crate::model::CidrBlock) -> [(u32, u32); 4] {
    let octets = match block.network() {
        std::net::IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        std::net::IpAddr::V6(v6) => v6.to_bits(),
    };
    let free = u128::MAX.checked_shr(block.prefix_len().into()).unwrap_or(0);
    let word = |number: u128, shift: u32| u32::try_from(number >> shift & 0xffff_ffff).unwrap_or(0);
    [96, 64, 32, 0].map(|shift| (word(!free, shift), word(octets, shift)))
}

/// Emits the truncation of plain TCP and UDP frames whose rest is not needed. Copies and tunnel
/// packets are never truncated: the loop guard reads what they contain.
fn emit_truncation(
    builder: &mut ProgramBuilder,
    family: Family,
    (truncation, target_ports): (&Truncation, &[u16]),
    accept: Label,
) -> Label {
    let truncated = builder.prepend(&[Instruction::returning(truncation.len)]);
    builder.branch(opcodes::IF_EQUAL_X, 0, accept, truncated);
    let sum = builder.prepend(&pseudo_header_sum(family));
    let tcp = emit_checksum(builder, family.transport() + TCP_CHECKSUM, sum, accept);
    let mut udp = emit_checksum(builder, family.transport() + UDP_CHECKSUM, sum, accept);
    for port in target_ports {
        udp = builder.branch(opcodes::IF_EQUAL, u32::from(*port), accept, udp);
    }
    for port_offset in [2, 0] {
        for tunnel in TUNNEL_PORTS {
            udp = builder.branch(opcodes::IF_EQUAL, tunnel, accept, udp);
        }
        if port_offset == 0 {
            builder.branch(opcodes::IF_AT_LEAST, FIRST_SOURCE_PORT.into(), accept, udp);
        }
        udp = builder.prepend(&[load_half(family.transport() + port_offset)]);
    }
    let not_tcp = builder.branch(opcodes::IF_EQUAL, UDP, udp, accept);
    builder.branch(opcodes::IF_EQUAL, TCP, tcp, not_tcp);
    let protocol = builder.prepend(&[load_byte(family.protocol())]);
    // The length field is 0 for packets longer than 65,535 bytes.
    let min_len = family.counted_header_len() + 8;
    builder.branch(opcodes::IF_AT_LEAST, min_len, protocol, accept);
    let length_field_test = builder.prepend(&[load_half(family.len())]);
    let super_frame_test =
        builder.branch(opcodes::IF_ABOVE, truncation.max_frame_len, accept, length_field_test);
    builder.branch(opcodes::IF_ABOVE, truncation.len, super_frame_test, accept);
    builder.prepend(&[Instruction::new(opcodes::LOAD_LEN, 0)])
}

/// Stores the checksum. Zero means that there is none, or that it is unfinished.
fn emit_checksum(builder: &mut ProgramBuilder, at: u32, sum: Label, accept: Label) -> Label {
    builder.branch(opcodes::IF_EQUAL, 0, accept, sum);
    builder.prepend(&[load_half(at), store(slots::CHECKSUM)])
}

/// The sum in an unfinished checksum field (`~tcp_v4_check(...)`, `net/ipv4/tcp_ipv4.c`):
/// addresses, protocol, and length of transport header and payload, folded to sixteen bits. The
/// result is in the accumulator, and the checksum of the frame is in `X`.
fn pseudo_header_sum(family: Family) -> Vec<Instruction> {
    let add = |load| [Instruction::new(opcodes::COPY_TO_X, 0), load, ADD_X];
    let mut sum = vec![
        load_half(family.len()),
        Instruction::new(opcodes::SUBTRACT, family.counted_header_len()),
    ];
    sum.extend(add(load_byte(family.protocol())));
    for half in 0..4 * family.address_words() {
        sum.extend(add(load_half(family.addresses() + 2 * half)));
    }
    for _ in 0..2 {
        sum.extend([
            store(slots::SUM),
            Instruction::new(opcodes::SHIFT_RIGHT, 16),
            Instruction::new(opcodes::COPY_TO_X, 0),
            load_slot(slots::SUM),
            Instruction::new(opcodes::AND, 0xffff),
            ADD_X,
        ]);
    }
    sum.push(Instruction::new(opcodes::LOAD_X_SLOT, slots::CHECKSUM));
    sum
}

const ADD_X: Instruction = Instruction::new(opcodes::ADD_X, 0);
