//! Captures of other projects, valid and damaged: all frames are read, damage is reported, the
//! counters add up, and two runs are equal.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use testkit::{records, shared_captures};

/// The result of one replay.
#[derive(PartialEq, Eq)]
struct ReplayResult {
    exit_code: Option<i32>,
    stderr: String,
    report: Option<Value>,
    written: Option<Vec<u8>>,
}

fn replay(input: &Path) -> ReplayResult {
    let scratch = tempfile::tempdir().unwrap();
    let written = scratch.path().join("out.pcap");
    let output = Command::new(env!("CARGO_BIN_EXE_traffic-mirror"))
        .arg("replay")
        .arg(input)
        .args(["--target", "192.0.2.10", "--report", "json", "--write"])
        .arg(&written)
        .output()
        .unwrap();
    let mut report: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    if let Some(report) = &mut report {
        report.as_object_mut().unwrap().remove("elapsed_ns").unwrap();
    }
    let stderr = String::from_utf8(output.stderr).unwrap();
    let messages = stderr.lines().filter(|line| line.starts_with("traffic-mirror:"));
    ReplayResult {
        exit_code: output.status.code(),
        stderr: messages.collect::<Vec<_>>().join("\n"),
        report,
        written: fs::read(&written).ok(),
    }
}

/// Columns of the manifest: the number of packets, and the error after these or `-`.
const PACKETS: usize = 6;
const READER_ERROR: usize = 11;

/// The problems of the replay of a file of the manifest.
fn problems(row: &[&str], once: &ReplayResult) -> Vec<String> {
    let mut problems = Vec::new();
    let mut check = |is_right: bool, what: String| {
        if !is_right {
            problems.push(format!("{}: {what}\n{}", row[0], once.stderr));
        }
    };
    let packets: u64 = row[PACKETS].parse().unwrap();
    let damaged = row[READER_ERROR] != "-";
    let exit_code = i32::from(damaged);
    check(once.exit_code == Some(exit_code), format!("exit code {:?}", once.exit_code));
    check(!damaged || once.stderr.contains(row[0]), "the damage is not reported".to_owned());
    check(once.stderr.lines().count() <= 1, "more than one message".to_owned());
    let Some(report) = &once.report else {
        check(damaged && packets == 0, "no report".to_owned());
        return problems;
    };
    let number = |name: &str| report[name].as_u64().unwrap();
    let sum = |name: &str| -> u64 {
        report[name].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
    };
    check(number("received") == packets, format!("{} of {packets} frames", number("received")));
    let accounted = number("mirrored") + sum("not_mirrored") + sum("dropped");
    check(
        number("received") == accounted,
        format!("{accounted} of {packets} frames are accounted for"),
    );
    let records = records::read(once.written.as_deref().unwrap());
    check(
        u64::try_from(records.len()).unwrap() == number("mirrored"),
        format!("{} copies written", records.len()),
    );
    // Inner bytes are counted, after 50 bytes of outer headers.
    let bytes: u64 = records.iter().map(|record| u64::from(record.wire_len) - 50).sum();
    check(bytes == number("mirrored_bytes"), format!("{bytes} bytes of copies"));
    let whole = |record: &records::Record| u32::try_from(record.bytes.len()) == Ok(record.wire_len);
    check(records.iter().all(whole), "a record of a copy is truncated".to_owned());
    problems
}

#[test]
fn every_capture_of_the_manifest_gives_its_expected_result() {
    let test = "every_capture_of_the_manifest_gives_its_expected_result";
    let Some(folder) = shared_captures(test) else { return };
    let manifest = fs::read_to_string(folder.join("MANIFEST.tsv")).unwrap();
    let mut all = Vec::new();
    let mut files = 0;
    for line in manifest.lines().skip(1) {
        let row: Vec<&str> = line.split('\t').collect();
        let once = replay(&folder.join(row[0]));
        let again = replay(&folder.join(row[0]));
        all.extend(problems(&row, &once));
        if once != again {
            all.push(format!("{}: two runs differ", row[0]));
        }
        files += 1;
    }
    assert!(files > 40, "only {files} files in the manifest");
    assert!(all.is_empty(), "{}", all.join("\n"));
}
