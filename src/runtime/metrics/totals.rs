//! The metric families of the whole run: received, not mirrored and dropped frames, and the run.

use super::family::MetricFamily;
use crate::dataplane::{Counters, DropCause, NotMirrored};
use crate::runtime::snapshot::Snapshot;

pub(super) fn families(snapshot: &Snapshot, total: &Counters) -> Vec<MetricFamily> {
    let mut families = vec![
        MetricFamily::counter(
            "traffic_mirror_received",
            "Pairs of a frame and an interface that it belongs to: mirrored (also by retired \
             sessions), not mirrored or dropped.",
        )
        .with_sample(Vec::new(), total.received),
        MetricFamily::counter("traffic_mirror_frames", "Frames that the workers evaluated.")
            .with_sample(Vec::new(), total.frames),
        not_mirrored(total),
        dropped(total),
    ];
    families.extend(impaired(snapshot));
    families.extend(retired(total));
    families.extend(run(snapshot));
    families
}

fn not_mirrored(total: &Counters) -> MetricFamily {
    let mut family = MetricFamily::counter(
        "traffic_mirror_not_mirrored",
        "Frames that no session mirrors, by reason.",
    );
    for reason in NotMirrored::ALL {
        let labels = vec![("reason", reason.label().to_owned())];
        family.add(labels, total.not_mirrored(reason));
    }
    family
}

fn dropped(total: &Counters) -> MetricFamily {
    let mut family = MetricFamily::counter(
        "traffic_mirror_dropped",
        "Copies and frames that were lost, by cause.",
    );
    for cause in DropCause::ALL {
        family.add(vec![("cause", cause.label().to_owned())], total.dropped(cause));
    }
    family
}

/// None without fault injection.
fn impaired(snapshot: &Snapshot) -> Option<MetricFamily> {
    let workers = snapshot.workers.iter().filter_map(|worker| worker.impaired);
    let sum = workers.reduce(|mut sum, one| {
        sum.add(&one);
        sum
    })?;
    let mut family = MetricFamily::counter(
        "traffic_mirror_impaired",
        "Mirrored copies that fault injection (--impair) lost, duplicated, reordered or corrupted; \
         not_sent: duplicates and late copies that could not be sent.",
    );
    for (name, count) in sum.by_name() {
        family.add(vec![("fault", name.to_owned())], count);
    }
    Some(family)
}

fn retired(total: &Counters) -> [MetricFamily; 4] {
    let retired = total.retired();
    [
        MetricFamily::counter(
            "traffic_mirror_retired_mirrored_packets",
            "Copies of sessions that are no longer configured.",
        )
        .with_sample(Vec::new(), retired.mirrored),
        MetricFamily::counter(
            "traffic_mirror_retired_mirrored_bytes",
            "Bytes of the copies of sessions that are no longer configured.",
        )
        .with_sample(Vec::new(), retired.mirrored_bytes),
        MetricFamily::counter(
            "traffic_mirror_retired_truncated_packets",
            "Copies shorter than their frame, of sessions that are no longer configured.",
        )
        .with_sample(Vec::new(), retired.truncated),
        MetricFamily::counter(
            "traffic_mirror_retired_truncated_to_mtu_packets",
            "Copies truncated to the MTU of the path to the target, of sessions that are no longer \
             configured.",
        )
        .with_sample(Vec::new(), retired.truncated_to_mtu),
    ]
}

fn run(snapshot: &Snapshot) -> [MetricFamily; 3] {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    [
        MetricFamily::gauge("traffic_mirror_build_info", "The running version; always 1.")
            .with_sample(vec![("version", version)], 1),
        MetricFamily::counter(
            "traffic_mirror_config_reloads",
            "Number of times that the configuration was replaced.",
        )
        .with_sample(Vec::new(), snapshot.reloads),
        MetricFamily::counter(
            "traffic_mirror_config_reload_failures",
            "Number of times that a new configuration was rejected.",
        )
        .with_sample(Vec::new(), snapshot.reload_failures),
    ]
}
