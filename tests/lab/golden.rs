//! Plays of the golden cases of `pcaps/` give the copies that replay writes.

use std::fs;
use std::path::Path;

use testkit::records::{Record, read};
use traffic_mirror::control::config;
use traffic_mirror::lab::{Lab, LabOptions, PlayInput, PlayOptions};

/// The copies that a play of a case stores, by target. `None` for a case whose frames may belong to
/// several interfaces or to none, or that has options.
fn play(folder: &Path) -> Option<Vec<Record>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let input = entries.into_iter().find(|path| name(path).starts_with("input.pcap"))?;
    let expected = folder.join("expected.pcap");
    if folder.join("args").exists() || !expected.exists() {
        return None;
    }
    let (registry, _) = config::read_files(&[folder.join("mirror.toml")]).into_result().ok()?;
    let counters = fs::read_to_string(folder.join("counters.json")).unwrap();
    let has_one_target = registry.targets().len() == 1;
    let [interface] = registry.network_interfaces() else { return None };
    if !has_one_target || counters.contains("no_network_interface") {
        return None;
    }
    let (id, target) = (interface.id().clone(), registry.targets()[0].id().clone());
    let lab = Lab::new(LabOptions { registry, seed: Some(0), ..LabOptions::default() }).unwrap();
    let input = PlayInput::Capture(fs::read(input).unwrap().into());
    let played = lab.play(&id, input, PlayOptions::default()).unwrap();
    let report = &played.report;
    let sum = |counts: &std::collections::BTreeMap<_, u64>| counts.values().sum::<u64>();
    let others = sum(&report.not_mirrored) + sum(&report.dropped);
    assert_eq!(report.received, report.mirrored + others, "{}", folder.display());
    let mut copies = Vec::new();
    let copy = |copy: traffic_mirror::lab::StoredCopy<'_>| {
        copies.push(Record {
            timestamp_ns: copy.timestamp_ns,
            wire_len: u32::try_from(copy.bytes.len()).unwrap(),
            bytes: copy.bytes.to_vec(),
        });
    };
    lab.for_each_copy(&target, copy).unwrap();
    Some(copies)
}

#[test]
fn plays_store_the_copies_that_replay_writes() {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    let folders = fs::read_dir(folders).unwrap().map(|entry| entry.unwrap().path());
    let mut compared = 0;
    for folder in folders.filter(|folder| folder.is_dir()) {
        let Some(copies) = play(&folder) else { continue };
        let expected = read(&fs::read(folder.join("expected.pcap")).unwrap());
        assert_eq!(copies, expected, "{}", folder.display());
        compared += 1;
    }
    assert!(compared >= 30, "only {compared} cases were compared");
}
