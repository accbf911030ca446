//! The tables of the words: for each value of a field, the words of the rules that allow it, as one
//! blob of bytes that is the value of a map.
//!
//! A field has a row for each of its values (of a port: for each class of ports). A row has one
//! word for each *column*: a word of rules of which some restrict the field. A field without
//! columns is neither stored nor read by the program. The numbers of rows are powers of two, so
//! that a mask on the index proves to the verifier that it is within the table; rows of values that
//! do not occur are zero.
//!
//! ```text
//! outcomes   64 numbers of four bytes for each word, by `words::slot`
//! rows       for each field: rows x columns x eight bytes
//! classes    for each port field: the class of each of 65,536 ports, one or two bytes
//! ```

use super::does_not_fit::DoesNotFit;
use super::groups::groups;
use super::layout::key;
use super::outcome::OutcomeList;
use super::ports::{PortBounds, PortClasses, allows};
use super::rule_fields::RuleFields;
use super::words::{Word, words};
use crate::dataplane::rules::block_byte_range;
use crate::dataplane::table::MirrorTable;
use crate::model::Direction;

/// The highest number of rules for one direction and address family, with the exclusions. With it,
/// the tables have less than 4 MiB. Linux 6.18 also accepts the program of 7,800 rules (13,913
/// instructions, 11 MB of tables), but the tables should stay in the caches of the processor.
pub(super) const MAX_RULES: usize = 1_008;

/// The highest row of the protocol. Protocols are 0 to 255, or 256 if unknown.
pub(super) const PROTOCOL_MASK: u16 = 511;

/// The rules of the first interface of a mirror table for one direction and address family.
#[derive(Debug)]
pub(crate) struct WordTables {
    pub(super) words: Vec<Word>,
    pub(super) fields: Vec<Field>,
    bytes: Vec<u8>,
    /// Where the bytes begin in the value of the map.
    start: u32,
}

/// A field that some rules restrict.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) index: RowIndex,
    /// The offset of the first row.
    pub(super) rows: u32,
    /// The indices of the words of each row.
    pub(super) columns: Vec<usize>,
}

/// How the index of a row is read from a flow key.
#[derive(Debug, Clone, Copy)]
pub(super) enum RowIndex {
    /// A byte at an offset in the key.
    Byte(i16),
    /// The protocol.
    Protocol,
    /// The class of a port.
    Port(PortIndex),
}

/// How the class of a port is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct PortIndex {
    /// The offset of the port in the key.
    pub(super) port: i16,
    /// The offset of the classes of the ports in the tables.
    pub(super) classes: u32,
    /// Whether a class has two bytes.
    pub(super) is_wide: bool,
    /// The number of rows minus one.
    pub(super) mask: u16,
}

/// The words of a column, by row.
type Column = Vec<u64>;

impl WordTables {
    /// Translates the rules. Accepting rules are added to `outcomes`, which the programs of an
    /// interface share.
    ///
    /// # Errors
    /// There are more than 1,008 rules, with the exclusions.
    pub(crate) fn new(
        table: &MirrorTable,
        direction: Direction,
        is_ipv4: bool,
        outcomes: &mut OutcomeList,
    ) -> Result<Self, DoesNotFit> {
        let groups = groups(table, direction, is_ipv4, outcomes);
        let rules = groups.iter().map(Vec::len).sum();
        if rules > MAX_RULES {
            return Err(DoesNotFit::Rules { rules, limit: MAX_RULES });
        }
        let mut these =
            Self { words: words(&groups), fields: Vec::new(), bytes: Vec::new(), start: 0 };
        these.add_outcomes();
        for place in 0..32 {
            these.add_rows(RowIndex::Byte(key::SOURCE + i16::from(place)), |word| {
                byte_column(word, place)
            });
        }
        these.add_rows(RowIndex::Protocol, protocol_column);
        these.add_ports(key::SOURCE_PORT, |rule| rule.source_ports);
        these.add_ports(key::DESTINATION_PORT, |rule| rule.destination_ports);
        // A map has at least one byte.
        these.bytes.resize(these.bytes.len().max(8), 0);
        Ok(these)
    }

    /// The only value of the map [`maps::TABLES`](super::layout::maps::TABLES).
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Sets where the bytes begin in the value of the map: a multiple of eight.
    pub(super) const fn move_to(&mut self, start: u32) {
        self.start = start;
    }

    /// The place in the value of the map of an offset in the bytes.
    pub(super) const fn place(&self, offset: u32) -> u32 {
        self.start.saturating_add(offset)
    }

    /// The offset of the outcomes of a word.
    pub(super) fn outcomes_offset(word: usize) -> u32 {
        u32::try_from(word).unwrap_or_default().saturating_mul(64 * 4)
    }

    fn add_outcomes(&mut self) {
        for word in &self.words {
            let mut outcomes = [0_u32; 64];
            for (slot, outcome) in &word.outcomes {
                if let Some(entry) = outcomes.get_mut(*slot) {
                    *entry = outcome.number();
                }
            }
            self.bytes.extend(outcomes.iter().flat_map(|number| number.to_ne_bytes()));
        }
    }

    /// Adds a field with the columns that `column` returns for the words.
    fn add_rows(&mut self, index: RowIndex, column: impl Fn(&Word) -> Option<Column>) {
        let (columns, contents): (Vec<usize>, Vec<Column>) =
            (0..).zip(&self.words).filter_map(|(place, word)| Some((place, column(word)?))).unzip();
        let Some(first) = contents.first() else { return };
        let rows = self.offset();
        for row in 0..first.len().next_power_of_two() {
            let words = contents.iter().map(|column| column.get(row).copied().unwrap_or_default());
            self.bytes.extend(words.flat_map(u64::to_ne_bytes));
        }
        self.fields.push(Field { index, rows, columns });
    }

    fn add_ports(&mut self, port: i16, bounds: impl Fn(&RuleFields) -> PortBounds) {
        let rules = self.words.iter().flat_map(|word| &word.rules);
        let all: Vec<PortBounds> = rules.map(|(_, rule)| bounds(rule)).collect();
        let Some(classes) = PortClasses::new(&all) else { return };
        let ports = &classes.representatives;
        let rows = ports.len().next_power_of_two();
        let mask = u16::try_from(rows - 1).unwrap_or(u16::MAX);
        let is_wide = mask > u16::from(u8::MAX);
        let index = PortIndex { port, classes: self.offset(), is_wide, mask };
        self.bytes.extend(classes.index(is_wide));
        self.add_rows(RowIndex::Port(index), |word| {
            let restricted = word.rules.iter().any(|(_, rule)| bounds(rule).is_some());
            let allowed = |port| word_of(word, |rule| allows(bounds(rule), port));
            restricted.then(|| ports.iter().copied().map(allowed).collect())
        });
    }

    fn offset(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }
}

/// The bits of the rules for which `allows` returns true.
fn word_of(word: &Word, allows: impl Fn(&RuleFields) -> bool) -> u64 {
    let allowing = word.rules.iter().filter(|(_, rule)| allows(rule));
    allowing.fold(0, |bits, (bit, _)| bits | bit)
}

/// The column of the address byte at `place`, 0 to 31; `None` if no rule restricts it.
fn byte_column(word: &Word, place: u8) -> Option<Column> {
    let range = |rule: &RuleFields| {
        let block = if place < 16 { rule.source } else { rule.destination };
        block_byte_range(block, place % 16)
    };
    word.rules.iter().any(|(_, rule)| range(rule).is_some()).then(|| {
        let allowed = |byte| {
            word_of(word, |rule| range(rule).is_none_or(|(low, high)| (low..=high).contains(&byte)))
        };
        (0..=u8::MAX).map(allowed).collect()
    })
}

/// The column of the protocol; `None` if no rule restricts it.
fn protocol_column(word: &Word) -> Option<Column> {
    let allowed = |number: u16| {
        word_of(word, |rule| rule.protocol.is_none_or(|wanted| u16::from(wanted) == number))
    };
    let restricted = word.rules.iter().any(|(_, rule)| rule.protocol.is_some());
    restricted.then(|| (0..=PROTOCOL_MASK).map(allowed).collect())
}
