//! Tables in which two classes cross, and the plan by which all fields come to one answer.

use super::WIDTH;
use super::field::{Field, FieldClasses};
use super::interner::ClassSets;
use crate::dataplane::rules::list::RuleList;

/// In a cell of the last table: no rule.
pub(super) const NO_RULE: u16 = u16::MAX;

/// How many words of rule sets are joined for one table at the most: it bounds the time.
const MOST_WORDS_JOINED: usize = 96 << 20;

/// A table with a row for each class of one kind and a column for each of another.
#[derive(Debug)]
pub(super) struct Cross {
    left: usize,
    right: usize,
    columns: usize,
    cells: Vec<u16>,
}

impl Cross {
    #[inline]
    pub(super) fn look_up(&self, slots: &[[u16; WIDTH]], out: &mut [u16]) {
        let (Some(left), Some(right)) = (slots.get(self.left), slots.get(self.right)) else {
            return;
        };
        for ((cell, row), column) in out.iter_mut().zip(left).zip(right) {
            *cell = self.cell(*row, *column);
        }
    }

    /// The class in which two cross.
    #[inline(always)]
    pub(super) fn cell(&self, row: u16, column: u16) -> u16 {
        let place = usize::from(row) * self.columns + usize::from(column);
        self.cells.get(place).copied().unwrap_or(NO_RULE)
    }

    /// Whose classes are the rows: the place of that field or table among all.
    pub(super) const fn left(&self) -> usize {
        self.left
    }

    /// Whose the columns are.
    pub(super) const fn right(&self) -> usize {
        self.right
    }

    /// In bytes.
    pub(super) const fn memory(&self) -> usize {
        2 * self.cells.len()
    }
}

/// Classes that a packet has, and in which row of the slots they are found.
struct Known {
    slot: usize,
    sets: ClassSets,
}

/// Tables on their way to one answer.
pub(super) struct Plan {
    fields: Vec<FieldClasses>,
    crosses: Vec<Cross>,
    bytes_left: usize,
}

impl Plan {
    /// Builds all tables; nothing where that takes too much. The fields, the tables in the order
    /// in which they are looked up, and the last one.
    pub(super) fn carry_out(
        list: &RuleList<'_>,
        is_ipv4: bool,
        most_bytes: usize,
    ) -> Option<(Vec<FieldClasses>, Vec<Cross>, Cross)> {
        if list.len() >= usize::from(NO_RULE) {
            return None;
        }
        let mut plan = Self { fields: vec![], crosses: vec![], bytes_left: most_bytes };
        let mut groups: [Vec<Known>; 3] = Default::default();
        for field in Field::all(is_ipv4) {
            let (classes, sets) = FieldClasses::new(field, list)?;
            let [source, destination, service] = &mut groups;
            let group = match field {
                Field::Address(0..8) => source,
                Field::Address(_) => destination,
                _ => service,
            };
            // All seven of IPv4, so that their tables always stand in the same order; of IPv6 two
            // at least, however little they tell.
            let is_needed = is_ipv4 || matches!(field, Field::Address(0) | Field::Protocol);
            if sets.len() > 1 || is_needed {
                plan.bytes_left = plan.bytes_left.checked_sub(classes.memory())?;
                group.push(Known { slot: plan.fields.len(), sets });
                plan.fields.push(classes);
            }
        }
        let joined = groups.into_iter().filter(|group| !group.is_empty());
        let joined: Vec<Known> = joined.map(|group| plan.join_all(group)).collect::<Option<_>>()?;
        let (left, right) = match <[Known; 3]>::try_from(joined) {
            Ok(three) => plan.join_cheapest(three)?,
            Err(two) => <[Known; 2]>::try_from(two).ok()?.into(),
        };
        let answers = plan.answer(list, &left, &right)?;
        Some((plan.fields, plan.crosses, answers))
    }

    fn join_all(&mut self, group: Vec<Known>) -> Option<Known> {
        let mut group = group.into_iter();
        let first = group.next()?;
        group.try_fold(first, |left, right| {
            let (cells, sets) = cross(&left, &right, self.bytes_left)?;
            self.push((&left, &right), cells, sets)
        })
    }

    /// Joins those two of three that leave the least memory taken in the end.
    fn join_cheapest(&mut self, [a, b, c]: [Known; 3]) -> Option<(Known, Known)> {
        let orders = [(&a, &b, &c), (&a, &c, &b), (&b, &c, &a)];
        let tries = (0_usize..).zip(orders).filter_map(|(order, (left, right, last))| {
            let (cells, sets) = cross(left, right, self.bytes_left)?;
            let cost = cells.len() + sets.len() * last.sets.len();
            Some((cost, order, cells, sets))
        });
        let (_, order, cells, sets) = tries.min_by_key(|(cost, order, ..)| (*cost, *order))?;
        let (left, right) = match order {
            0 => (&a, &b),
            1 => (&a, &c),
            _ => (&b, &c),
        };
        let joined = self.push((left, right), cells, sets)?;
        Some((joined, [c, b, a].into_iter().nth(order)?))
    }

    fn push(
        &mut self,
        (left, right): (&Known, &Known),
        cells: Vec<u16>,
        sets: ClassSets,
    ) -> Option<Known> {
        self.bytes_left = self.bytes_left.checked_sub(2 * cells.len())?;
        let slot = self.fields.len() + self.crosses.len();
        self.crosses.push(Cross {
            left: left.slot,
            right: right.slot,
            columns: right.sets.len(),
            cells,
        });
        Some(Known { slot, sets })
    }

    fn answer(&self, list: &RuleList<'_>, left: &Known, right: &Known) -> Option<Cross> {
        let cells = left.sets.len() * right.sets.len();
        if 2 * cells > self.bytes_left {
            return None;
        }
        let mut answers = Vec::with_capacity(cells);
        for row in left.sets.iter() {
            for column in right.sets.iter() {
                let words = row.iter().zip(column).map(|(a, b)| a & b);
                let place = list.first_accept(bits(words));
                answers.push(place.and_then(|place| u16::try_from(place).ok()).unwrap_or(NO_RULE));
            }
        }
        let columns = right.sets.len();
        Some(Cross { left: left.slot, right: right.slot, columns, cells: answers })
    }
}

/// The cells of a table, and what its classes are; nothing where it takes too much.
fn cross(left: &Known, right: &Known, most_bytes: usize) -> Option<(Vec<u16>, ClassSets)> {
    let cells = left.sets.len() * right.sets.len();
    if 2 * cells > most_bytes || cells * left.sets.words() > MOST_WORDS_JOINED {
        return None;
    }
    let mut sets = left.sets.empty();
    let mut table = Vec::with_capacity(cells);
    let mut joined = vec![0; left.sets.words()];
    let nothing = sets.class_of(&joined)?;
    for row in left.sets.iter() {
        let is_asked: Vec<usize> =
            (0..).zip(row).filter(|(_, w)| **w != 0).map(|(i, _)| i).collect();
        joined.fill(0);
        for column in right.sets.iter() {
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
    Some((table, sets))
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
