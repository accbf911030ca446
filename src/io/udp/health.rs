//! Tracks whether targets accept copies, and reports changes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::report::TargetReport;

/// How long in ns no error may be received before a target counts as accepting again. Hosts send an
/// ICMP error at least once per second (`net.ipv4.icmp_ratelimit`).
const QUIET_NS: u64 = 5_000_000_000;

/// The state of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetState {
    /// There is no sign that copies do not arrive.
    #[default]
    Accepting,
    /// ICMP port unreachable was received: no program listens there.
    Refusing,
    /// Another ICMP error was received.
    Unreachable,
    /// This host has no route or neighbour for the target, or the egress device has no carrier.
    NoRoute,
}

impl TargetState {
    /// The label in the live line.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Accepting => "accepting",
            Self::Refusing => "refusing",
            Self::Unreachable => "unreachable",
            Self::NoRoute => "no route",
        }
    }

    fn describe(self, address: SocketAddr) -> String {
        match self {
            Self::Accepting => format!("target {address} accepts copies again"),
            Self::Refusing => format!(
                "target {address} refuses copies: no program listens on that port (ICMP port \
                 unreachable)"
            ),
            Self::Unreachable => {
                format!("target {address} is unreachable: received an ICMP error")
            }
            Self::NoRoute => {
                format!(
                    "target {address} is unreachable: this host has no route or neighbour for it, \
                     or the device has no carrier"
                )
            }
        }
    }
}

/// The summed counters of all reports of one address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    sent: u64,
    no_route: u64,
    refused: u64,
    unreachable: u64,
}

#[derive(Debug, Default)]
struct TrackedTarget {
    previous: Totals,
    state: TargetState,
    /// When the last error was received, and how many copies had been sent by then.
    error_ns: u64,
    error_sent: u64,
}

/// A target whose state has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthChange {
    /// The new state.
    pub state: TargetState,
    /// A sentence that describes it.
    pub sentence: String,
}

/// The state of every target, derived from its errors.
#[derive(Debug, Default)]
pub struct TargetHealth {
    targets: BTreeMap<SocketAddr, TrackedTarget>,
}

impl TargetHealth {
    /// Compares reports with those of the last call. Returns the changes of the targets that are
    /// configured. A target that is not configured is no longer failing, and its errors are
    /// ignored: they concern copies that were sent before it was removed.
    pub fn observe(
        &mut self,
        reports: &[TargetReport],
        now_ns: u64,
        is_configured: impl Fn(&SocketAddr) -> bool,
    ) -> Vec<HealthChange> {
        let mut totals: BTreeMap<SocketAddr, Totals> = BTreeMap::new();
        for report in reports {
            let total = totals.entry(report.destination).or_default();
            total.sent += report.sent;
            total.no_route += report.no_route;
            total.refused += report.refused;
            total.unreachable += report.unreachable;
        }
        let mut changes = Vec::new();
        for (address, total) in totals {
            let tracked = self.targets.entry(address).or_default();
            if !is_configured(&address) {
                *tracked = TrackedTarget { previous: total, ..TrackedTarget::default() };
                continue;
            }
            let before = tracked.state;
            tracked.observe(total, now_ns);
            let state = tracked.state;
            if state != before {
                changes.push(HealthChange { state, sentence: state.describe(address) });
            }
        }
        changes
    }

    /// The targets that do not accept copies.
    pub fn failing(&self) -> impl Iterator<Item = (SocketAddr, TargetState)> {
        let all = self.targets.iter().map(|(address, tracked)| (*address, tracked.state));
        all.filter(|(_, state)| *state != TargetState::Accepting)
    }
}

impl TrackedTarget {
    fn observe(&mut self, now: Totals, now_ns: u64) {
        let previous = std::mem::replace(&mut self.previous, now);
        let error = if now.refused > previous.refused {
            Some(TargetState::Refusing)
        } else if now.no_route > previous.no_route {
            Some(TargetState::NoRoute)
        } else if now.unreachable > previous.unreachable {
            Some(TargetState::Unreachable)
        } else {
            None
        };
        if let Some(state) = error {
            self.state = state;
            (self.error_ns, self.error_sent) = (now_ns, now.sent);
            return;
        }
        let is_quiet = now_ns.saturating_sub(self.error_ns) >= QUIET_NS;
        // The kernel reports a missing route at once; ICMP errors arrive later.
        let is_over = is_quiet || self.state == TargetState::NoRoute;
        if is_over && now.sent > self.error_sent {
            self.state = TargetState::Accepting;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataplane::TargetIndex;

    const SECOND: u64 = 1_000_000_000;

    fn report(sent: u64, refused: u64, no_route: u64) -> TargetReport {
        TargetReport {
            target: TargetIndex::FIRST,
            destination: "192.0.2.1:4789".parse().unwrap(),
            sent,
            sent_bytes: 0,
            no_route,
            refused,
            unreachable: 0,
            device_index: None,
            is_tunnelled: false,
        }
    }

    /// The sentences of the changes of a configured target.
    fn observe(health: &mut TargetHealth, reports: &[TargetReport], now_ns: u64) -> Vec<String> {
        let changes = health.observe(reports, now_ns, |_| true);
        changes.into_iter().map(|change| change.sentence).collect()
    }

    #[test]
    fn the_first_refusal_and_the_recovery_are_reported_once() {
        let mut health = TargetHealth::default();
        assert!(observe(&mut health, &[report(10, 0, 0)], 0).is_empty());
        let messages = observe(&mut health, &[report(20, 1, 0)], SECOND);
        assert!(messages.len() == 1 && messages[0].contains("refuses copies"), "{messages:?}");
        assert_eq!(health.failing().count(), 1);
        assert!(observe(&mut health, &[report(30, 2, 0)], 2 * SECOND).is_empty());
        // No error was received, but the quiet time is not over.
        assert!(observe(&mut health, &[report(40, 2, 0)], 3 * SECOND).is_empty());
        // The quiet time is over, and copies were sent since the last error.
        let messages = observe(&mut health, &[report(40, 2, 0)], 8 * SECOND);
        assert!(messages.len() == 1 && messages[0].contains("again"), "{messages:?}");
        assert_eq!(health.failing().count(), 0);
        assert!(observe(&mut health, &[report(50, 2, 0)], 20 * SECOND).is_empty());
    }

    #[test]
    fn a_target_without_traffic_does_not_recover() {
        let mut health = TargetHealth::default();
        assert_eq!(observe(&mut health, &[report(20, 1, 0)], SECOND).len(), 1);
        assert!(observe(&mut health, &[report(20, 1, 0)], 60 * SECOND).is_empty());
    }

    #[test]
    fn a_restored_route_is_reported_at_once() {
        let mut health = TargetHealth::default();
        let messages = observe(&mut health, &[report(0, 0, 7)], SECOND);
        assert!(messages[0].contains("no route"), "{messages:?}");
        let messages = observe(&mut health, &[report(1, 0, 7)], SECOND + 1);
        assert!(messages[0].contains("again"), "{messages:?}");
    }

    #[test]
    fn a_removed_target_is_not_reported() {
        let mut health = TargetHealth::default();
        assert_eq!(observe(&mut health, &[report(20, 1, 0)], SECOND).len(), 1);
        // Errors about earlier copies arrive after the removal.
        assert_eq!(health.observe(&[report(20, 2, 0)], 2 * SECOND, |_| false), []);
        assert_eq!(health.failing().count(), 0);
        assert_eq!(health.observe(&[report(20, 3, 0)], 60 * SECOND, |_| false), []);
        // It is added again, and accepts copies.
        assert!(observe(&mut health, &[report(30, 3, 0)], 61 * SECOND).is_empty());
    }
}
