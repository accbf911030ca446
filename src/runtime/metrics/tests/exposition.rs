//! Checks the contents and the format of the exposition.

use std::collections::BTreeSet;

use super::super::text::{ExpositionFormat, exposition};
use super::exposition_parser::Samples;
use super::{Mirror, after, before, busy, idle, report};
use crate::dataplane::{DropCause, NotMirrored};
use crate::io::impair::ImpairmentCounts;

fn text(snapshot: &super::Snapshot) -> String {
    exposition(snapshot, ExpositionFormat::OpenMetrics).unwrap()
}

#[test]
fn every_reason_and_cause_is_exported_from_the_start() {
    let samples = Samples::read(&text(&idle()));
    for reason in NotMirrored::ALL {
        let labels = [("reason", reason.label())];
        assert_eq!(samples.sum_where("traffic_mirror_not_mirrored_total", &labels), 0.0);
    }
    for cause in DropCause::ALL {
        let labels = [("cause", cause.label())];
        assert_eq!(samples.sum_where("traffic_mirror_dropped_total", &labels), 0.0);
    }
}

#[test]
fn a_session_has_all_its_id_labels() {
    let samples = Samples::read(&text(&busy()));
    let labels = [
        ("traffic_mirror_session_id", "tms-middle"),
        ("session_number", "2"),
        ("virtual_network_id", "1002"),
        ("network_interface_id", "eni-web"),
        ("traffic_mirror_target_id", "tmt-two"),
        ("address", "[2001:db8::53]:4789"),
    ];
    for what in ["mirrored_packets", "mirrored_bytes", "truncated_packets"] {
        assert!(
            samples.sum_where(&format!("traffic_mirror_{what}_total"), &labels) > 0.0,
            "{what}"
        );
    }
    samples.sum_where("traffic_mirror_truncated_to_mtu_packets_total", &labels);
}

#[test]
fn injected_faults_are_exported_only_if_they_were_requested() {
    let mut snapshot = busy();
    assert!(!text(&snapshot).contains("impaired"));
    let counts = ImpairmentCounts { lost: 3, reordered: 2, ..ImpairmentCounts::default() };
    snapshot.workers[0].impaired = Some(counts);
    snapshot.workers[2].impaired = Some(counts);
    let samples = Samples::read(&text(&snapshot));
    for (fault, count) in [("lost", 6.0), ("reordered", 4.0), ("duplicated", 0.0)] {
        let labels = [("fault", fault)];
        assert_eq!(samples.sum_where("traffic_mirror_impaired_total", &labels), count, "{fault}");
    }
}

#[test]
fn rules_are_labelled_by_number_and_id_and_dns_by_its_service_name() {
    let samples = Samples::read(&text(&busy()));
    let name = "traffic_mirror_rule_mirrored_packets_total";
    let session = ("traffic_mirror_session_id", "tms-low");
    for labels in [
        [("traffic_direction", "ingress"), ("traffic_mirror_filter_rule_id", "tmfr-low")],
        [("traffic_direction", "egress"), ("rule_number", "200")],
        [("network_service", "amazon-dns"), ("traffic_mirror_filter_id", "tmf-low")],
    ] {
        assert!(samples.sum_where(name, &[session, labels[0], labels[1]]) > 0.0, "{labels:?}");
    }
    let reject =
        samples.all().iter().filter(|one| one.labels.get("rule_number") == Some(&"300".to_owned()));
    assert_eq!(reject.count(), 0);
}

#[test]
fn a_target_keeps_its_counts_when_its_index_in_the_table_changes() {
    let mut snapshot = idle();
    snapshot.workers[0].targets = vec![report(9, "192.0.2.10:4789"), report(0, "192.0.2.99:4789")];
    snapshot.workers[1].targets = vec![report(0, "192.0.2.10:4789")];
    let samples = Samples::read(&text(&snapshot));
    let name = "traffic_mirror_target_sent_packets_total";
    let sent = |id, address| {
        samples.sum_where(name, &[("traffic_mirror_target_id", id), ("address", address)])
    };
    assert_eq!(sent("tmt-one", "192.0.2.10:4789"), 20.0);
    assert_eq!(sent("tmt-two", "[2001:db8::53]:4789"), 0.0);
    assert_eq!(sent("", "192.0.2.99:4789"), 10.0);
}

#[test]
fn ring_and_process_metrics_are_exported() {
    let samples = Samples::read(&text(&busy()));
    let ring = [("network_interface_id", "eni-web"), ("device", "eth0"), ("worker", "1")];
    assert_eq!(samples.sum_where("traffic_mirror_ring_size_bytes", &ring), 4_194_304.0);
    assert_eq!(samples.sum_where("traffic_mirror_ring_drops_total", &ring), 11.0);
    assert_eq!(samples.sum_where("traffic_mirror_ring_attached", &ring), 1.0);
    assert_eq!(samples.sum("traffic_mirror_uptime_seconds"), 12.5);
    assert_eq!(samples.sum("traffic_mirror_config_reloads_total"), 3.0);
    assert_eq!(samples.sum("traffic_mirror_config_reload_failures_total"), 1.0);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(samples.sum_where("traffic_mirror_build_info", &version), 1.0);
}

#[test]
fn ids_with_special_characters_are_escaped() {
    let escaped = include_str!("before.toml").replace("eni-web", r#"eni \"\\ \n {a=\"b\"} 1"#);
    let mut mirror = Mirror::new(&super::table(&escaped), &[0]);
    mirror.run();
    let samples = Samples::read(&text(&mirror.snapshot()));
    let labels = [("network_interface_id", "eni \"\\ \n {a=\"b\"} 1")];
    assert!(samples.sum_where("traffic_mirror_mirrored_packets_total", &labels) > 0.0);
}

#[test]
fn both_formats_have_the_same_samples_and_follow_their_syntax() {
    let mut mirror = Mirror::new(&before(), &[0, 1]);
    mirror.run();
    mirror.change(&after());
    let open = text(&mirror.snapshot());
    let plain = exposition(&mirror.snapshot(), ExpositionFormat::Plain).unwrap();
    let samples = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(samples(&open), samples(&plain));
    assert!(open.ends_with("\n# EOF\n") && !plain.contains("# EOF"));
    assert!(open.contains("\n# TYPE traffic_mirror_received counter\n"));
    assert!(plain.contains("\n# TYPE traffic_mirror_received_total counter\n"));
    assert!(open.contains("\n# TYPE NetworkMirrorIn unknown\n"));
    assert!(plain.contains("\n# TYPE NetworkMirrorIn untyped\n"));
    // In Prometheus text, samples have the same name as HELP and TYPE.
    let exported_metrics = |word: &str| -> BTreeSet<String> {
        let lines = plain.lines().filter_map(|line| line.strip_prefix(word));
        lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let names: BTreeSet<String> =
        Samples::read(&plain).all().iter().map(|sample| sample.name.clone()).collect();
    assert_eq!(names, exported_metrics("# TYPE "));
    assert_eq!(names, exported_metrics("# HELP "));
}

#[test]
fn a_worker_of_a_removed_interface_keeps_its_counts_and_stays_healthy() {
    let mut snapshot = busy();
    snapshot.workers[2].network_interface_id = "eni-gone".to_owned();
    snapshot.workers[2].is_attached = false;
    snapshot.interfaces.retain(|one| one.id != "eni-db");
    let samples = Samples::read(&text(&snapshot));
    let gone = [("network_interface_id", "eni-gone")];
    assert_eq!(samples.sum_where("traffic_mirror_ring_drops_total", &gone), 11.0);
    assert!(samples.sum_where("NetworkMirrorIn", &gone) > 0.0);
    assert_eq!(samples.sum("traffic_mirror_ring_attached"), 2.0);
    let attached = samples.all().iter().filter(|one| one.name == "traffic_mirror_ring_attached");
    assert_eq!(attached.count(), 2);
    assert_eq!(snapshot.missing(), []);
    snapshot.workers.drain(..2);
    snapshot.interfaces.clear();
    assert!(snapshot.is_attached(), "none is wanted");
}

#[test]
fn only_matched_rules_of_a_long_filter_are_exported() {
    let rule = "{ traffic_direction = \"ingress\", rule_number = NUMBER, rule_action = \"accept\", \
        source_cidr_block = \"0.0.0.0/0\", destination_cidr_block = \"0.0.0.0/0\" },";
    let rules: String = (2..=1_001).map(|n| rule.replace("NUMBER", &n.to_string())).collect();
    let first = "tmf-middle\"\nrule = [";
    let long = include_str!("before.toml").replace(first, &format!("{first}{rules}"));
    let mut mirror = Mirror::new(&super::table(&long), &[0]);
    let exported_metrics = |mirror: &Mirror| {
        let samples = Samples::read(&text(&mirror.snapshot()));
        let name = "traffic_mirror_rule_mirrored_packets_total";
        let numbers = samples.all().iter().filter(|sample| sample.name == name);
        let of_middle =
            numbers.filter(|one| one.labels["traffic_mirror_session_id"] == "tms-middle");
        of_middle.map(|one| one.labels["rule_number"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(exported_metrics(&mirror), [""; 0]);
    mirror.run();
    assert_eq!(exported_metrics(&mirror), ["1", "2"]);
}
