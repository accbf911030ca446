//! `replay --impair` and `--max-gap`.

use std::fs;

use testkit::records;

use crate::run::{CommandResult, Scratch, capture, session_config};

fn scratch(frames: u32) -> Scratch {
    let scratch = Scratch::new();
    scratch.write_file("in.pcap", capture(frames));
    scratch.write_file("mirror.toml", session_config());
    scratch
}

fn replay(scratch: &Scratch, words: &str) -> CommandResult {
    let ran = scratch.run(&format!("replay in.pcap --config mirror.toml --format json {words}"));
    assert_eq!(ran.code, 0, "{words}: {}", ran.stderr);
    ran
}

/// The numbers of the frames in the written copies, in order.
fn numbers(scratch: &Scratch, file: &str) -> Vec<u32> {
    let copies = records::read(&fs::read(scratch.path(file)).unwrap());
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes[bytes.len() - 4..].try_into().unwrap());
    copies.iter().map(|copy| number(&copy.bytes)).collect()
}

#[test]
fn the_seed_selects_the_copies() {
    let scratch = scratch(30);
    let ran = replay(&scratch, "--write out.pcap --impair loss=20% --seed 7");
    let lost = [5, 9, 12, 13, 20];
    assert!(
        numbers(&scratch, "out.pcap").into_iter().eq((0..30).filter(|one| !lost.contains(one)))
    );
    let report = ran.json();
    assert_eq!((&report["received"], &report["mirrored"]), (&30.into(), &30.into()));
    let counts = serde_json::json!(
        {"lost": 5, "duplicated": 0, "reordered": 0, "corrupted": 0, "not_sent": 0}
    );
    assert_eq!(report["impaired"], counts);
    let line = ran.stderr.lines().find(|line| line.contains("impaired: lost")).unwrap();
    assert_eq!(line.split_whitespace().last(), Some("5"));
    replay(&scratch, "--write out.pcap --impair reorder=20%:8 --seed 7");
    let late = [0, 1, 2, 3, 4, 7, 8, 5, 9, 10, 11, 6];
    assert!(numbers(&scratch, "out.pcap").into_iter().eq(late.into_iter().chain(12..30)));
}

#[test]
fn the_same_seed_gives_the_same_file_with_any_options() {
    let scratch = scratch(40_000);
    let faults = "--impair loss=1%,duplicate=1%,reorder=2%:100,corrupt=1%";
    let file = |words: &str| {
        let report = replay(&scratch, &format!("--write out.pcap {faults} {words}")).json();
        (fs::read(scratch.path("out.pcap")).unwrap(), report["impaired"].clone())
    };
    let (expected, counts) = file("--workers 1");
    for words in ["--workers 4", "", "--speed 1000Mpps", "--seed 0"] {
        let (bytes, other_counts) = file(words);
        assert!(bytes == expected, "{words}");
        assert_eq!(other_counts, counts, "{words}");
    }
    assert!(file("--seed 1").0 != expected);
    let copies = records::read(&expected);
    assert!(copies.is_sorted_by_key(|copy| copy.timestamp_ns));
    let count = |name: &str| usize::try_from(counts[name].as_u64().unwrap()).unwrap();
    assert_eq!(copies.len(), 40_000 - count("lost") + count("duplicated"));
    assert!(["lost", "duplicated", "corrupted"].iter().all(|one| (300..500).contains(&count(one))));
    assert!((650..950).contains(&count("reordered")));
}

#[test]
fn nothing_is_written_if_everything_is_lost() {
    let scratch = scratch(100);
    for file in ["out.pcap", "out.pcapng"] {
        let report = replay(&scratch, &format!("--write {file} --impair loss=100%")).json();
        assert_eq!((&report["mirrored"], &report["impaired"]["lost"]), (&100.into(), &100.into()));
    }
    assert!(numbers(&scratch, "out.pcap").is_empty());
    let report = replay(&scratch, "--write out.pcap").json();
    assert_eq!((report.get("impaired"), numbers(&scratch, "out.pcap").len()), (None, 100));
}

#[test]
fn wrong_faults_are_errors_that_name_the_kind_and_the_value() {
    let scratch = scratch(1);
    for (words, parts) in [
        ("--impair loss=1", &["--impair", "loss `1`", "1% or 0.1%", "0.01"][..]),
        ("--impair loss=1%,los=2%", &["`los`", "loss, duplicate, reorder, corrupt"]),
        ("--impair loss=1%,loss=2%", &["loss `2%`", "only once"]),
        ("--impair reorder=1%:0", &["reorder `1%:0`", "from 1 to 1024"]),
        ("--speed original --max-gap 5", &["--max-gap", "'5'", "200ms"]),
        ("--max-gap 5s", &["--max-gap `5s`", "--speed original", "2x"]),
        ("--send --speed 5pps --max-gap 5s", &["--max-gap `5s`", "--speed original"]),
    ] {
        let ran = scratch.run(&format!("replay in.pcap --target 192.0.2.1 {words}"));
        assert_eq!(ran.code, 2, "{words}: {}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{words}: `{part}` is missing in: {}", ran.stderr);
        }
    }
}

/// The capture has a frame in each second of two hours. Without the limit, the test would reach the
/// time-out of the program.
#[test]
fn long_gaps_are_shortened() {
    let scratch = scratch(7_200);
    for speed in ["original", "2x"] {
        let words = format!("--write out.pcap --speed {speed} --max-gap 1us");
        assert_eq!(replay(&scratch, &words).json()["mirrored"], 7_200);
        assert!(numbers(&scratch, "out.pcap").into_iter().eq(0..7_200));
    }
}
