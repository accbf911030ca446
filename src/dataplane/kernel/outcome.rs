//! The outcomes of a program, numbered.
//!
//! The numbers of [`NotMirrored`] come first, by [`NotMirrored::index`]; then every pair of a
//! session and a rule (or the network service) that can accept a frame.

use crate::dataplane::verdict::{MirrorOutcome, NotMirrored, SessionMatch};

/// The number of an outcome: what the test variant of a program returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KernelOutcome(u32);

impl KernelOutcome {
    /// The outcome with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// What a function returns for a frame that is not mirrored for this reason: one plus its index, so
/// that zero means that there is no reason.
pub(crate) fn reason_code(reason: NotMirrored) -> i32 {
    i32::try_from(reason.index() + 1).unwrap_or_default()
}

/// The outcomes of the programs of one interface.
#[derive(Debug, Clone, Default)]
pub struct OutcomeList {
    accepted: Vec<SessionMatch>,
}

impl OutcomeList {
    /// The number of a frame that is not mirrored.
    #[must_use]
    pub fn not_mirrored(reason: NotMirrored) -> KernelOutcome {
        KernelOutcome(u32::try_from(reason.index()).unwrap_or_default())
    }

    /// Adds an accepting rule or service, and returns its number.
    pub(super) fn add(&mut self, accepted: SessionMatch) -> KernelOutcome {
        let number = NotMirrored::ALL.len() + self.accepted.len();
        self.accepted.push(accepted);
        KernelOutcome(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// The meaning of an outcome; `None` if no program of this list returns it.
    #[must_use]
    pub fn meaning(&self, outcome: KernelOutcome) -> Option<MirrorOutcome> {
        let number = usize::try_from(outcome.0).ok()?;
        if let Some(reason) = NotMirrored::ALL.get(number) {
            return Some(MirrorOutcome::NotMirrored(*reason));
        }
        let accepted = self.accepted.get(number.checked_sub(NotMirrored::ALL.len())?)?;
        Some(MirrorOutcome::Mirrored(*accepted))
    }

    /// The sessions and rules that can accept a frame, in the order of their numbers.
    #[must_use]
    pub fn accepted(&self) -> &[SessionMatch] {
        &self.accepted
    }
}
