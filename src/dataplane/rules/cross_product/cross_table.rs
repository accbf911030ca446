//! Tables that combine two classes into one, and their builder, which limits memory and time.

use super::field::{Field, FieldClasses};
use super::interner::{ClassSets, bits, word_hash};
use crate::dataplane::rules::list::{ListedRule, RuleList};

/// The number of packets that are looked up together.
pub(super) const BATCH_LEN: usize = 64;

/// A class for each packet of a batch.
pub(super) type Row = [u16; BATCH_LEN];

/// Value of a cell of the last table: no session accepts.
pub(super) const NO_RULE: u16 = u16::MAX;

/// The largest number of 64-bit words of rule sets that are joined for one table, which limits the
/// time to build the tables before the last one.
const MAX_WORDS_JOINED: usize = 96 << 20;

/// The largest number of words that are joined and of matches that are examined for the last table,
/// which limits the time to build it.
const MAX_STEPS: usize = 1 << 30;

/// A table with a row for each class of one kind and a column for each class of another.
#[derive(Debug)]
pub(super) struct CrossTable {
    columns: usize,
    cells: Vec<u16>,
}

impl CrossTable {
    /// The cell of two classes.
    #[inline(always)]
    pub(super) fn cell(&self, row: u16, column: u16) -> u16 {
        let place = usize::from(row) * self.columns + usize::from(column);
        self.cells.get(place).copied().unwrap_or(NO_RULE)
    }

    /// The number of cells.
    pub(super) const fn len(&self) -> usize {
        self.cells.len()
    }

    /// Memory in bytes.
    pub(super) const fn memory(&self) -> usize {
        2 * self.cells.len()
    }
}

/// Builds tables within a limit of memory.
pub(super) struct TableBuilder<'a> {
    list: &'a RuleList<'a>,
    bytes_left: usize,
}

impl<'a> TableBuilder<'a> {
    /// A builder with `max_bytes` of memory; `None` if a cell of 16 bits cannot number all rules.
    pub(super) fn new(list: &'a RuleList<'a>, max_bytes: usize) -> Option<Self> {
        (list.len() < usize::from(NO_RULE)).then_some(Self { list, bytes_left: max_bytes })
    }

    /// The rules.
    pub(super) fn rules(&self) -> &'a [ListedRule<'a>] {
        self.list.rules()
    }

    /// The classes of a field.
    pub(super) fn field(&mut self, field: Field) -> Option<(FieldClasses, ClassSets)> {
        let (classes, sets) = FieldClasses::new(field, self.list)?;
        self.reserve(classes.memory())?;
        Some((classes, sets))
    }

    /// The table of two kinds of classes, and the rule sets of its classes.
    pub(super) fn cross(
        &mut self,
        left: &ClassSets,
        right: &ClassSets,
    ) -> Option<(CrossTable, ClassSets)> {
        let (cross, sets) = cross(left, right, self.bytes_left, usize::MAX)?;
        self.reserve(cross.memory())?;
        Some((cross, sets))
    }

    /// The same for the last but one table, without reserving its memory. `last` are the classes of
    /// the last table. `None` if both tables together would have more than `max_cells` cells.
    pub(super) fn cross_before(
        &self,
        last: &ClassSets,
        (left, right): (&ClassSets, &ClassSets),
        max_cells: usize,
    ) -> Option<(CrossTable, ClassSets)> {
        let max_cells = max_cells.min(self.bytes_left / 2);
        let left_for_last = max_cells.checked_sub(left.len().saturating_mul(right.len()))?;
        cross(left, right, self.bytes_left, left_for_last / last.len().max(1))
    }

    /// The memory that is left.
    pub(super) const fn bytes_left(&self) -> usize {
        self.bytes_left
    }

    /// Reserves memory; `None` if too little is left.
    pub(super) fn reserve(&mut self, bytes: usize) -> Option<()> {
        self.bytes_left = self.bytes_left.checked_sub(bytes)?;
        Some(())
    }

    /// The last table: each cell is the index of the rule that decides, or [`NO_RULE`].
    pub(super) fn answers(&self, left: &ClassSets, right: &ClassSets) -> Option<CrossTable> {
        let cells = left.len().saturating_mul(right.len());
        if cells > self.bytes_left / 2 {
            return None;
        }
        let mut answers = Vec::with_capacity(cells);
        // The words of dense columns would take more memory than their sets.
        let sparse =
            |column| Some(nonzero_words(column)).filter(|own| own.len() < left.words() / 4);
        let columns: Vec<_> = right.iter().map(|column| (column, sparse(column))).collect();
        let mut steps: usize = 0;
        for row in left.iter() {
            let of_row = nonzero_words(row);
            for (column, of_column) in &columns {
                // The side with fewer words decides how many are joined.
                let (nonzero, other) = match of_column {
                    Some(of_column) if of_column.len() < of_row.len() => (of_column, row),
                    _ => (&of_row, *column),
                };
                let words = nonzero.iter().filter_map(|(place, word)| {
                    let both = word & other.get(*place)?;
                    (both != 0).then_some((*place, both))
                });
                let matches =
                    words.flat_map(|(place, word)| bits(word).map(move |bit| place * 64 + bit));
                let place = self.list.first_accept(matches.inspect(|_| steps += 1));
                answers.push(place.and_then(|place| u16::try_from(place).ok()).unwrap_or(NO_RULE));
                steps += nonzero.len();
                if steps > MAX_STEPS {
                    return None;
                }
            }
        }
        Some(CrossTable { columns: right.len(), cells: answers })
    }
}

/// A table, and the rule sets of its classes; `None` if it exceeds the limits of memory or time, or
/// has more than `max_classes` classes.
fn cross(
    left: &ClassSets,
    right: &ClassSets,
    max_bytes: usize,
    max_classes: usize,
) -> Option<(CrossTable, ClassSets)> {
    let cells = left.len().saturating_mul(right.len());
    if cells > max_bytes / 2 || cells.saturating_mul(left.words()) > MAX_WORDS_JOINED {
        return None;
    }
    let mut sets = left.empty();
    let mut table = Vec::with_capacity(cells);
    let mut joined = vec![0; left.words()];
    let nothing = sets.class_of(&joined)?;
    for row in left.iter() {
        let nonzero = nonzero_words(row);
        joined.fill(0);
        for column in right.iter() {
            let (mut any, mut sum) = (0, 0_u64);
            for (place, word) in &nonzero {
                if let (Some(to), Some(column)) = (joined.get_mut(*place), column.get(*place)) {
                    *to = word & column;
                    any |= *to;
                    sum = sum.wrapping_add(word_hash(*place, *to));
                }
            }
            table.push(if any == 0 { nothing } else { sets.class_of_hashed(&joined, sum)? });
        }
        if sets.len() > max_classes {
            return None;
        }
    }
    Some((CrossTable { columns: right.len(), cells: table }, sets))
}

/// The words of a row that are not zero, with their places. Most rows have few rules, and all other
/// words are zero in all their cells.
fn nonzero_words(row: &[u64]) -> Vec<(usize, u64)> {
    row.iter().copied().enumerate().filter(|(_, word)| *word != 0).collect()
}
