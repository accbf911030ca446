//! The counters of fault injection.

use serde::Serialize;

/// What fault injection did to copies. A copy can be duplicated, reordered and corrupted at once.
/// For the counters of a worker, all these copies are mirrored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ImpairmentCounts {
    /// Copies that were not passed on.
    pub lost: u64,
    /// Copies that were passed on twice.
    pub duplicated: u64,
    /// Copies that were delayed so that others could overtake them.
    pub reordered: u64,
    /// Copies with a flipped bit.
    pub corrupted: u64,
    /// Duplicates, and copies delayed beyond their burst, that the sink could not send. The drops
    /// of a worker do not contain them, because it counted their frames before.
    pub not_sent: u64,
}

impl ImpairmentCounts {
    /// The counters with their names in reports and metrics.
    #[must_use]
    pub const fn by_name(&self) -> [(&'static str, u64); 5] {
        [
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("corrupted", self.corrupted),
            ("not_sent", self.not_sent),
        ]
    }

    /// Adds the counts of another sink.
    pub const fn add(&mut self, other: &Self) {
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.corrupted += other.corrupted;
        self.not_sent += other.not_sent;
    }
}
