//! Words of rules for many packets at once.
//!
//! The keys of a party of packets are turned so that a vector holds the same byte of each of them,
//! a *plane*. Sixteen-byte tables then say, for eight rules at a time, which of them a digit of four
//! bits allows; a processor looks up a whole plane in one such table by one instruction.

use arrayvec::ArrayVec;

use super::bytes::{Bytes, MOST_LANES};
use super::digits::{Digit, Place};
use crate::dataplane::flow_key::FlowKey;
use crate::model::FilterRule;

/// How many packets a party has at the most.
pub(super) const WIDEST: usize = 64;

/// How many rules a byte of a table is about.
const RULES: usize = 8;

/// More planes than the rules of all words together can ask for: 76 digits, and 252 ranges.
const MOST_PLANES: usize = 144;

/// All digits of the keys of a party.
pub(super) type Planes<V> = ArrayVec<V, MOST_PLANES>;

/// How planes are made.
#[derive(Debug)]
pub(super) struct Press {
    /// What is turned, with the halves of bytes that are needed of it.
    turns: Vec<(Turn, Vec<(u8, bool)>)>,
    ranges: Vec<Digit>,
}

/// Sixteen bytes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Both addresses of IPv4, and the rest.
    All,
    Source,
    Destination,
    /// Ports, protocol and flags.
    Rest,
}

/// A table of a word.
#[derive(Debug)]
struct Table {
    /// By the value of the digit, the rules that allow it.
    rules: [u8; 16],
    /// Which plane it is about.
    plane: u8,
}

/// Words of a party as vectors hold them: the lanes of the vector at `pair` have those of the
/// packets `2 * pair` and the one behind it, of each sixteen.
pub(super) type Pairs = [[[u64; 2]; MOST_LANES]; 8];

/// In the order of the packets.
#[inline(always)]
pub(super) fn in_order(pairs: &Pairs) -> [u64; WIDEST] {
    let mut words = [0; WIDEST];
    let (lanes, _) = words.as_chunks_mut::<16>();
    for (lane, words) in lanes.iter_mut().enumerate() {
        let (places, _) = words.as_chunks_mut::<2>();
        for (place, pair) in places.iter_mut().zip(pairs) {
            *place = pair.get(lane).copied().unwrap_or_default();
        }
    }
    words
}

/// The tables of a word, for each eight of its rules.
#[derive(Debug)]
pub(super) struct WordTables {
    eights: [Eight; 8],
}

#[derive(Debug, Default)]
struct Eight {
    /// The rules that there are.
    all: u8,
    tables: Vec<Table>,
}

impl Press {
    /// For the digits of the rules of one family; in the order in which planes are made.
    pub(super) fn new(rules: &[&FilterRule], is_ipv4: bool) -> (Self, Vec<Digit>) {
        let asked = Digit::all(rules);
        let mut press = Self { turns: Vec::new(), ranges: Vec::new() };
        let turns: &[Turn] =
            if is_ipv4 { &[Turn::All] } else { &[Turn::Source, Turn::Destination, Turn::Rest] };
        let mut digits = Vec::new();
        for turn in turns {
            let halves = asked.iter().filter_map(|digit| match digit {
                Digit::Half(half) => turn.place_of(half.place).map(|byte| (*digit, *half, byte)),
                Digit::Ranges(_) => None,
            });
            let (own, bytes): (Vec<Digit>, Vec<(u8, bool)>) =
                halves.map(|(digit, half, byte)| (digit, (byte, half.is_upper))).unzip();
            digits.extend(own);
            press.turns.push((*turn, bytes));
        }
        press.ranges.extend(asked.iter().filter(|digit| matches!(digit, Digit::Ranges(_))));
        digits.extend(&press.ranges);
        // Ports are needed where ranges are; else what is not asked about is not turned.
        let has_ranges = !press.ranges.is_empty();
        press.turns.retain(|(turn, bytes)| {
            !bytes.is_empty() || (has_ranges && matches!(turn, Turn::All | Turn::Rest))
        });
        (press, digits)
    }

    /// Whether the rules ask for so few planes that there is room for them.
    pub(super) fn can_press(&self) -> bool {
        self.turns.iter().map(|(_, halves)| halves.len()).sum::<usize>() + self.ranges.len()
            <= MOST_PLANES
    }

    /// Makes planes of up to as many keys as the vectors have bytes in a lane times lanes.
    #[inline(always)]
    pub(super) fn press<B: Bytes>(&self, isa: B, keys: &[FlowKey], planes: &mut Planes<B::Vector>) {
        planes.clear();
        let mut ports = None;
        let low_half = isa.splat(&[0x0f; 16]);
        for (turn, halves) in &self.turns {
            let turned = turn.turned(isa, keys);
            for (byte, is_upper) in halves {
                let Some(plane) = turned.get(usize::from(*byte)) else { continue };
                let half = if *is_upper { isa.upper(*plane) } else { isa.and(*plane, low_half) };
                let _ = planes.try_push(half);
            }
            let [.., a, b, c, d, _, _, _, _] = turned;
            ports = Some([(a, b), (c, d)]);
        }
        let Some([source, destination]) = ports else { return };
        for digit in &self.ranges {
            let Digit::Ranges(four) = digit else { continue };
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

impl Turn {
    /// Where a byte of the key is among the sixteen, unless it is elsewhere.
    fn place_of(self, place: Place) -> Option<u8> {
        match (self, place) {
            (Self::All, Place::Address(at)) => {
                let (end, byte) = (at / 16, at % 16);
                (byte < 4).then_some(4 * end + byte)
            }
            (Self::Source, Place::Address(at)) => (at < 16).then_some(at),
            (Self::Destination, Place::Address(at)) => at.checked_sub(16),
            (Self::All | Self::Rest, Place::Port { is_destination, is_upper }) => {
                Some(8 + 2 * u8::from(is_destination) + u8::from(is_upper))
            }
            (Self::All | Self::Rest, Place::Protocol) => Some(12),
            (Self::All | Self::Rest, Place::Unknown) => Some(13),
            (Self::All | Self::Rest, Place::HasPorts) => Some(14),
            _ => None,
        }
    }

    /// The bytes of the keys, a vector for each of the sixteen.
    #[inline(always)]
    fn turned<B: Bytes>(self, isa: B, keys: &[FlowKey]) -> [B::Vector; 16] {
        match self {
            Self::All => turned(isa, keys, |key| {
                let [source, _] = halves(key.source_half());
                let [destination, _] = halves(key.destination_half());
                [(source & 0xffff_ffff) | destination << 32, rest(key)]
            }),
            Self::Source => turned(isa, keys, |key| halves(key.source_half())),
            Self::Destination => turned(isa, keys, |key| halves(key.destination_half())),
            Self::Rest => turned(isa, keys, |key| [0, rest(key)]),
        }
    }
}

/// Sixteen bytes of each key, turned.
#[inline(always)]
fn turned<B: Bytes>(
    isa: B,
    keys: &[FlowKey],
    of_key: impl Fn(&FlowKey) -> [u64; 2],
) -> [B::Vector; 16] {
    let party;
    let lanes = if keys.len() == 16 * B::LANES {
        keys.as_chunks::<16>().0
    } else {
        party = whole(keys);
        party.as_chunks::<16>().0
    };
    // In a loop: what is called through a closure may lose the processor's instructions.
    let mut vectors = [isa.splat(&[0; 16]); 16];
    for (row, vector) in vectors.iter_mut().enumerate() {
        let mut row_of = [[0; 2]; MOST_LANES];
        for (place, keys) in row_of.iter_mut().take(B::LANES).zip(lanes) {
            *place = keys.get(row).map_or([0; 2], &of_key);
        }
        *vector = isa.of_lanes(row_of);
    }
    zip16(isa, zip16(isa, zip16(isa, zip16(isa, vectors))))
}

/// A whole party; the last of it ask for nothing.
#[cold]
fn whole(keys: &[FlowKey]) -> [FlowKey; WIDEST] {
    let mut party = [FlowKey::EMPTY; WIDEST];
    party.iter_mut().zip(keys).for_each(|(place, key)| *place = *key);
    party
}

/// Both halves of an address, the first byte lowest.
#[inline(always)]
fn halves(bytes: [u8; 16]) -> [u64; 2] {
    let [low, high] = [bytes.first_chunk(), bytes.last_chunk()];
    [low, high].map(|half| half.copied().map_or(0, u64::from_le_bytes))
}

/// Ports, protocol and flags, the first byte lowest; as they lie in memory where that is so there.
#[inline(always)]
fn rest(key: &FlowKey) -> u64 {
    u64::from(key.source_port)
        | u64::from(key.destination_port) << 16
        | u64::from(key.protocol) << 32
        | u64::from(key.has_ports) << 48
        | u64::from(key.is_ipv4) << 56
}

/// The first half of the vectors in turn with the second, byte by byte. Four of these turn sixteen
/// vectors of sixteen bytes a lane.
#[inline(always)]
fn zip16<B: Bytes>(isa: B, vectors: [B::Vector; 16]) -> [B::Vector; 16] {
    let [a, b, c, d, e, f, g, h, s, t, u, v, w, x, y, z] = vectors;
    let [a, s, b, t, c, u, d, v] = zip8(isa, [a, b, c, d, s, t, u, v]);
    let [e, w, f, x, g, y, h, z] = zip8(isa, [e, f, g, h, w, x, y, z]);
    [a, s, b, t, c, u, d, v, e, w, f, x, g, y, h, z]
}

/// The same with eight vectors, which three of these turn.
#[inline(always)]
fn zip8<B: Bytes>(isa: B, [a, b, c, d, s, t, u, v]: [B::Vector; 8]) -> [B::Vector; 8] {
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
    /// For rules on the bits of a word.
    pub(super) fn new(rules: &[(u64, &FilterRule)], digits: &[Digit]) -> Self {
        let mut eights: [Eight; 8] = Default::default();
        for (at, eight) in (0_u32..).zip(&mut eights) {
            let own: Vec<(u8, &FilterRule)> = rules
                .iter()
                .filter_map(|(bit, rule)| {
                    let bit = bit.checked_shr(8 * at).unwrap_or(0);
                    Some((u8::try_from(bit).ok().filter(|bit| *bit != 0)?, *rule))
                })
                .collect();
            eight.all = own.iter().map(|(bit, _)| bit).sum();
            for (plane, digit) in (0..).zip(digits) {
                let mut table = [0; 2 * RULES];
                for (value, rules) in (0..).zip(&mut table) {
                    let allowing = own.iter().filter(|(_, rule)| digit.allows(rule, value));
                    *rules = allowing.map(|(bit, _)| bit).sum();
                }
                if table.iter().any(|rules| *rules != eight.all) {
                    eight.tables.push(Table { rules: table, plane });
                }
            }
        }
        Self { eights }
    }

    /// The rules of the word that match each packet.
    #[inline(always)]
    pub(super) fn matches<B: Bytes>(&self, isa: B, planes: &Planes<B::Vector>) -> [B::Vector; 8] {
        let mut bytes = [isa.splat(&[0; 16]); 8];
        for (allowed, eight) in bytes.iter_mut().zip(&self.eights) {
            let mut now = isa.splat(&[eight.all; 16]);
            for table in &eight.tables {
                let Some(plane) = planes.get(usize::from(table.plane)) else { continue };
                now = isa.and(now, isa.look_up(isa.splat(&table.rules), *plane));
            }
            *allowed = now;
        }
        zip8(isa, zip8(isa, zip8(isa, bytes)))
    }

    /// In bytes.
    pub(super) fn memory(&self) -> usize {
        let tables: usize = self.eights.iter().map(|eight| eight.tables.len()).sum();
        size_of::<Self>() + tables * size_of::<Table>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rule_set_needs_more_than_the_maximum_of_planes() {
        let halves = 2 * (32 + 4 + 1) + 2;
        let ranges = 2 * 126_usize;
        assert!(halves + ranges.div_ceil(4) <= MOST_PLANES);
    }
}
