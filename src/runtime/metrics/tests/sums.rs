//! Checks the equation of the counters with the values in the text.

use super::super::text::{ExpositionFormat, exposition};
use super::exposition_parser::Samples;
use super::{Mirror, after, before, busy};

fn read(mirror: &Mirror) -> Samples {
    Samples::read(&exposition(&mirror.snapshot(), ExpositionFormat::OpenMetrics).unwrap())
}

/// `received = mirrored, of retired sessions too + not mirrored + dropped`
fn assert_sums(samples: &Samples) {
    let outcomes = [
        "traffic_mirror_mirrored_packets_total",
        "traffic_mirror_retired_mirrored_packets_total",
        "traffic_mirror_not_mirrored_total",
        "traffic_mirror_dropped_total",
    ];
    let sum: f64 = outcomes.iter().map(|name| samples.sum(name)).sum();
    assert_eq!(samples.sum("traffic_mirror_received_total"), sum);
}

#[test]
fn received_equals_mirrored_plus_not_mirrored_plus_dropped() {
    for interfaces in [&[0][..], &[0, 0, 1]] {
        let mut mirror = Mirror::new(&before(), interfaces);
        assert_sums(&read(&mirror));
        mirror.run();
        let samples = read(&mirror);
        assert_sums(&samples);
        assert!(samples.sum("traffic_mirror_mirrored_packets_total") > 0.0);
        assert!(samples.sum("traffic_mirror_dropped_total") > 0.0);
        assert!(samples.sum("traffic_mirror_not_mirrored_total") > 0.0);
    }
}

#[test]
fn the_sums_hold_after_a_table_change_and_never_decrease() {
    let mut mirror = Mirror::new(&before(), &[0, 0, 1]);
    mirror.run();
    let old = read(&mirror);
    mirror.change(&after());
    let new = read(&mirror);
    assert_sums(&new);
    let low = [("traffic_mirror_session_id", "tms-low")];
    for what in ["mirrored_packets", "mirrored_bytes", "truncated_packets"] {
        let retired = new.sum(&format!("traffic_mirror_retired_{what}_total"));
        let session = format!("traffic_mirror_{what}_total");
        assert!(retired > 0.0, "{what}");
        assert_eq!(retired, old.sum_where(&session, &low), "{what}");
        assert_eq!(old.sum(&session), new.sum(&session) + retired, "{what}");
    }
    mirror.run();
    let later = read(&mirror);
    assert_sums(&later);
    for name in ["received", "frames", "not_mirrored", "dropped", "retired_mirrored_packets"] {
        let name = format!("traffic_mirror_{name}_total");
        assert!(later.sum(&name) >= old.sum(&name), "{name}");
    }
}

#[test]
fn rules_and_directions_sum_to_the_mirrored_packets() {
    let samples = Samples::read(&exposition(&busy(), ExpositionFormat::OpenMetrics).unwrap());
    let packets = samples.sum("traffic_mirror_mirrored_packets_total");
    assert_eq!(samples.sum("traffic_mirror_rule_mirrored_packets_total"), packets);
    let both = ["NetworkPacketsMirrorIn", "NetworkPacketsMirrorOut"];
    assert_eq!(both.iter().map(|name| samples.sum(name)).sum::<f64>(), packets);
    let bytes: f64 =
        ["NetworkMirrorIn", "NetworkMirrorOut"].map(|name| samples.sum(name)).iter().sum();
    assert_eq!(bytes, samples.sum("traffic_mirror_mirrored_bytes_total"));
    // Frames that were lost in a ring were not evaluated by a filter.
    let skipped = ["NetworkPacketsSkipMirrorIn", "NetworkPacketsSkipMirrorOut"];
    let by_ring = samples.sum("traffic_mirror_ring_drops_total");
    let lost = samples.sum("traffic_mirror_dropped_total") - by_ring;
    assert_eq!(skipped.iter().map(|name| samples.sum(name)).sum::<f64>(), lost);
}

#[test]
fn counters_of_an_earlier_table_do_not_panic() {
    let mut mirror = Mirror::new(&before(), &[0, 1]);
    mirror.run();
    let empty = super::table("");
    for table in [empty, after()] {
        let interfaces = super::interfaces(&table);
        let snapshot = super::Snapshot { interfaces, ..mirror.snapshot() };
        Samples::read(&exposition(&snapshot, ExpositionFormat::OpenMetrics).unwrap());
    }
}
