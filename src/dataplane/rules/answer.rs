//! The answer of an engine.

use super::list::NO_MATCH;

/// The answer of a rule set for one packet: a rule that accepts it, or none.
/// [`RuleSet::session_match`](super::RuleSet::session_match) converts it to a session and a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Answer(u32);

impl Answer {
    /// No session accepts the packet.
    pub const NONE: Self = Self(NO_MATCH);

    /// The rule at an index of the list; [`NO_MATCH`] gives [`Answer::NONE`].
    #[inline(always)]
    pub(super) const fn new(place: u32) -> Self {
        Self(place)
    }

    /// The index of the rule in the list; [`NO_MATCH`] if there is none.
    #[inline(always)]
    pub(super) const fn place(self) -> u32 {
        self.0
    }
}
