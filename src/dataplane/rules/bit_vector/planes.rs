//! The words of many packets at once.
//!
//! The keys of a batch of packets are transposed, so that a vector has the same byte of each key,
//! and each byte is split into two nibbles: a *plane* has the same nibble of each packet. For eight
//! rules and one nibble, a table of 16 bytes has a byte for each value of the nibble, with a bit
//! for each rule that allows the value. One byte-shuffle instruction looks up a whole plane in such
//! a table.
//!
//! Example: rule 0 needs source 10.0.0.0/8, rule 1 needs 172.16.0.0/12. In the plane of the upper
//! nibble of the first address byte, the table has 0b01 at value 0 (10 is 0x0a), 0b10 at value 10
//! (172 is 0xac) and 0 elsewhere. The AND over the tables of all planes is the byte of matching
//! rules.

use arrayvec::ArrayVec;

use super::byte_vector::{ByteVector, MAX_LANES};
use super::nibbles::{KeyByte, Nibble};
use crate::dataplane::flow_key::FlowKey;
use crate::model::FilterRule;

/// The largest number of packets in a batch.
pub(super) const MAX_BATCH_LEN: usize = 64;

/// The number of rules in one byte of a table.
const RULES_PER_GROUP: usize = 8;

/// The largest number of planes: the rules of all words need at most 76 half bytes, and 252 ranges
/// of which four share a plane.
const MAX_PLANES: usize = 144;

/// The planes of a batch.
pub(super) type Planes<V> = ArrayVec<V, MAX_PLANES>;

/// Builds planes: selects the bytes of the keys that rules restrict, and transposes them.
#[derive(Debug)]
pub(super) struct Transposer {
    /// The parts of the key to transpose, each with the half bytes that are needed: index of the
    /// byte in the part, and whether it is the upper half.
    parts: Vec<(KeyPart, Vec<(u8, bool)>)>,
    ranges: Vec<Nibble>,
}

/// 16 bytes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyPart {
    /// Both IPv4 addresses, ports, protocol and flags.
    All,
    Source,
    Destination,
    /// Ports, protocol and flags.
    Rest,
}

/// A table for eight rules of a word and one nibble of the key.
#[derive(Debug)]
struct NibbleTable {
    /// By value of the nibble: the rules that allow it.
    rules: [u8; 16],
    /// Index of the plane.
    plane: u8,
}

/// The words of a batch as vectors hold them. Lane `l` of the vector at `pair` has the words of the
/// packets `16 * l + 2 * pair` and the next one.
pub(super) type LanePairs = [[[u64; 2]; MAX_LANES]; 8];

/// The words in the order of the packets.
#[inline(always)]
pub(super) fn in_packet_order(pairs: &LanePairs) -> [u64; MAX_BATCH_LEN] {
    let mut words = [0; MAX_BATCH_LEN];
    let (lanes, _) = words.as_chunks_mut::<16>();
    for (lane, words) in lanes.iter_mut().enumerate() {
        let (places, _) = words.as_chunks_mut::<2>();
        for (place, pair) in places.iter_mut().zip(pairs) {
            *place = pair.get(lane).copied().unwrap_or_default();
        }
    }
    words
}

/// The tables of a word: a group for each eight rules.
#[derive(Debug)]
pub(super) struct WordTables {
    groups: [RuleGroup; 8],
}

#[derive(Debug, Default)]
struct RuleGroup {
    /// The rules of the group.
    all: u8,
    tables: Vec<NibbleTable>,
}

impl Transposer {
    /// A transposer for the rules of one address family, and the nibbles in the order of the
    /// planes.
    pub(super) fn new(rules: &[&FilterRule], is_ipv4: bool) -> (Self, Vec<Nibble>) {
        let asked = Nibble::all(rules);
        let mut transposer = Self { parts: Vec::new(), ranges: Vec::new() };
        let parts: &[KeyPart] = if is_ipv4 {
            &[KeyPart::All]
        } else {
            &[KeyPart::Source, KeyPart::Destination, KeyPart::Rest]
        };
        let mut nibbles = Vec::new();
        for part in parts {
            let halves = asked.iter().filter_map(|nibble| match nibble {
                Nibble::HalfByte(half) => {
                    part.byte_index(half.place).map(|byte| (*nibble, *half, byte))
                }
                Nibble::PortConditions(_) => None,
            });
            let (own, bytes): (Vec<Nibble>, Vec<(u8, bool)>) =
                halves.map(|(nibble, half, byte)| (nibble, (byte, half.is_upper))).unzip();
            nibbles.extend(own);
            transposer.parts.push((*part, bytes));
        }
        transposer
            .ranges
            .extend(asked.iter().filter(|nibble| matches!(nibble, Nibble::PortConditions(_))));
        nibbles.extend(&transposer.ranges);
        // Port ranges need the ports; other parts that no rule restricts are not transposed.
        let has_ranges = !transposer.ranges.is_empty();
        transposer.parts.retain(|(part, bytes)| {
            !bytes.is_empty() || (has_ranges && matches!(part, KeyPart::All | KeyPart::Rest))
        });
        (transposer, nibbles)
    }

    /// Whether the planes of the rules fit into [`Planes`].
    pub(super) fn fits_planes(&self) -> bool {
        self.parts.iter().map(|(_, halves)| halves.len()).sum::<usize>() + self.ranges.len()
            <= MAX_PLANES
    }

    /// Builds the planes of at most `16 * B::LANES` keys.
    #[inline(always)]
    pub(super) fn transpose<B: ByteVector>(
        &self,
        isa: B,
        keys: &[FlowKey],
        planes: &mut Planes<B::Vector>,
    ) {
        planes.clear();
        let mut ports = None;
        let low_half = isa.splat(&[0x0f; 16]);
        for (part, halves) in &self.parts {
            let transposed = part.transposed(isa, keys);
            for (byte, is_upper) in halves {
                let Some(plane) = transposed.get(usize::from(*byte)) else { continue };
                let half = if *is_upper { isa.upper(*plane) } else { isa.and(*plane, low_half) };
                let _ = planes.try_push(half);
            }
            let [.., a, b, c, d, _, _, _, _] = transposed;
            ports = Some([(a, b), (c, d)]);
        }
        let Some([source, destination]) = ports else { return };
        for nibble in &self.ranges {
            let Nibble::PortConditions(four) = nibble else { continue };
            let mut plane = isa.splat(&[0; 16]);
            for (bit, range) in (0..).zip(four) {
                let Some(range) = range else { continue };
                let (low, high) = if range.is_destination { destination } else { source };
                let bounds = (range.ports.from_port(), range.ports.to_port());
                let first = isa.within(isa.zip_low(low, high), bounds.0, bounds.1);
                let second = isa.within(isa.zip_high(low, high), bounds.0, bounds.1);
                let bits = isa.and(isa.narrow(first, second), isa.splat(&[1 << bit; 16]));
                plane = isa.or(plane, bits);
            }
            let _ = planes.try_push(plane);
        }
    }
}

impl KeyPart {
    /// The index of a byte of the key among the 16 bytes; `None` if this part does not have it.
    fn byte_index(self, place: KeyByte) -> Option<u8> {
        match (self, place) {
            (Self::All, KeyByte::Address(at)) => {
                let (end, byte) = (at / 16, at % 16);
                (byte < 4).then_some(4 * end + byte)
            }
            (Self::Source, KeyByte::Address(at)) => (at < 16).then_some(at),
            (Self::Destination, KeyByte::Address(at)) => at.checked_sub(16),
            (Self::All | Self::Rest, KeyByte::Port { is_destination, is_upper }) => {
                Some(8 + 2 * u8::from(is_destination) + u8::from(is_upper))
            }
            (Self::All | Self::Rest, KeyByte::Protocol) => Some(12),
            (Self::All | Self::Rest, KeyByte::Unknown) => Some(13),
            (Self::All | Self::Rest, KeyByte::HasPorts) => Some(14),
            _ => None,
        }
    }

    /// The bytes of the keys, transposed: one vector for each of the 16 bytes.
    #[inline(always)]
    fn transposed<B: ByteVector>(self, isa: B, keys: &[FlowKey]) -> [B::Vector; 16] {
        match self {
            Self::All => transposed(isa, keys, |key| {
                let [source, _] = halves(key.source_half());
                let [destination, _] = halves(key.destination_half());
                [(source & 0xffff_ffff) | destination << 32, rest(key)]
            }),
            Self::Source => transposed(isa, keys, |key| halves(key.source_half())),
            Self::Destination => transposed(isa, keys, |key| halves(key.destination_half())),
            Self::Rest => transposed(isa, keys, |key| [0, rest(key)]),
        }
    }
}

/// 16 bytes of each key, transposed.
#[inline(always)]
fn transposed<B: ByteVector>(
    isa: B,
    keys: &[FlowKey],
    of_key: impl Fn(&FlowKey) -> [u64; 2],
) -> [B::Vector; 16] {
    let batch;
    let lanes = if keys.len() == 16 * B::LANES {
        keys.as_chunks::<16>().0
    } else {
        batch = padded(keys);
        batch.as_chunks::<16>().0
    };
    // A loop, because a closure may be compiled without the vector instructions.
    let mut vectors = [isa.splat(&[0; 16]); 16];
    for (row, vector) in vectors.iter_mut().enumerate() {
        let mut row_of = [[0; 2]; MAX_LANES];
        for (place, keys) in row_of.iter_mut().take(B::LANES).zip(lanes) {
            *place = keys.get(row).map_or([0; 2], &of_key);
        }
        *vector = isa.load_lanes(row_of);
    }
    zip16(isa, zip16(isa, zip16(isa, zip16(isa, vectors))))
}

/// A complete batch, padded with empty keys.
#[cold]
fn padded(keys: &[FlowKey]) -> [FlowKey; MAX_BATCH_LEN] {
    let mut batch = [FlowKey::EMPTY; MAX_BATCH_LEN];
    batch.iter_mut().zip(keys).for_each(|(place, key)| *place = *key);
    batch
}

/// Both halves of an address as little-endian integers.
#[inline(always)]
fn halves(bytes: [u8; 16]) -> [u64; 2] {
    let [low, high] = [bytes.first_chunk(), bytes.last_chunk()];
    [low, high].map(|half| half.copied().map_or(0, u64::from_le_bytes))
}

/// Ports, protocol and flags as a little-endian integer; on a little-endian machine this is one
/// load.
#[inline(always)]
fn rest(key: &FlowKey) -> u64 {
    u64::from(key.source_port)
        | u64::from(key.destination_port) << 16
        | u64::from(key.protocol) << 32
        | u64::from(key.has_ports) << 48
        | u64::from(key.is_ipv4) << 56
}

/// Interleaves the bytes of the first eight vectors with those of the last eight. Four such steps
/// transpose 16 vectors with 16 bytes in each lane.
#[inline(always)]
fn zip16<B: ByteVector>(isa: B, vectors: [B::Vector; 16]) -> [B::Vector; 16] {
    let [a, b, c, d, e, f, g, h, s, t, u, v, w, x, y, z] = vectors;
    let [a, s, b, t, c, u, d, v] = zip8(isa, [a, b, c, d, s, t, u, v]);
    let [e, w, f, x, g, y, h, z] = zip8(isa, [e, f, g, h, w, x, y, z]);
    [a, s, b, t, c, u, d, v, e, w, f, x, g, y, h, z]
}

/// The same for eight vectors; three such steps transpose them.
#[inline(always)]
fn zip8<B: ByteVector>(isa: B, [a, b, c, d, s, t, u, v]: [B::Vector; 8]) -> [B::Vector; 8] {
    [
        isa.zip_low(a, s),
        isa.zip_high(a, s),
        isa.zip_low(b, t),
        isa.zip_high(b, t),
        isa.zip_low(c, u),
        isa.zip_high(c, u),
        isa.zip_low(d, v),
        isa.zip_high(d, v),
    ]
}

impl WordTables {
    /// The tables for rules with their bits in a word.
    pub(super) fn new(rules: &[(u64, &FilterRule)], nibbles: &[Nibble]) -> Self {
        let mut groups: [RuleGroup; 8] = Default::default();
        for (at, group) in (0_u32..).zip(&mut groups) {
            let own: Vec<(u8, &FilterRule)> = rules
                .iter()
                .filter_map(|(bit, rule)| {
                    let bit = bit.checked_shr(8 * at).unwrap_or(0);
                    Some((u8::try_from(bit).ok().filter(|bit| *bit != 0)?, *rule))
                })
                .collect();
            group.all = own.iter().map(|(bit, _)| bit).sum();
            for (plane, nibble) in (0..).zip(nibbles) {
                let mut table = [0; 2 * RULES_PER_GROUP];
                for (value, rules) in (0..).zip(&mut table) {
                    let allowing = own.iter().filter(|(_, rule)| nibble.allows(rule, value));
                    *rules = allowing.map(|(bit, _)| bit).sum();
                }
                if table.iter().any(|rules| *rules != group.all) {
                    group.tables.push(NibbleTable { rules: table, plane });
                }
            }
        }
        Self { groups }
    }

    /// The rules of the word that match each packet.
    #[inline(always)]
    pub(super) fn matches<B: ByteVector>(
        &self,
        isa: B,
        planes: &Planes<B::Vector>,
    ) -> [B::Vector; 8] {
        let mut bytes = [isa.splat(&[0; 16]); 8];
        for (allowed, group) in bytes.iter_mut().zip(&self.groups) {
            let mut now = isa.splat(&[group.all; 16]);
            for table in &group.tables {
                let Some(plane) = planes.get(usize::from(table.plane)) else { continue };
                now = isa.and(now, isa.look_up(isa.splat(&table.rules), *plane));
            }
            *allowed = now;
        }
        zip8(isa, zip8(isa, zip8(isa, bytes)))
    }

    /// Memory in bytes.
    pub(super) fn memory(&self) -> usize {
        let tables: usize = self.groups.iter().map(|group| group.tables.len()).sum();
        size_of::<Self>() + tables * size_of::<NibbleTable>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rule_set_needs_more_than_the_maximum_of_planes() {
        let halves = 2 * (32 + 4 + 1) + 2;
        let ranges = 2 * 126_usize;
        assert!(halves + ranges.div_ceil(4) <= MAX_PLANES);
    }
}
