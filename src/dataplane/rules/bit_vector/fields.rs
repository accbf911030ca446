//! The tables of the scalar code: for each value of a field, the word of the rules that allow it.

use crate::dataplane::flow_key::FlowKey;
use crate::model::{CidrBlock, FilterRule, PortRange};

use std::net::IpAddr;

/// One word for each value of a byte.
type ByteWords = [u64; 256];

/// Words for the address bytes that some rule restricts; other bytes are never read.
#[derive(Debug)]
pub(super) struct AddressWords {
    /// All rules of the word; they match if no byte is restricted.
    all: u64,
    tables: Vec<AddressByteWords>,
}

/// The words for one byte of the addresses.
#[derive(Debug)]
struct AddressByteWords {
    /// Index in [`FlowKey::addresses`](FlowKey), 0 to 31.
    place: usize,
    words: ByteWords,
}

impl AddressWords {
    pub(super) fn new(all: u64, rules: &[(u64, &FilterRule)]) -> Self {
        let mut words = Self { all, tables: Vec::new() };
        for place in 0..32 {
            let asks = |(_, rule): &(u64, &FilterRule)| byte_range(rule, place).is_some();
            if rules.iter().any(asks) {
                let table = byte_words(rules, place);
                words.tables.push(AddressByteWords { place: usize::from(place), words: table });
            }
        }
        words
    }

    /// Memory in bytes, without this struct itself.
    pub(super) const fn memory(&self) -> usize {
        size_of::<AddressByteWords>() * self.tables.len()
    }

    #[inline]
    pub(super) fn word(&self, key: &FlowKey) -> u64 {
        let mut matches = self.all;
        for table in &self.tables {
            // The index is below 32; the mask removes the bounds check.
            let byte = key.addresses.get(table.place & 31).copied().unwrap_or_default();
            matches &= at(&table.words, byte);
        }
        matches
    }
}

fn byte_words(rules: &[(u64, &FilterRule)], place: u8) -> ByteWords {
    let mut table = [0; 256];
    for (bit, rule) in rules {
        let (low, high) = byte_range(rule, place).unwrap_or((0, 255));
        for word in table.iter_mut().take(usize::from(high) + 1).skip(usize::from(low)) {
            *word |= bit;
        }
    }
    table
}

/// The first and last value that the rule's block allows for the address byte at `place`; `None` if
/// all values are allowed.
pub(super) fn byte_range(rule: &FilterRule, place: u8) -> Option<(u8, u8)> {
    let block = if place < 16 { rule.source() } else { rule.destination() };
    block_byte_range(block, place % 16)
}

/// The first and last value that a block allows for the byte at `place` of an address; `None` if
/// all values are allowed.
pub(in crate::dataplane) fn block_byte_range(block: CidrBlock, place: u8) -> Option<(u8, u8)> {
    let fixed_bits = block.prefix_len().saturating_sub(place * 8).min(8);
    if fixed_bits == 0 {
        return None;
    }
    let low = octet(block, place);
    let free = u8::MAX.checked_shr(u32::from(fixed_bits)).unwrap_or(0);
    Some((low, low | free))
}

fn octet(block: CidrBlock, place: u8) -> u8 {
    let place = usize::from(place);
    let octet = match block.network() {
        IpAddr::V4(v4) => v4.octets().get(place).copied(),
        IpAddr::V6(v6) => v6.octets().get(place).copied(),
    };
    octet.unwrap_or_default()
}

/// Words for the protocol, and one word for packets whose protocol is unknown.
#[derive(Debug)]
pub(super) struct ProtocolWords {
    table: Box<ByteWords>,
    unknown: u64,
}

impl ProtocolWords {
    pub(super) fn new(rules: &[(u64, &FilterRule)]) -> Self {
        let mut words = Self { table: Box::new([0; 256]), unknown: 0 };
        for (bit, rule) in rules {
            if rule.protocol().is_none() {
                words.unknown |= bit;
            }
            for (number, word) in (0..=u8::MAX).zip(words.table.iter_mut()) {
                if rule.protocol().is_none_or(|wanted| wanted.0 == number) {
                    *word |= bit;
                }
            }
        }
        words
    }

    /// Memory in bytes, without this struct itself.
    pub(super) const fn memory(&self) -> usize {
        size_of::<ByteWords>()
    }

    #[inline]
    pub(super) fn word(&self, key: &FlowKey) -> u64 {
        self.table.get(usize::from(key.protocol)).copied().unwrap_or(self.unknown)
    }
}

/// Words for ports: each port has a class, found by page, and all ports of a class share a word.
#[derive(Debug)]
pub(super) struct PortWords {
    /// By the high byte of a port: the page for its low byte.
    pages: Box<[u16; 256]>,
    /// By page and low byte of a port: its class. Equal pages are stored once.
    classes: Vec<[u8; 256]>,
    /// By class: the rules that allow it.
    words: Box<ByteWords>,
    /// The rules without ports.
    without: u64,
}

impl PortWords {
    /// `None` if no rule restricts these ports.
    pub(super) fn new(
        rules: &[(u64, &FilterRule)],
        ports: impl Fn(&FilterRule) -> Option<PortRange>,
    ) -> Option<Self> {
        let ranges: Vec<(u64, Option<PortRange>)> =
            rules.iter().map(|(bit, rule)| (*bit, ports(rule))).collect();
        ranges.iter().any(|(_, range)| range.is_some()).then(|| Self::of_ranges(&ranges))
    }

    fn of_ranges(ranges: &[(u64, Option<PortRange>)]) -> Self {
        let without = ranges.iter().filter(|(_, range)| range.is_none()).map(|(bit, _)| bit).sum();
        let mut these = Self {
            pages: Box::new([0; 256]),
            classes: Vec::new(),
            words: Box::new([0; 256]),
            without,
        };
        // At most 63 rules divide the ports into at most 127 intervals, so there are at most 127
        // classes.
        let mut known: Vec<u64> = Vec::new();
        for (high, page_of) in (0..=u8::MAX).zip(these.pages.iter_mut()) {
            let first = u16::from_be_bytes([high, 0]);
            let mut page = [0; 256];
            if is_cut(ranges, first) {
                for (low, class) in (0..=u8::MAX).zip(page.iter_mut()) {
                    *class = class_of(allowed(ranges, first | u16::from(low)), &mut known);
                }
            } else {
                page.fill(class_of(allowed(ranges, first), &mut known));
            }
            let place = these.classes.iter().position(|old| *old == page).unwrap_or_else(|| {
                these.classes.push(page);
                these.classes.len() - 1
            });
            *page_of = u16::try_from(place).unwrap_or_default();
        }
        for (word, known) in these.words.iter_mut().zip(known) {
            *word = known;
        }
        these
    }

    /// Memory in bytes, without this struct itself.
    pub(super) const fn memory(&self) -> usize {
        512 + 256 * self.classes.len() + size_of::<ByteWords>()
    }

    #[inline]
    pub(super) fn word(&self, has_ports: bool, port: u16) -> u64 {
        if !has_ports {
            return self.without;
        }
        let [high, low] = port.to_be_bytes();
        let page = usize::from(self.pages.get(usize::from(high)).copied().unwrap_or_default());
        let class = self.classes.get(page).map_or(0, |page| byte_at(page, low));
        at(&self.words, class)
    }
}

/// Whether some range begins or ends within the 256 ports from `first` on.
fn is_cut(ranges: &[(u64, Option<PortRange>)], first: u16) -> bool {
    let last = first | 0x00ff;
    let holds = |port: u16| (first..=last).contains(&port);
    let mut ranges = ranges.iter().filter_map(|(_, range)| *range);
    ranges.any(|range| holds(range.from_port()) || holds(range.to_port()))
}

fn allowed(ranges: &[(u64, Option<PortRange>)], port: u16) -> u64 {
    let allows = |range: Option<PortRange>| range.is_none_or(|range| range.contains(port));
    ranges.iter().filter(|(_, range)| allows(*range)).map(|(bit, _)| bit).sum()
}

fn class_of(word: u64, known: &mut Vec<u64>) -> u8 {
    // Neighbouring ports usually share a class: search the newest first.
    let place = known.iter().rposition(|old| *old == word).unwrap_or_else(|| {
        known.push(word);
        known.len() - 1
    });
    u8::try_from(place).unwrap_or(u8::MAX)
}

#[inline]
fn at(table: &ByteWords, byte: u8) -> u64 {
    table.get(usize::from(byte)).copied().unwrap_or_default()
}

#[inline]
fn byte_at(page: &[u8; 256], low: u8) -> u8 {
    page.get(usize::from(low)).copied().unwrap_or_default()
}
