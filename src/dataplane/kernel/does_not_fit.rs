//! Why the kernel tier cannot express a mirror table.

use crate::model::SessionId;

/// Why the kernel tier cannot express a mirror table. Its text is a sentence without a period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DoesNotFit {
    /// A session has what the programs cannot express.
    #[error("session `{session}` (session_number {number}): {reason}")]
    Session {
        /// The session.
        session: SessionId,
        /// Its SessionNumber, because the id may be generated.
        number: u16,
        /// A sentence without a period.
        reason: String,
    },
    /// The sessions of the run have too many target addresses.
    #[error(
        "all sessions have {targets} target addresses: the kernel tier recognises its copies to at \
         most {limit}"
    )]
    Targets {
        /// The number of addresses of all targets.
        targets: usize,
        /// The highest number.
        limit: usize,
    },
    /// There are too many counters for a value of a per-CPU map.
    #[error("its sessions and rules need {counters} counters: the kernel tier has {limit}")]
    Counters {
        /// The number of counters.
        counters: usize,
        /// The highest number.
        limit: usize,
    },
    /// The sessions of an interface have too many rules.
    #[error(
        "the sessions have {rules} rules for one direction and address family, AWS's exclusions \
         included: expected at most {limit}"
    )]
    Rules {
        /// The number of rules of all sessions that can decide, and of the exclusions.
        rules: usize,
        /// The highest number.
        limit: usize,
    },
}
