//! The classes of the values of 64 bits of an IPv6 address.
//!
//! An array with an entry for each value, as for 16 bits, is impossible, and four such arrays for
//! each half of an address are slow. Prefixes divide the values into ranges, which a search tree
//! finds.

use super::class_ranges::class_ranges;
use super::cross_table::{BATCH_LEN, Row};
use super::eight_keys::{CompareKeys, KEYS, KEYS_OF_BLOCK, KeyBlock};
use super::interner::ClassSets;

/// The number of children of an inner block.
const CHILDREN: u32 = KEYS_OF_BLOCK + 1;

/// The values that a rule allows: a range, both bounds included.
pub(super) type WideSpan = (u64, u64);

/// The classes of one field of 64 bits: a search tree for ranges. A block has eight keys. The last
/// value of each range but the last one is a key of a leaf; the first key of each child but the
/// first one is a key of its parent.
#[derive(Debug)]
pub(super) struct WideClasses {
    /// The blocks of each level, from the root to the leaves. Unused keys are [`u64::MAX`]: no
    /// value is greater.
    levels: Vec<Vec<KeyBlock>>,
    /// By the number of keys of all leaves that are less than the value: the class.
    classes: Vec<u16>,
}

impl WideClasses {
    /// The classes of a field, with the rule set of each class. `spans` has the values that each
    /// rule allows. `None` if there are too many classes.
    pub(super) fn new(spans: &[WideSpan]) -> Option<(Self, ClassSets)> {
        let mut sets = ClassSets::new(spans.len());
        let ranges = class_ranges(spans.iter().copied(), u64::MAX, &mut sets)?;
        Some((Self::of_ranges(&ranges), sets))
    }

    fn of_ranges(ranges: &[(u64, u16)]) -> Self {
        let classes = ranges.iter().map(|(_, class)| *class).collect();
        let lasts: Vec<u64> = ranges.iter().skip(1).map(|(first, _)| first - 1).collect();
        let mut level: Vec<KeyBlock> = lasts.chunks(KEYS).map(block).collect();
        let mut lowest: Vec<u64> = lasts.iter().copied().step_by(KEYS).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let parents = lowest.chunks(KEYS + 1).map(|keys| block(keys.get(1..).unwrap_or(&[])));
            let parents = parents.collect();
            levels.push(std::mem::replace(&mut level, parents));
            lowest = lowest.into_iter().step_by(KEYS + 1).collect();
        }
        levels.push(level);
        levels.reverse();
        Self { levels, classes }
    }

    /// Writes the class of each value to `row`. All values descend together, level by level, so
    /// that their reads overlap.
    #[inline(always)]
    pub(super) fn look_up<I: CompareKeys>(&self, isa: I, values: &[u64], row: &mut Row) {
        let Some((leaves, inner)) = self.levels.split_last() else { return };
        let mut places = [0_u32; BATCH_LEN];
        for level in inner {
            for (place, value) in places.iter_mut().zip(values) {
                *place = *place * CHILDREN + keys_below(isa, level, *place, *value);
            }
        }
        for ((class, place), value) in row.iter_mut().zip(places).zip(values) {
            let rank = place * KEYS_OF_BLOCK + keys_below(isa, leaves, place, *value);
            let rank = usize::try_from(rank).unwrap_or(usize::MAX);
            *class = self.classes.get(rank).copied().unwrap_or_default();
        }
    }

    /// The number of blocks that a lookup reads.
    pub(super) const fn depth(&self) -> usize {
        self.levels.len()
    }

    /// Memory in bytes.
    pub(super) fn memory(&self) -> usize {
        let blocks: usize = self.levels.iter().map(|level| size_of_val(&**level)).sum();
        blocks + size_of_val(&*self.classes)
    }
}

/// The number of keys of the block at `place` that are less than `value`.
// No closures here and in the callers: they may be compiled without the vector instructions.
#[inline(always)]
fn keys_below<I: CompareKeys>(isa: I, level: &[KeyBlock], place: u32, value: u64) -> u32 {
    let place = usize::try_from(place).unwrap_or(usize::MAX);
    match level.get(place) {
        Some(block) => isa.count_below(block, value),
        None => 0,
    }
}

/// At most eight keys, and unused keys.
fn block(keys: &[u64]) -> KeyBlock {
    let mut block = KeyBlock([u64::MAX; KEYS]);
    block.0.iter_mut().zip(keys).for_each(|(to, key)| *to = *key);
    block
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::eight_keys::Portable;
    use super::super::interner::flip;
    use super::*;

    /// A prefix of 64 bits, as a range.
    fn prefix(bits: u64, len: u32) -> WideSpan {
        let free = u64::MAX.checked_shr(len).unwrap_or(0);
        (bits & !free, bits | free)
    }

    fn near() -> impl Strategy<Value = u64> {
        let middle = 1_u64 << 62;
        prop_oneof![0..6_u64, u64::MAX - 5..=u64::MAX, middle..middle + 40, any::<u64>()]
    }

    proptest! {
        #[test]
        fn each_value_has_the_class_of_the_rules_that_allow_it(
            rules in prop::collection::vec((near(), 0..=64_u32), 0..200),
            values in prop::collection::vec(near(), 0..50),
        ) {
            let spans: Vec<WideSpan> = rules.iter().map(|rule| prefix(rule.0, rule.1)).collect();
            let (classes, sets) = WideClasses::new(&spans).unwrap();
            let bounds = spans.iter().flat_map(|span| {
                [span.0, span.1, span.0.wrapping_sub(1), span.1.wrapping_add(1)]
            });
            let values: Vec<u64> = values.into_iter().chain(bounds).collect();
            let found = values.chunks(BATCH_LEN).flat_map(|values| {
                let mut row = [0; BATCH_LEN];
                classes.look_up(Portable, values, &mut row);
                row.into_iter().take(values.len())
            });
            for (value, class) in values.iter().copied().zip(found) {
                let mut expected = vec![0; sets.words()];
                for (rule, span) in spans.iter().enumerate() {
                    if (span.0..=span.1).contains(&value) {
                        flip(&mut expected, rule);
                    }
                }
                prop_assert_eq!(sets.iter().nth(class.into()), Some(expected.as_slice()));
            }
        }
    }
}
