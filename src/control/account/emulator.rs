//! What another emulator of AWS, in front of which this program runs, determines for an account.

use std::sync::Arc;

/// What the other emulator determines.
#[derive(Debug, Clone, Default)]
pub(super) struct Emulator {
    /// The account id that is shown instead of the account's own.
    pub(super) shown_owner: Option<Arc<str>>,
    /// Whether the program runs in front of another emulator.
    pub(super) is_present: bool,
}
