//! From what is wanted to the program that says so to the kernel.

use super::code::{
    Code, Ends, Instruction, Place, codes, load_byte, load_half, load_slot, load_word,
    put_least_len, store,
};
use super::layout::{
    ETHER_TYPE, FRAGMENT, Family, LONGEST_HEADERS, TCP, TCP_CHECKSUM, TUNNELS, UDP, UDP_CHECKSUM,
    VERSION,
};
use super::own::put_own;
use super::wants::{Term, Union, Wants};
use crate::dataplane::FIRST_SOURCE_PORT;
use crate::model::{Direction, PortRange};

/// `SKF_AD_OFF` with `SKF_AD_PKTTYPE` and `SKF_AD_MARK` of `linux/filter.h`.
pub(super) const PACKET_TYPE: u32 = 0xffff_f000 + 4;
/// The mark of a frame.
pub(super) const MARK: u32 = 0xffff_f000 + 20;

/// `PACKET_OUTGOING` of `linux/if_packet.h`.
const OUTGOING: u32 = 4;

/// More than any frame has.
pub(in crate::io::live) const WHOLE: u32 = 0x0004_0000;

/// Ethernet header and a VLAN tag.
const LINK_HEADER_LEN: u32 = 14 + 4;

/// The next headers of IPv6 that another header follows, as the data plane has them.
const EXTENSIONS: [u32; 5] = [0, 43, 44, 51, 60];

/// Where the fields of a frame are kept that terms ask for: eleven of the sixteen slots that
/// the machine has (`BPF_MEMWORDS`).
mod slots {
    pub(super) const PROTOCOL: u32 = 0;
    pub(super) const SOURCE_PORT: u32 = 1;
    pub(super) const DESTINATION_PORT: u32 = 2;
    pub(super) const SOURCE: u32 = 3;
    pub(super) const DESTINATION: u32 = 7;
    /// For the checksum, and for a sum that is being folded.
    pub(super) const CHECKSUM: u32 = 11;
    pub(super) const SUM: u32 = 12;
}

/// What a program does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task<'a> {
    /// Frames with it are our own, if they can be.
    pub(super) mark: Option<u32>,
    /// The ports of targets, besides those of known tunnels.
    pub(super) target_ports: &'a [u16],
    /// How much of a whole frame is taken.
    pub(super) whole: u32,
    pub(super) cut: Option<Cut>,
    /// What is wanted, where the rest is dropped.
    pub(super) wanted: Option<&'a Wants>,
}

/// How frames are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// To how many bytes.
    pub(super) len: u32,
    /// What is longer is a super-frame.
    pub(super) most_frame_len: u32,
}

impl Cut {
    /// Cuts to so many bytes, but not within the headers; nothing where no frame of the device is
    /// as long.
    pub(super) fn new(len: u32, mtu: u32) -> Option<Self> {
        let len = len.max(LONGEST_HEADERS);
        let most_frame_len = mtu.saturating_add(LINK_HEADER_LEN);
        (len < most_frame_len).then_some(Self { len, most_frame_len })
    }
}

/// Keeps nothing out but our own copies, by our mark.
pub(in crate::io::live) fn own_only(mark: Option<u32>, whole: u32) -> Vec<Instruction> {
    Task { mark, target_ports: &[], whole, cut: None, wanted: None }.program()
}

impl Task<'_> {
    /// The program.
    pub(super) fn program(&self) -> Vec<Instruction> {
        let mut code = Code::default();
        let nothing = code.put(&[Instruction::returning(0)]);
        let whole = code.put(&[Instruction::returning(self.whole)]);
        if self.cut.is_some() || self.wanted.is_some() {
            let ends = Ends { nothing, whole };
            let ipv6 = self.put_family(&mut code, Family::V6, ends);
            let ipv4 = self.put_family(&mut code, Family::V4, ends);
            let not_ipv4 = code.branch(codes::IF_EQUAL, Family::V6.ether_type(), ipv6, whole);
            code.branch(codes::IF_EQUAL, Family::V4.ether_type(), ipv4, not_ipv4);
            let typed = code.put(&[load_half(ETHER_TYPE)]);
            put_least_len(&mut code, Family::V4.transport() + 4, typed, whole);
        }
        if let Some(mark) = self.mark {
            let other = code.here();
            let own = put_own(&mut code, self.target_ports, Ends { nothing, whole: other });
            code.branch(codes::IF_EQUAL, mark, own, other);
            code.put(&[load_word(MARK)]);
        }
        code.finished()
    }

    /// What becomes of a frame with the EtherType of a family.
    fn put_family(&self, code: &mut Code, family: Family, ends: Ends) -> Place {
        let mut plain = ends.whole;
        if let Some(cut) = &self.cut {
            plain = put_cut(code, family, (cut, self.target_ports), ends.whole);
        }
        if let Some(wants) = self.wanted {
            plain = put_wanted(code, family, wants, Ends { whole: plain, ..ends });
        }
        match family {
            Family::V4 => put_plain_ipv4(code, plain, ends.whole),
            Family::V6 => put_plain_ipv6(code, plain, ends.whole),
        }
    }
}

fn put_plain_ipv4(code: &mut Code, plain: Place, odd: Place) -> Place {
    // More fragments, or an offset: RFC 791, section 3.1.
    code.branch(codes::IF_ANY_BIT, 0x3fff, odd, plain);
    let short = code.put(&[load_half(FRAGMENT)]);
    code.branch(codes::IF_EQUAL, 0x45, short, odd);
    code.put(&[load_byte(VERSION)])
}

fn put_plain_ipv6(code: &mut Code, plain: Place, odd: Place) -> Place {
    let mut next = plain;
    for extension in EXTENSIONS {
        next = code.branch(codes::IF_EQUAL, extension, odd, next);
    }
    let next = code.put(&[load_byte(Family::V6.protocol())]);
    code.branch(codes::IF_EQUAL, 0x60, next, odd);
    let version = code.put(&[load_byte(VERSION), Instruction::new(codes::AND, 0xf0)]);
    put_least_len(code, Family::V6.transport() + 4, version, odd)
}

/// Plain packets that some term matches go on at `whole`, others end.
fn put_wanted(code: &mut Code, family: Family, wants: &Wants, ends: Ends) -> Place {
    let mut union = |direction| match wants.union(direction, family) {
        Union::All => ends.whole,
        Union::Any(terms) => {
            let last = ends.nothing;
            terms.iter().rev().fold(last, |next, term| {
                put_term(code, family, term, Ends { nothing: next, whole: ends.whole })
            })
        }
    };
    let ingress = union(Direction::Ingress);
    let egress = union(Direction::Egress);
    code.branch(codes::IF_EQUAL, OUTGOING, egress, ingress);
    code.put(&[load_byte(PACKET_TYPE)]);
    code.put(&fields(family))
}

/// Loads all that terms ask for.
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

/// A packet that the term matches goes on at `whole`, another one at `nothing`.
fn put_term(code: &mut Code, family: Family, term: &Term, ends: Ends) -> Place {
    let mut matched = ends.whole;
    let ports = [
        (term.destination_ports, slots::DESTINATION_PORT),
        (term.source_ports, slots::SOURCE_PORT),
    ];
    for (range, slot) in ports {
        if let Some(range) = range {
            matched = put_ports(code, range, slot, Ends { whole: matched, ..ends });
        }
    }
    let blocks = [(term.destination, slots::DESTINATION), (term.source, slots::SOURCE)];
    for (block, slot) in blocks {
        for (word, (mask, value)) in (0..family.address_words()).zip(block_words(block)) {
            if mask != 0 {
                code.branch(codes::IF_EQUAL, value, matched, ends.nothing);
                let masked = Instruction::new(codes::AND, mask);
                matched = code.put(&[load_slot(slot + word), masked]);
            }
        }
    }
    if let Some(protocol) = term.protocol {
        code.branch(codes::IF_EQUAL, protocol.0.into(), matched, ends.nothing);
        matched = code.put(&[load_slot(slots::PROTOCOL)]);
    }
    matched
}

fn put_ports(code: &mut Code, range: PortRange, slot: u32, ends: Ends) -> Place {
    let not_above = code.branch(codes::IF_ABOVE, range.to_port().into(), ends.nothing, ends.whole);
    code.branch(codes::IF_AT_LEAST, range.from_port().into(), not_above, ends.nothing);
    code.put(&[load_slot(slot)])
}

/// Which bits of each word of an address a block fixes, and to what.
fn block_words(block: crate::model::CidrBlock) -> [(u32, u32); 4] {
    let octets = match block.network() {
        std::net::IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        std::net::IpAddr::V6(v6) => v6.to_bits(),
    };
    let free = u128::MAX.checked_shr(block.prefix_len().into()).unwrap_or(0);
    let word = |number: u128, shift: u32| u32::try_from(number >> shift & 0xffff_ffff).unwrap_or(0);
    [96, 64, 32, 0].map(|shift| (word(!free, shift), word(octets, shift)))
}

/// Cuts a plain frame of TCP or UDP where nothing is left to be made of what is cut off. Copies
/// and tunnels are never cut: the loop guard looks at what they carry.
fn put_cut(
    code: &mut Code,
    family: Family,
    (cut, target_ports): (&Cut, &[u16]),
    whole: Place,
) -> Place {
    let cut_off = code.put(&[Instruction::returning(cut.len)]);
    code.branch(codes::IF_EQUAL_X, 0, whole, cut_off);
    let sum = code.put(&pseudo_header_sum(family));
    let tcp = put_checksum(code, family.transport() + TCP_CHECKSUM, sum, whole);
    let mut udp = put_checksum(code, family.transport() + UDP_CHECKSUM, sum, whole);
    for port in target_ports {
        udp = code.branch(codes::IF_EQUAL, u32::from(*port), whole, udp);
    }
    for port in [2, 0] {
        for tunnel in TUNNELS {
            udp = code.branch(codes::IF_EQUAL, tunnel, whole, udp);
        }
        if port == 0 {
            code.branch(codes::IF_AT_LEAST, FIRST_SOURCE_PORT.into(), whole, udp);
        }
        udp = code.put(&[load_half(family.transport() + port)]);
    }
    let not_tcp = code.branch(codes::IF_EQUAL, UDP, udp, whole);
    code.branch(codes::IF_EQUAL, TCP, tcp, not_tcp);
    let protocol = code.put(&[load_byte(family.protocol())]);
    // Of a packet longer than that number can say, it says zero.
    let least = family.header_in_len() + 8;
    code.branch(codes::IF_AT_LEAST, least, protocol, whole);
    let sound = code.put(&[load_half(family.len())]);
    let long = code.branch(codes::IF_ABOVE, cut.most_frame_len, whole, sound);
    code.branch(codes::IF_ABOVE, cut.len, long, whole);
    code.put(&[Instruction::new(codes::LOAD_LEN, 0)])
}

/// Keeps the checksum. Zero is no checksum, or an unfinished one.
fn put_checksum(code: &mut Code, at: u32, sum: Place, whole: Place) -> Place {
    code.branch(codes::IF_EQUAL, 0, whole, sum);
    code.put(&[load_half(at), store(slots::CHECKSUM)])
}

/// The sum that an unfinished checksum is filled with (`~tcp_v4_check(...)`, `net/ipv4/tcp_ipv4.c`):
/// addresses, protocol and length of transport header and payload, folded to sixteen bits. It is
/// left in the accumulator, and the checksum of the frame in `X`.
fn pseudo_header_sum(family: Family) -> Vec<Instruction> {
    let add = |load| [Instruction::new(codes::COPY_TO_X, 0), load, ADD_X];
    let mut sum =
        vec![load_half(family.len()), Instruction::new(codes::SUBTRACT, family.header_in_len())];
    sum.extend(add(load_byte(family.protocol())));
    for half in 0..4 * family.address_words() {
        sum.extend(add(load_half(family.addresses() + 2 * half)));
    }
    for _ in 0..2 {
        sum.extend([
            store(slots::SUM),
            Instruction::new(codes::SHIFT_RIGHT, 16),
            Instruction::new(codes::COPY_TO_X, 0),
            load_slot(slots::SUM),
            Instruction::new(codes::AND, 0xffff),
            ADD_X,
        ]);
    }
    sum.push(Instruction::new(codes::LOAD_X_SLOT, slots::CHECKSUM));
    sum
}

const ADD_X: Instruction = Instruction::new(codes::ADD_X, 0);
