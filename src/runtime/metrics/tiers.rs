//! The metric families by tier.

use super::family::MetricFamily;
use crate::runtime::snapshot::Snapshot;
use crate::runtime::tier::ActiveTier;

/// The tier of each interface that has a session, and how often it changed.
pub(super) fn families(snapshot: &Snapshot) -> [MetricFamily; 2] {
    let mut tiers = MetricFamily::gauge(
        "traffic_mirror_interface_tier",
        "The tier that mirrors the interface (1), by interface and tier; 0 for the other one.",
    );
    let mut switches = MetricFamily::counter(
        "traffic_mirror_interface_tier_switches",
        "How many times the interface moved to the other tier.",
    );
    for interface in &snapshot.interfaces {
        let labels = || {
            let device = interface.device.clone().unwrap_or_default();
            vec![("network_interface_id", interface.id.clone()), ("device", device)]
        };
        for tier in ActiveTier::ALL {
            let mut labels = labels();
            labels.push(("tier", tier.label().to_owned()));
            tiers.add(labels, u64::from(tier == interface.tier.tier));
        }
        switches.add(labels(), interface.tier.switches);
    }
    [tiers, switches]
}
