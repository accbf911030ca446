//! Unusual captures that other projects keep as test files.

use std::collections::BTreeMap;
use std::path::Path;

use testkit::shared_captures;
use traffic_mirror::io::capture::CaptureSource;

use crate::reading::{CaptureContents, read};

/// An entry of the list of captures.
struct ManifestEntry {
    name: String,
    packets: Option<usize>,
    link_types: String,
    trouble: Option<String>,
}

fn entries(folder: &Path) -> Vec<ManifestEntry> {
    let list = std::fs::read_to_string(folder.join("MANIFEST.tsv")).unwrap();
    let mut lines = list.lines().map(|line| line.split('\t'));
    let columns: Vec<_> = lines.next().unwrap().collect();
    let entry = |fields: std::str::Split<'_, char>| {
        let row: BTreeMap<_, _> = columns.iter().copied().zip(fields).collect();
        let trouble = row["reader_error_after_packets"];
        ManifestEntry {
            name: row["file"].to_owned(),
            packets: row["packets"].parse().ok(),
            link_types: row["link_type"].to_owned(),
            trouble: (trouble != "-").then(|| trouble.to_owned()),
        }
    };
    lines.map(entry).collect()
}

/// Reads a file as a file and as a stream.
fn read_both_ways(path: &Path) -> Result<(CaptureContents, bool), String> {
    let open = CaptureSource::open(path).map_err(|error| error.to_string());
    let file = std::fs::File::open(path).unwrap();
    let name = path.display().to_string();
    let stream = CaptureSource::from_reader(&name, file).map_err(|error| error.to_string());
    let readings = [open, stream].map(|source| {
        let mut source = source?;
        let contents = read(&mut source);
        Ok((contents, source.unsupported_link_types().is_empty()))
    });
    assert_eq!(readings[0], readings[1], "{name}");
    let [contents, _] = readings;
    contents
}

#[test]
fn real_captures_have_the_packet_count_of_the_manifest() {
    let Some(folder) = shared_captures("real captures") else { return };
    let entries = entries(&folder);
    assert!(!entries.is_empty());
    for ManifestEntry { name, packets, link_types, trouble } in entries {
        let path = folder.join(&name);
        match (read_both_ways(&path), &trouble) {
            (Ok((contents, all_supported)), _) => {
                let packets = packets.unwrap_or(contents.frames.len());
                assert_eq!(contents.frames.len(), packets, "{name}");
                assert_eq!(contents.end.is_some(), trouble.is_some(), "{name}: {:?}", contents.end);
                assert_eq!(all_supported, link_types != "RADIOTAP", "{name}");
            }
            (Err(error), Some(_)) => assert_eq!(packets, Some(0), "{name}: {error}"),
            (Err(error), None) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn damaged_real_captures_are_errors() {
    let Some(folder) = shared_captures("real captures") else { return };
    let said = |name: &str| match read_both_ways(&folder.join(name)) {
        Ok((contents, _)) => contents.end.unwrap(),
        Err(error) => error,
    };
    for (name, what) in [
        ("libpcap__pcap-invalid-version-1.pcap", "version 1.4 of pcap"),
        ("libpcap__shb-option-too-long.pcapng", "that ends with a length of"),
        ("suricata__bug-6875-01-fuzz.pcap", "record 2 at byte 228 is damaged: a captured length"),
    ] {
        let said = said(name);
        assert!(said.contains(name) && said.contains(what), "{said}");
    }
}

#[test]
fn each_real_capture_may_be_truncated_anywhere() {
    let Some(folder) = shared_captures("real captures") else { return };
    for ManifestEntry { name, .. } in entries(&folder) {
        let bytes = std::fs::read(folder.join(&name)).unwrap();
        let bytes = &bytes[..bytes.len().min(3_000)];
        for len in 1..bytes.len() {
            // It need not open; `read` asserts that it ends without a panic.
            if let Ok(mut source) = CaptureSource::from_bytes("cut", bytes[..len].to_vec()) {
                read(&mut source);
            }
        }
    }
}
