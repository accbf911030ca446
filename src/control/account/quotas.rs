//! The quotas of an account.

/// The quotas of Traffic Mirroring, which AWS does not adjust, and of network interfaces. Here the user
/// can set all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Network interfaces that an account created.
    pub network_interfaces: usize,
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
    /// The quotas of AWS, from the user guides of August 2025.
    fn default() -> Self {
        Self {
            network_interfaces: 5_000,
            sessions: 10_000,
            sessions_per_interface: 3,
            targets: 10_000,
            filters: 10_000,
            rules_per_filter: 10,
            sources_per_target: 10,
        }
    }
}

impl Quotas {
    /// The names of the quotas on the command line.
    pub const NAMES: [&str; 7] = [
        "network-interfaces",
        "sessions",
        "sessions-per-interface",
        "targets",
        "filters",
        "rules-per-filter",
        "sources-per-target",
    ];

    /// Sets the quota of this name. Returns false if there is none.
    pub fn set(&mut self, name: &str, limit: usize) -> bool {
        let quota = match name {
            "network-interfaces" => &mut self.network_interfaces,
            "sessions" => &mut self.sessions,
            "sessions-per-interface" => &mut self.sessions_per_interface,
            "targets" => &mut self.targets,
            "filters" => &mut self.filters,
            "rules-per-filter" => &mut self.rules_per_filter,
            "sources-per-target" => &mut self.sources_per_target,
            _ => return false,
        };
        *quota = limit;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quota_name_can_be_set() {
        for name in Quotas::NAMES {
            let mut quotas = Quotas::default();
            assert!(quotas.set(name, 77));
            assert_ne!(quotas, Quotas::default());
        }
        assert!(!Quotas::default().set("colours", 1));
    }
}
