//! Unusual captures that other projects keep as test files.

use std::collections::BTreeMap;
use std::path::Path;

use testkit::shared_captures;
use traffic_mirror::io::capture::CaptureSource;

use crate::reading::{CaptureContents, read};

/// A row of the list of captures, `MANIFEST.tsv`.
struct ManifestEntry {
    name: String,
    packets: usize,
    link_types: String,
    reader_error: Option<String>,
}

fn entries(folder: &Path) -> Vec<ManifestEntry> {
    let list = std::fs::read_to_string(folder.join("MANIFEST.tsv")).unwrap();
    let mut lines = list.lines().map(|line| line.split('\t'));
    let columns: Vec<_> = lines.next().unwrap().collect();
    let entry = |fields: std::str::Split<'_, char>| {
        let row: BTreeMap<_, _> = columns.iter().copied().zip(fields).collect();
        let reader_error = row["reader_error_after_packets"];
        ManifestEntry {
            name: row["file"].to_owned(),
            packets: row["packets"].parse().unwrap(),
            link_types: row["link_type"].to_owned(),
            reader_error: (reader_error != "-").then(|| reader_error.to_owned()),
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
    for ManifestEntry { name, packets, link_types, reader_error } in entries {
        let path = folder.join(&name);
        match (read_both_ways(&path), &reader_error) {
            (Ok((contents, all_supported)), _) => {
                assert_eq!(contents.frames.len(), packets, "{name}");
                assert_eq!(
                    contents.end.is_some(),
                    reader_error.is_some(),
                    "{name}: {:?}",
                    contents.end
                );
                assert_eq!(all_supported, link_types != "RADIOTAP", "{name}");
            }
            (Err(error), Some(_)) => assert_eq!(packets, 0, "{name}: {error}"),
            (Err(error), None) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn damaged_real_captures_are_errors() {
    let Some(folder) = shared_captures("real captures") else { return };
    let error_of = |name: &str| match read_both_ways(&folder.join(name)) {
        Ok((contents, _)) => contents.end.unwrap(),
        Err(error) => error,
    };
    for (name, cause) in [
        ("libpcap__pcap-invalid-version-1.pcap", "version 1.4 of pcap"),
        ("libpcap__shb-option-too-long.pcapng", "that ends with a length of"),
        ("suricata__bug-6875-01-fuzz.pcap", "record 2 at byte 228 is damaged: a captured length"),
    ] {
        let error = error_of(name);
        assert!(error.contains(name) && error.contains(cause), "{error}");
    }
}

#[test]
fn each_real_capture_may_be_truncated_anywhere() {
    let Some(folder) = shared_captures("real captures") else { return };
    for ManifestEntry { name, .. } in entries(&folder) {
        let bytes = std::fs::read(folder.join(&name)).unwrap();
        let bytes = &bytes[..bytes.len().min(3_000)];
        for len in 1..bytes.len() {
            // An error is allowed; `read` asserts that reading ends and does not panic.
            if let Ok(mut source) = CaptureSource::from_bytes("cut", bytes[..len].to_vec()) {
                read(&mut source);
            }
        }
    }
}
