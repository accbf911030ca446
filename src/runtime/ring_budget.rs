//! The memory budget of the rings. It is computed and reported before the rings are opened.
//!
//! Every worker of every interface has a ring. By default all rings share a budget: 1/16 of the
//! memory that the process may use, and at most 320 MiB. Each ring gets the same share of it, from
//! 1 MiB to 64 MiB. With a fixed size each ring has that size. In both cases all rings together
//! must take at most half of the memory; otherwise starting fails.
//!
//! Example: a process that may use 4096 MiB has a budget of 256 MiB. 4 rings get 64 MiB each, 100
//! rings about 2.5 MiB each, and 1000 rings 1 MiB each, which exceeds the budget but not half of
//! the memory. 3000 rings are refused.

use std::fmt;

use super::error::Error;
use super::event::Event;
use super::options::{ByteSize, RingSize};
use crate::io::live::{RingOptions, ring_memory_len};
use crate::io::memory_limit::MemoryLimit;

const MIB: usize = 1 << 20;

/// The largest budget of all rings together, in bytes: ten rings get 32 MiB each.
const MAX_BUDGET: usize = 320 * MIB;

/// By default all rings together get 1/16 of the memory.
const BUDGET_DIVISOR: usize = 16;

/// All rings together never get more than 1/2 of the memory.
const MAX_DIVISOR: usize = 2;

/// Rings that are added later get at most 1/4 of the rest of the budget, so that memory is left for
/// further rings.
const LATER_DIVISOR: usize = 4;

/// The memory of all rings.
#[derive(Debug)]
pub(super) struct RingBudget {
    size: RingSize,
    limit: Option<MemoryLimit>,
    /// The number of rings, and their memory in bytes.
    rings: usize,
    allocated: usize,
    /// The size in bytes of the rings that are opened at the start and are already counted.
    reserved_len: Option<usize>,
    /// The number of these rings that are not opened yet.
    reserved_rings: usize,
}

/// When rings are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenPhase {
    /// All at once, when the program starts: they share the budget.
    AtStart,
    /// While others run: they share a part of the rest of the budget.
    Later,
}

impl RingBudget {
    pub(super) const fn new(size: RingSize, limit: Option<MemoryLimit>) -> Self {
        Self { size, limit, rings: 0, allocated: 0, reserved_len: None, reserved_rings: 0 }
    }

    /// The size in bytes of each of `rings` new rings.
    ///
    /// # Errors
    /// All rings together would take more than half of the memory.
    pub(super) fn plan(&self, rings: usize, opened: OpenPhase) -> Result<usize, Error> {
        if let Some(reserved_len) = self.reserved_len
            && self.reserved_rings >= rings
        {
            return Ok(reserved_len);
        }
        let max_total = (self.memory() / MAX_DIVISOR).saturating_sub(self.allocated);
        let (wanted_len, min_len) = match self.size {
            RingSize::Fixed(len) => (len, len),
            RingSize::Auto => (self.share(rings, opened), RingOptions::MIN_RING_LEN),
        };
        let fits = |len| ring_memory_len(len).saturating_mul(rings) <= max_total;
        match (fits(wanted_len), fits(min_len)) {
            (true, _) => Ok(ring_memory_len(wanted_len)),
            (false, true) => Ok(ring_memory_len(max_total / rings.max(1))),
            (false, false) => Err(self.refusal(rings, min_len)),
        }
    }

    /// Reserves memory for the rings that are opened at the start. Until the reservation ends,
    /// the next planned rings are these.
    pub(super) fn reserve(&mut self, rings: usize, len: usize) {
        self.allocate(rings, len);
        (self.reserved_len, self.reserved_rings) = (Some(len), rings);
    }

    /// Ends the reservation: all rings of the start are open.
    pub(super) const fn end_reservation(&mut self) {
        self.reserved_len = None;
    }

    /// Allocates memory for rings of this size. Returns false if they were reserved before.
    pub(super) const fn allocate(&mut self, rings: usize, len: usize) -> bool {
        if self.reserved_len.is_some() && self.reserved_rings >= rings {
            self.reserved_rings -= rings;
            return false;
        }
        self.rings = self.rings.saturating_add(rings);
        self.allocated = self.allocated.saturating_add(rings.saturating_mul(len));
        true
    }

    /// Releases the memory of closed rings.
    pub(super) const fn release(&mut self, rings: usize, len: usize) {
        self.rings = self.rings.saturating_sub(rings);
        self.allocated = self.allocated.saturating_sub(rings.saturating_mul(len));
    }

    /// The event with the memory of the rings, and why they are smaller than the default.
    pub(super) fn event(&self, rings: usize, len: usize) -> Event {
        let is_reduced = self.rings > 0 && !self.reason(len).is_empty();
        Event::RingMemory { sentence: self.statement(rings, len), is_reduced }
    }

    fn statement(&self, rings: usize, len: usize) -> String {
        if self.rings == 0 {
            let budget = DisplaySize(self.budget());
            return format!("ring memory: none yet; at most {budget} for all interfaces together");
        }
        let total = DisplaySize(self.allocated);
        let new = if rings < self.rings { "new " } else { "" };
        let ring_sizes = match rings {
            1 => format!("1 {new}ring of {}", DisplaySize(len)),
            _ => format!("{rings} {new}rings of {} each", DisplaySize(len)),
        };
        format!("ring memory: {ring_sizes}, {total} in total{}", self.reason(len))
    }

    fn reason(&self, len: usize) -> String {
        if self.size != RingSize::Auto || len >= RingOptions::RING_LEN {
            return String::new();
        }
        let (whole, budget) = (DisplaySize(RingOptions::RING_LEN), DisplaySize(self.budget()));
        let memory_share = match &self.limit {
            Some(limit) if self.budget() < MAX_BUDGET => format!(", 1/{BUDGET_DIVISOR} of {limit}"),
            _ => String::new(),
        };
        format!(
            "; rings of {whole} would exceed the budget of {budget} for all rings{memory_share}"
        )
    }

    /// The default size in bytes of each of `rings` new rings.
    fn share(&self, rings: usize, opened: OpenPhase) -> usize {
        let left = self.budget().saturating_sub(self.allocated);
        let parts = match opened {
            OpenPhase::AtStart => rings,
            OpenPhase::Later => rings.max(LATER_DIVISOR),
        };
        (left / parts.max(1)).clamp(RingOptions::MIN_RING_LEN, RingOptions::RING_LEN)
    }

    fn budget(&self) -> usize {
        (self.memory() / BUDGET_DIVISOR).min(MAX_BUDGET)
    }

    /// The memory that the process may use, in bytes; `usize::MAX` if it is unknown.
    fn memory(&self) -> usize {
        let bytes = self.limit.as_ref().map(|limit| limit.bytes);
        bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX)
    }

    fn refusal(&self, rings: usize, len: usize) -> Error {
        let limit = self.limit.as_ref().map(ToString::to_string).unwrap_or_default();
        let needed = DisplaySize(rings.saturating_mul(ring_memory_len(len)));
        let max_total = (self.memory() / MAX_DIVISOR).saturating_sub(self.allocated);
        let fitting = max_total / rings.max(1) / (MIB / 2) * (MIB / 2);
        let besides = match self.allocated {
            0 => String::new(),
            allocated => {
                format!(" besides the {} of the rings that are open", DisplaySize(allocated))
            }
        };
        let (rings_of, need) = if rings == 1 { ("ring of", "needs") } else { ("rings of", "need") };
        let sentence = format!(
            "{rings} {rings_of} {} {need} {needed}{besides}: more than half of {limit}",
            DisplaySize(ring_memory_len(len)),
        );
        let fitting = (fitting >= RingSize::MIN).then_some(ByteSize(fitting));
        Error::RingMemory { sentence, fitting }
    }
}

/// A number of bytes, displayed in MiB with at most one decimal.
struct DisplaySize(usize);

impl fmt::Display for DisplaySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            whole if whole.is_multiple_of(MIB) => write!(f, "{} MiB", whole / MIB),
            part => write!(f, "{}.{} MiB", part / MIB, part % MIB * 10 / MIB),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(size: RingSize, memory_mib: u64) -> RingBudget {
        let limit = MemoryLimit { bytes: memory_mib << 20, cgroup_file: None };
        RingBudget::new(size, Some(limit))
    }

    fn at_start(memory_mib: u64, rings: usize) -> usize {
        budget(RingSize::Auto, memory_mib).plan(rings, OpenPhase::AtStart).unwrap()
    }

    #[test]
    fn rings_share_the_budget() {
        assert_eq!(at_start(24_000, 1), 64 * MIB);
        assert_eq!(at_start(24_000, 5), 64 * MIB);
        assert_eq!(at_start(24_000, 10), 32 * MIB);
        assert_eq!(at_start(24_000, 2_000), MIB);
        assert_eq!(at_start(1_024, 1), 64 * MIB);
        assert_eq!(at_start(512, 1), 32 * MIB);
        assert_eq!(at_start(512, 100), MIB);
        let unlimited = RingBudget::new(RingSize::Auto, None);
        assert_eq!(unlimited.plan(1, OpenPhase::AtStart).unwrap(), 64 * MIB);
    }

    #[test]
    fn many_rings_stay_within_the_budget_or_have_the_minimum_size() {
        for memory in [512, 4_096, 24_000] {
            for rings in 1..300 {
                let budget = budget(RingSize::Auto, memory);
                let Ok(len) = budget.plan(rings, OpenPhase::AtStart) else { continue };
                let min_len = RingOptions::MIN_RING_LEN;
                assert!(len == min_len || len * rings <= budget.budget(), "{memory} {rings}");
                assert!((min_len..=RingOptions::RING_LEN).contains(&len));
            }
        }
    }

    #[test]
    fn rings_added_later_leave_memory_for_further_rings() {
        let mut budget = budget(RingSize::Auto, 4_096);
        let mut lens = Vec::new();
        for _ in 0..40 {
            let len = budget.plan(1, OpenPhase::Later).unwrap();
            budget.allocate(1, len);
            lens.push(len);
        }
        assert_eq!((lens[0], lens[39]), (64 * MIB, MIB));
        assert!(lens.is_sorted_by(|a, b| a >= b));
        lens.iter().for_each(|len| budget.release(1, *len));
        assert_eq!((budget.rings, budget.allocated), (0, 0));
    }

    #[test]
    fn rings_of_more_than_half_of_the_memory_are_refused_with_a_size_that_fits() {
        let fixed = budget(RingSize::Fixed(64 * MIB), 4_096);
        assert_eq!(fixed.plan(32, OpenPhase::AtStart).unwrap(), 64 * MIB);
        let refusal = fixed.plan(33, OpenPhase::AtStart).unwrap_err().to_string();
        assert_eq!(
            refusal,
            "33 rings of 64 MiB need 2112 MiB: more than half of this \
             machine's 4096 MiB of memory; a ring size of 62MiB would fit"
        );
        let refusal = budget(RingSize::Auto, 512).plan(400, OpenPhase::AtStart).unwrap_err();
        let refusal = refusal.to_string();
        assert!(refusal.starts_with("400 rings of 1 MiB need 400 MiB"));
        assert!(refusal.ends_with("; a ring size of 512KiB would fit"), "{refusal}");
        let refusal = budget(RingSize::Auto, 64).plan(200, OpenPhase::AtStart).unwrap_err();
        assert!(refusal.to_string().ends_with("mirror fewer interfaces, or with fewer workers"));
    }

    #[test]
    fn the_statement_has_the_number_size_and_reason() {
        let mut few = budget(RingSize::Auto, 24_000);
        few.allocate(1, 64 * MIB);
        assert_eq!(few.statement(1, 64 * MIB), "ring memory: 1 ring of 64 MiB, 64 MiB in total");
        let mut many = budget(RingSize::Auto, 4_096);
        many.allocate(200, 2 * MIB + MIB / 2);
        assert_eq!(
            many.statement(200, 2 * MIB + MIB / 2),
            "ring memory: 200 rings of 2.5 MiB each, 500 MiB in total; rings of 64 MiB would \
             exceed the budget of 256 MiB for all rings, 1/16 of this machine's 4096 MiB of \
             memory"
        );
        many.allocate(1, 3 * MIB);
        assert!(
            many.statement(1, 3 * MIB).starts_with("ring memory: 1 new ring of 3 MiB, 503 MiB")
        );
        let none = budget(RingSize::Auto, 24_000).statement(0, 0);
        assert_eq!(none, "ring memory: none yet; at most 320 MiB for all interfaces together");
    }
}
