//! The eight metrics that AWS has for Traffic Mirroring, under AWS's own names.
//!
//! CloudWatch reports the sum of a period. These metrics count from the start of the run;
//! `increase(NetworkMirrorIn[5m])` is the sum of five minutes.

use super::family::MetricFamily;
use crate::dataplane::DirectionCounters;
use crate::model::Direction;
use crate::runtime::snapshot::Snapshot;

pub(super) fn families(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let mut families = Vec::from(ingress());
    families.extend(egress());
    for worker in &snapshot.workers {
        let both = Direction::BOTH.map(|direction| worker.counters.direction(direction));
        for (family, count) in families.iter_mut().zip(both.into_iter().flat_map(counts)) {
            let id = worker.network_interface_id.clone();
            family.add(vec![("network_interface_id", id)], count);
        }
    }
    families
}

fn ingress() -> [MetricFamily; 4] {
    [
        MetricFamily::alias(
            "NetworkMirrorIn",
            "Bytes of inbound traffic that were mirrored, after truncation, without encapsulation.",
        ),
        MetricFamily::alias("NetworkPacketsMirrorIn", "Inbound packets that were mirrored."),
        MetricFamily::alias(
            "NetworkSkipMirrorIn",
            "Bytes of inbound traffic that a session accepted and that were not mirrored.",
        ),
        MetricFamily::alias(
            "NetworkPacketsSkipMirrorIn",
            "Inbound packets that a session accepted and that were not mirrored.",
        ),
    ]
}

fn egress() -> [MetricFamily; 4] {
    [
        MetricFamily::alias(
            "NetworkMirrorOut",
            "Bytes of outbound traffic that were mirrored, after truncation, without \
             encapsulation.",
        ),
        MetricFamily::alias("NetworkPacketsMirrorOut", "Outbound packets that were mirrored."),
        MetricFamily::alias(
            "NetworkSkipMirrorOut",
            "Bytes of outbound traffic that a session accepted and that were not mirrored.",
        ),
        MetricFamily::alias(
            "NetworkPacketsSkipMirrorOut",
            "Outbound packets that a session accepted and that were not mirrored.",
        ),
    ]
}

/// The counts in the order of the families of a direction.
const fn counts(of: DirectionCounters) -> [u64; 4] {
    [of.mirrored_bytes, of.mirrored, of.skipped_bytes, of.skipped]
}
