//! Tables that combine two classes into one, and their builder, which limits memory and time.

use super::field::{Field, FieldClasses};
use super::interner::ClassSets;
use crate::dataplane::rules::list::RuleList;

/// The number of packets that are looked up together.
pub(super) const BATCH_LEN: usize = 64;

/// A class for each packet of a batch.
pub(super) type Row = [u16; BATCH_LEN];

/// Value of a cell of the last table: no session accepts.
pub(super) const NO_RULE: u16 = u16::MAX;

/// The largest number of 64-bit words of rule sets that are joined for one table. It limits the
/// time to build the tables before the last one; the last one is limited only by memory.
const MAX_WORDS_JOINED: usize = 96 << 20;

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
        let (cross, sets) = self.try_cross(left, right)?;
        self.reserve(cross.memory())?;
        Some((cross, sets))
    }

    /// The same, without reserving the memory of the table.
    pub(super) fn try_cross(
        &self,
        left: &ClassSets,
        right: &ClassSets,
    ) -> Option<(CrossTable, ClassSets)> {
        cross(left, right, self.bytes_left)
    }

    /// Reserves memory; `None` if too little is left.
    pub(super) fn reserve(&mut self, bytes: usize) -> Option<()> {
        self.bytes_left = self.bytes_left.checked_sub(bytes)?;
        Some(())
    }

    /// The last table: each cell is the index of the rule that decides, or [`NO_RULE`].
    pub(super) fn answers(&self, left: &ClassSets, right: &ClassSets) -> Option<CrossTable> {
        let cells = left.len() * right.len();
        if 2 * cells > self.bytes_left {
            return None;
        }
        let mut answers = Vec::with_capacity(cells);
        for row in left.iter() {
            for column in right.iter() {
                let words = row.iter().zip(column).map(|(a, b)| a & b);
                let place = self.list.first_accept(bits(words));
                answers.push(place.and_then(|place| u16::try_from(place).ok()).unwrap_or(NO_RULE));
            }
        }
        Some(CrossTable { columns: right.len(), cells: answers })
    }
}

/// A table, and the rule sets of its classes; `None` if it exceeds the limits of memory or time.
fn cross(left: &ClassSets, right: &ClassSets, max_bytes: usize) -> Option<(CrossTable, ClassSets)> {
    let cells = left.len() * right.len();
    if 2 * cells > max_bytes || cells * left.words() > MAX_WORDS_JOINED {
        return None;
    }
    let mut sets = left.empty();
    let mut table = Vec::with_capacity(cells);
    let mut joined = vec![0; left.words()];
    let nothing = sets.class_of(&joined)?;
    for row in left.iter() {
        let is_asked: Vec<usize> =
            (0..).zip(row).filter(|(_, w)| **w != 0).map(|(i, _)| i).collect();
        joined.fill(0);
        for column in right.iter() {
            let mut any = 0;
            for place in &is_asked {
                if let (Some(to), Some(a), Some(b)) =
                    (joined.get_mut(*place), row.get(*place), column.get(*place))
                {
                    *to = a & b;
                    any |= *to;
                }
            }
            table.push(if any == 0 { nothing } else { sets.class_of(&joined)? });
        }
    }
    Some((CrossTable { columns: right.len(), cells: table }, sets))
}

/// The indices of the set bits, ascending.
fn bits(words: impl Iterator<Item = u64>) -> impl Iterator<Item = usize> {
    (0..).zip(words).flat_map(|(at, mut word): (usize, u64)| {
        std::iter::from_fn(move || {
            let bit = usize::try_from(word.trailing_zeros()).ok().filter(|_| word != 0)?;
            word &= word - 1;
            Some(at * 64 + bit)
        })
    })
}
