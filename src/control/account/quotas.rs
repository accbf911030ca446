//! How much an account may have.

/// The quotas of Traffic Mirroring, "none adjustable" at AWS; here they are settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Sessions of an account.
    pub sessions: usize,
    /// Sessions of one network interface.
    pub sessions_per_interface: usize,
    /// Targets of an account.
    pub targets: usize,
    /// Filters of an account.
    pub filters: usize,
    /// Rules of one filter, both directions together.
    pub rules_per_filter: usize,
    /// Distinct source interfaces of a target that is itself a network interface.
    pub sources_per_target: usize,
}

impl Default for Quotas {
    /// AWS's own, of the user guide of August 2025.
    fn default() -> Self {
        Self {
            sessions: 10_000,
            sessions_per_interface: 3,
            targets: 10_000,
            filters: 10_000,
            rules_per_filter: 10,
            sources_per_target: 10,
        }
    }
}
