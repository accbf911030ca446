//! The copies that wait until others have overtaken them.

use std::collections::BTreeMap;

use super::batch::BatchCopy;

/// Delayed copies, ordered by their release and then by their number.
#[derive(Debug, Default)]
pub(super) struct DelayedCopies(BTreeMap<(u64, u64), BatchCopy>);

impl DelayedCopies {
    /// Holds copy `number` until copy `number + delay` has been handled.
    pub(super) fn hold(&mut self, number: u64, delay: u16, copy: BatchCopy) {
        self.0.insert((number.saturating_add(delay.into()), number), copy);
    }

    /// The next copy whose delay has ended when copy `number` was handled.
    pub(super) fn take_due(&mut self, number: u64) -> Option<BatchCopy> {
        let first = self.0.first_entry()?;
        (first.key().0 <= number).then(|| first.remove())
    }

    /// All copies, in the order of their release.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = BatchCopy> + use<> {
        std::mem::take(&mut self.0).into_values()
    }

    /// Records that the burst of all held copies is over.
    pub(super) fn end_burst(&mut self) {
        self.0.values_mut().for_each(BatchCopy::end_burst);
    }

    /// The copies that are held.
    pub(super) fn iter(&self) -> impl Iterator<Item = &BatchCopy> {
        self.0.values()
    }
}
