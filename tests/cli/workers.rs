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

/// A block of pcapng in little-endian order.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(12 + body.len()).unwrap().to_le_bytes();
    [&kind.to_le_bytes(), &len[..], body, &len[..]].concat()
}

/// The frames of `capture` as pcapng. Another interface, or a block that is skipped, precedes each
/// packet whose number `is_preceded` selects.
fn pcapng(is_preceded: impl Fn(u32) -> bool, kind: u32) -> Vec<u8> {
    let interface = [1, 0, 0, 0, 0, 0, 0, 0];
    let mut file = block(
        0x0a0d_0d0a,
        &[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255],
    );
    file.extend(block(1, &interface));
    for (number, record) in (0..).zip(testkit::records::read(&capture(FRAMES))) {
        if is_preceded(number) {
            file.extend(block(kind, &interface));
        }
        let microseconds = record.timestamp_ns / 1_000;
        let len = u32::try_from(record.bytes.len()).unwrap();
        let words = [
            0,
            (microseconds >> 32).try_into().unwrap(),
            (microseconds & 0xffff_ffff).try_into().unwrap(),
            len,
            len,
        ];
        let mut body: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        body.extend(&record.bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        file.extend(block(6, &body));
    }
    file
}

#[test]
fn a_capture_that_cannot_be_divided_is_mirrored_by_one_thread() {
    let interfaces = pcapng(|number| number % 1_000 == 7, 1);
    assert_same_with_any_number(&interfaces, "in.pcap");
    let skipped = pcapng(|_| true, 0x0bad);
    assert_same_with_any_number(&skipped, "in.pcap");
    assert_same_with_any_number(&pcapng(|_| false, 0), "in.pcap in.pcap");
}
