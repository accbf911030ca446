//! The eight metrics that AWS has for Traffic Mirroring, under AWS's own names.
//!
//! CloudWatch gives the sum of a period; here they count from the start of the run, and
//! `increase(NetworkMirrorIn[5m])` is the sum of five minutes.

use super::family::Family;
use crate::dataplane::DirectionCounters;
use crate::model::Direction;
use crate::runtime::snapshot::Snapshot;

pub(super) fn families(snapshot: &Snapshot) -> Vec<Family> {
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

fn ingress() -> [Family; 4] {
    [
        Family::alias(
            "NetworkMirrorIn",
            "Bytes of inbound traffic that were mirrored, after truncation, without encapsulation.",
        ),
        Family::alias("NetworkPacketsMirrorIn", "Inbound packets that were mirrored."),
        Family::alias(
            "NetworkSkipMirrorIn",
            "Bytes of inbound traffic that a session took and that were not mirrored.",
        ),
        Family::alias(
            "NetworkPacketsSkipMirrorIn",
            "Inbound packets that a session took and that were not mirrored.",
        ),
    ]
}

fn egress() -> [Family; 4] {
    [
        Family::alias(
            "NetworkMirrorOut",
            "Bytes of outbound traffic that were mirrored, after truncation, without \
             encapsulation.",
        ),
        Family::alias("NetworkPacketsMirrorOut", "Outbound packets that were mirrored."),
        Family::alias(
            "NetworkSkipMirrorOut",
            "Bytes of outbound traffic that a session took and that were not mirrored.",
        ),
        Family::alias(
            "NetworkPacketsSkipMirrorOut",
            "Outbound packets that a session took and that were not mirrored.",
        ),
    ]
}

/// In the order of the families of a direction.
const fn counts(of: DirectionCounters) -> [u64; 4] {
    [of.mirrored_bytes, of.mirrored, of.skipped_bytes, of.skipped]
}
