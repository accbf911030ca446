//! Tables in which two classes cross, and the plan by which all fields come to one answer.

use super::end::End;
use super::field::{Field, FieldClasses};
use super::interner::ClassSets;
use super::service::Service;
use super::{Classes, First};
use crate::dataplane::rules::list::RuleList;

/// In a cell of the last table: no rule.
pub(super) const NO_RULE: u16 = u16::MAX;

/// How many words of rule sets are joined for one table at the most: it bounds the time.
const MOST_WORDS_JOINED: usize = 96 << 20;

/// A table with a row for each class of one kind and a column for each of another.
#[derive(Debug)]
pub(super) struct Cross {
    columns: usize,
    cells: Vec<u16>,
}

impl Cross {
    /// The class in which two cross.
    #[inline(always)]
    pub(super) fn cell(&self, row: u16, column: u16) -> u16 {
        let place = usize::from(row) * self.columns + usize::from(column);
        self.cells.get(place).copied().unwrap_or(NO_RULE)
    }

    /// In bytes.
    pub(super) const fn memory(&self) -> usize {
        2 * self.cells.len()
    }
}

/// Tables on their way to one answer.
pub(super) struct Plan<'a> {
    list: &'a RuleList<'a>,
    bytes_left: usize,
}

impl<'a> Plan<'a> {
    /// Builds all tables; nothing where that takes too much.
    pub(super) fn carry_out(list: &'a RuleList<'a>, most_bytes: usize) -> Option<Classes> {
        if list.len() >= usize::from(NO_RULE) {
            return None;
        }
        let mut plan = Self { list, bytes_left: most_bytes };
        let (source, sources) = End::new(&mut plan, false)?;
        let (destination, destinations) = End::new(&mut plan, true)?;
        let (service, services) = Service::new(&mut plan)?;
        let orders = [
            (First::Ends, &sources, &destinations, &services),
            (First::SourceAndService, &sources, &services, &destinations),
            (First::DestinationAndService, &destinations, &services, &sources),
        ];
        // Those two of three first that leave the least memory taken in the end.
        let tries = orders.into_iter().filter_map(|(first, left, right, last)| {
            let (both, sets) = cross(left, right, plan.bytes_left)?;
            let cost = both.cells.len() + sets.len() * last.len();
            Some((cost, first, both, sets, last))
        });
        let (_, first, both, sets, last) = tries.min_by_key(|(cost, ..)| *cost)?;
        plan.take(both.memory())?;
        let answers = plan.answers(&sets, last)?;
        Some(Classes { source, destination, service, first, both, answers })
    }

    /// The classes of a field.
    pub(super) fn field(&mut self, field: Field) -> Option<(FieldClasses, ClassSets)> {
        let (classes, sets) = FieldClasses::new(field, self.list)?;
        self.take(classes.memory())?;
        Some((classes, sets))
    }

    /// The table in which two cross.
    pub(super) fn cross(
        &mut self,
        left: &ClassSets,
        right: &ClassSets,
    ) -> Option<(Cross, ClassSets)> {
        let (cross, sets) = cross(left, right, self.bytes_left)?;
        self.take(cross.memory())?;
        Some((cross, sets))
    }

    /// Takes of what memory there is.
    pub(super) fn take(&mut self, bytes: usize) -> Option<()> {
        self.bytes_left = self.bytes_left.checked_sub(bytes)?;
        Some(())
    }

    fn answers(&self, left: &ClassSets, right: &ClassSets) -> Option<Cross> {
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
        Some(Cross { columns: right.len(), cells: answers })
    }
}

/// A table, and what its classes are; nothing where it takes too much.
fn cross(left: &ClassSets, right: &ClassSets, most_bytes: usize) -> Option<(Cross, ClassSets)> {
    let cells = left.len() * right.len();
    if 2 * cells > most_bytes || cells * left.words() > MOST_WORDS_JOINED {
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
    Some((Cross { columns: right.len(), cells: table }, sets))
}

/// The places of the bits that are set, ascending.
fn bits(words: impl Iterator<Item = u64>) -> impl Iterator<Item = usize> {
    (0..).zip(words).flat_map(|(at, mut word): (usize, u64)| {
        std::iter::from_fn(move || {
            let bit = usize::try_from(word.trailing_zeros()).ok().filter(|_| word != 0)?;
            word &= word - 1;
            Some(at * 64 + bit)
        })
    })
}
