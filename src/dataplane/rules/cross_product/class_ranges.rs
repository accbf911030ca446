//! The ranges of the values of a field that have one class.
//!
//! The set of rules that allow a value changes only at values where the range of a rule begins, or
//! just after it ends. Example: a rule with the ports 80-89 changes the set at 80 and at 90.

use super::interner::{ClassSets, flip};

/// The first value of each range, ascending, and its class. `spans` has the first and the last value
/// that each rule allows; `max` is the largest value of the field. `None` if there are too many
/// classes.
pub(super) fn class_ranges(
    spans: impl Iterator<Item = (u64, u64)>,
    max: u64,
    sets: &mut ClassSets,
) -> Option<Vec<(u64, u16)>> {
    let mut changes: Vec<(u64, usize)> = Vec::new();
    for (rule, (low, high)) in spans.enumerate() {
        changes.push((low, rule));
        if high < max {
            changes.push((high + 1, rule));
        }
    }
    changes.sort_unstable();
    let mut now = vec![0; sets.words()];
    let mut ranges: Vec<(u64, u16)> = Vec::new();
    if changes.first().is_none_or(|(first, _)| *first > 0) {
        ranges.push((0, sets.class_of(&now)?));
    }
    for changed in changes.chunk_by(|a, b| a.0 == b.0) {
        let start = changed.first()?.0;
        changed.iter().for_each(|(_, rule)| flip(&mut now, *rule));
        let class = sets.class_of(&now)?;
        if ranges.last().is_none_or(|(_, last)| *last != class) {
            ranges.push((start, class));
        }
    }
    Some(ranges)
}
