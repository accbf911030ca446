//! The metric families by target and by ring.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use super::family::{Labels, MetricFamily};
use crate::dataplane::{CompiledTarget, MirrorTable};
use crate::io::udp::TargetReport;
use crate::runtime::snapshot::{Snapshot, WorkerSnapshot};

/// The families by target. The counts come from the sockets and not from the sessions: the counts
/// of a session whose target changes would otherwise move to the new target, and a counter would
/// jump.
pub(super) fn targets(snapshot: &Snapshot) -> [MetricFamily; 4] {
    let mut families = [
        MetricFamily::counter(
            "traffic_mirror_target_sent_packets",
            "Copies that were sent, by target.",
        ),
        MetricFamily::counter(
            "traffic_mirror_target_sent_bytes",
            "Bytes of the copies that were sent, after truncation and without encapsulation, by target.",
        ),
        MetricFamily::counter(
            "traffic_mirror_target_refused",
            "ICMP port unreachable errors (no program listens on the port), by target.",
        ),
        MetricFamily::counter("traffic_mirror_target_unreachable", "Other ICMP errors, by target."),
    ];
    let targets = snapshot.interfaces.iter().flat_map(|one| one.table.targets());
    let known = targets.flat_map(|target| {
        let addresses = target.addresses().map(|address| target_labels(target, address));
        addresses.map(|labels| (labels, [0; 4])).collect::<Vec<_>>()
    });
    let by_address = targets_by_address(snapshot);
    let reports = snapshot
        .workers
        .iter()
        .flat_map(|worker| worker.targets.iter().map(|report| (worker.table.as_deref(), report)));
    let reported = reports.map(|(table, one)| {
        let counts = [one.sent, one.sent_bytes, one.refused, one.unreachable];
        (reported_labels(table, &by_address, one), counts)
    });
    for (labels, counts) in known.chain(reported) {
        for (family, count) in families.iter_mut().zip(counts) {
            family.add(labels.clone(), count);
        }
    }
    families
}

/// Whether each target of a session has an address.
pub(super) fn known_addresses(snapshot: &Snapshot) -> MetricFamily {
    let mut family = MetricFamily::gauge(
        "traffic_mirror_target_has_address",
        "Whether the target has an address (1), or has none, so that its copies are dropped as \
         no_target_address (0).",
    );
    let targets = snapshot.interfaces.iter().flat_map(|one| one.table.targets());
    let targets: BTreeMap<_, _> =
        targets.map(|one| (one.id.to_string(), one.address.is_some())).collect();
    for (id, has_address) in targets {
        family.add(vec![("traffic_mirror_target_id", id)], u64::from(has_address));
    }
    family
}

/// The families by device and worker. A worker whose interface is no longer configured keeps its
/// counters, but has no gauges. In the kernel tier only worker 0 has gauges, because the others have
/// no source.
pub(super) fn rings(snapshot: &Snapshot) -> [MetricFamily; 7] {
    let [
        mut frames,
        mut drops,
        mut overtruncated,
        mut unaccounted,
        mut size,
        mut attached,
        mut filtered,
    ] = [
        MetricFamily::counter(
            "traffic_mirror_ring_frames",
            "Frames that the kernel had for the ring.",
        ),
        MetricFamily::counter(
            "traffic_mirror_ring_drops",
            "Frames that the kernel dropped because the ring was full.",
        ),
        MetricFamily::counter(
            "traffic_mirror_ring_overtruncated",
            "Frames that the kernel truncated too early; a super-frame was mirrored as one frame.",
        ),
        MetricFamily::counter(
            "traffic_mirror_ring_unaccounted",
            "Frames that the kernel delivered and that were not counted, or were counted twice: a \
             defect of traffic-mirror.",
        ),
        MetricFamily::gauge("traffic_mirror_ring_size_bytes", "Memory of the ring."),
        MetricFamily::gauge(
            "traffic_mirror_ring_attached",
            "Whether the worker is attached to the device (1) or the device is missing (0).",
        ),
        MetricFamily::gauge(
            "traffic_mirror_ring_filtered",
            "Whether the kernel drops frames that no session can accept, uncounted (1), or none (0).",
        ),
    ];
    for worker in &snapshot.workers {
        frames.add(ring_labels(worker), worker.ring.frames);
        drops.add(ring_labels(worker), worker.ring.drops);
        overtruncated.add(ring_labels(worker), worker.ring.overtruncated);
        unaccounted.add(ring_labels(worker), worker.ring.unaccounted);
    }
    for worker in snapshot.active_workers().filter(|one| snapshot.has_source(one)) {
        size.add(ring_labels(worker), worker.ring.bytes_len);
        attached.add(ring_labels(worker), u64::from(worker.is_attached));
        filtered.add(ring_labels(worker), u64::from(worker.ring.is_filtered));
    }
    [frames, drops, overtruncated, unaccounted, size, attached, filtered]
}

fn target_labels(target: &CompiledTarget, address: SocketAddr) -> Labels {
    vec![("traffic_mirror_target_id", target.id.to_string()), ("address", address.to_string())]
}

/// The targets of all sessions by address; the first if several have the same address.
fn targets_by_address(snapshot: &Snapshot) -> HashMap<SocketAddr, &CompiledTarget> {
    let mut names = HashMap::new();
    for target in snapshot.interfaces.iter().flat_map(|one| one.table.targets()) {
        for address in target.addresses() {
            names.entry(address).or_insert(target);
        }
    }
    names
}

/// The labels of a report. Its target index may belong to an earlier table of the worker, so its
/// address must match too. A target that no session uses any more has only its address as label.
fn reported_labels(
    table: Option<&MirrorTable>,
    by_address: &HashMap<SocketAddr, &CompiledTarget>,
    report: &TargetReport,
) -> Labels {
    let has_address =
        |target: &&CompiledTarget| target.addresses().any(|one| one == report.destination);
    let target = table.and_then(|table| table.target(report.target)).filter(has_address);
    match target.or_else(|| by_address.get(&report.destination).copied()) {
        Some(target) => target_labels(target, report.destination),
        None => vec![
            ("traffic_mirror_target_id", String::new()),
            ("address", report.destination.to_string()),
        ],
    }
}

fn ring_labels(worker: &WorkerSnapshot) -> Labels {
    vec![
        ("network_interface_id", worker.network_interface_id.clone()),
        ("device", worker.device.clone()),
        ("worker", worker.worker.to_string()),
    ]
}
