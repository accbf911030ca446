//! `replay --workers`: the same file and report with any number of threads.

use std::fs;
use std::io::Write;

use crate::run::{CommandResult, Scratch, capture, session_config};

/// Several chunks of records.
const FRAMES: u32 = 40_000;

/// The counters of a report, without times.
fn counters(ran: &CommandResult) -> serde_json::Value {
    let mut report = ran.json();
    let report_fields = report.as_object_mut().unwrap();
    report_fields.retain(|name, _| !name.contains("elapsed") && !name.contains("per_second"));
    report
}

/// Runs `replay` with one thread and with several, and asserts that all results are equal.
fn assert_same_with_any_number(input: &[u8], words: &str) {
    let scratch = Scratch::new();
    scratch.write_file("mirror.toml", session_config());
    scratch.write_file("in.pcap", input);
    let run = |workers: u32, stdin: &[u8]| {
        let words = format!(
            "replay {words} --config mirror.toml --write out.pcap --format json --workers {workers}"
        );
        let ran = scratch.run_with(&words, stdin.to_vec());
        (fs::read(scratch.path("out.pcap")).unwrap(), counters(&ran), ran.code, ran.stderr)
    };
    let stdin = if words.contains('-') && words.contains("- ") { input } else { &[] };
    let (file, report, code, stderr) = run(1, stdin);
    assert!(file.len() > 1_000_000, "{stderr}");
    for workers in [2, 5] {
        let (other_file, other_report, other_code, other_stderr) = run(workers, stdin);
        assert!(other_file == file, "{workers} workers");
        assert_eq!((other_report, other_code), (report.clone(), code), "{workers} workers");
        let messages = |stderr: &str| -> Vec<String> {
            let lines = stderr.lines().filter(|line| line.starts_with("traffic-mirror: "));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(messages(&other_stderr), messages(&stderr), "{workers} workers");
    }
}

#[test]
fn a_file_is_the_same_with_any_number_of_workers() {
    assert_same_with_any_number(&capture(FRAMES), "in.pcap");
    assert_same_with_any_number(&capture(FRAMES), "in.pcap in.pcap --loop 2");
}

#[test]
fn streams_and_compressed_captures_use_the_workers_too() {
    assert_same_with_any_number(&capture(FRAMES), "- in.pcap");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&capture(FRAMES)).unwrap();
    assert_same_with_any_number(&encoder.finish().unwrap(), "in.pcap");
}

#[test]
fn the_frames_before_a_damaged_record_are_mirrored_by_any_number_of_workers() {
    let mut damaged = capture(FRAMES);
    let len = damaged.len();
    damaged.truncate(len - 20);
    assert_same_with_any_number(&damaged, "in.pcap in.pcap");
}

#[test]
fn a_capture_with_nanoseconds_is_the_same_with_any_number_of_workers() {
    let mut fine = capture(FRAMES);
    fine[..4].copy_from_slice(&[0x4d, 0x3c, 0xb2, 0xa1]);
    assert_same_with_any_number(&fine, "in.pcap");
}
