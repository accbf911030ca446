//! The tiers in the metrics and in the health page.

use super::super::text::{ExpositionFormat, exposition};
use super::busy;
use super::exposition_parser::Samples;
use crate::runtime::ActiveTier;

#[test]
fn each_interface_has_one_tier_and_its_switches() {
    let mut snapshot = busy();
    let interface = &mut snapshot.interfaces[0];
    interface.tier.tier = ActiveTier::Kernel;
    interface.tier.switches = 3;
    let id = interface.id.clone();
    let samples = Samples::read(&exposition(&snapshot, ExpositionFormat::Plain).unwrap());
    let tier = |tier| {
        let labels = [("network_interface_id", &*id), ("tier", tier)];
        samples.sum_where("traffic_mirror_interface_tier", &labels)
    };
    assert_eq!((tier("kernel"), tier("ring")), (1.0, 0.0));
    let interfaces = u32::try_from(snapshot.interfaces.len()).unwrap();
    assert_eq!(samples.sum("traffic_mirror_interface_tier"), f64::from(interfaces));
    assert_eq!(samples.sum("traffic_mirror_interface_tier_switches_total"), 3.0);
}

/// Workers of the kernel tier that have nothing to do are not missing.
#[test]
fn only_worker_0_has_gauges_in_the_kernel_tier() {
    let mut snapshot = busy();
    let id = snapshot.workers[1].network_interface_id.clone();
    snapshot.workers[1].worker = 1;
    let attached = |snapshot: &crate::runtime::Snapshot| {
        let text = exposition(snapshot, ExpositionFormat::Plain).unwrap();
        Samples::read(&text).sum("traffic_mirror_ring_attached")
    };
    let before = attached(&snapshot);
    for interface in snapshot.interfaces.iter_mut().filter(|one| one.id == id) {
        interface.tier.tier = ActiveTier::Kernel;
    }
    assert!(attached(&snapshot) < before);
}

#[test]
fn a_chosen_tier_has_a_line_with_its_reason() {
    let mut snapshot = busy();
    assert!(snapshot.tier_lines().is_empty(), "the default tier was not chosen");
    snapshot.interfaces[0].tier.reason = Some("session `tms-1`: too long".to_owned());
    let id = &snapshot.interfaces[0].id;
    let expected = format!("eth0 ({id}), ring tier: session `tms-1`: too long");
    assert_eq!(snapshot.tier_lines(), [expected]);
}
