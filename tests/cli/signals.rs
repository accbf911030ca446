//! A signal ends a replay with a report whose sum is correct.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use crate::run::{Scratch, binary, capture};

/// Starts a replay that lasts longer than the test. Returns once its partial file exists.
fn start(scratch: &Scratch, words: &str) -> Child {
    start_under(&[], scratch, words)
}

/// The same, started by a launcher.
fn start_under(launcher: &[&str], scratch: &Scratch, words: &str) -> Child {
    scratch.write_file("in.pcap", capture(20_000));
    scratch.write_file("out.pcap", "precious");
    let launched: Vec<&Path> = launcher.iter().map(Path::new).chain([binary()]).collect();
    let mut child = Command::new(launched[0])
        .args(&launched[1..])
        .current_dir(scratch.path("."))
        .args("replay in.pcap --target 127.0.0.1 --speed 1kpps --report json".split(' '))
        .args(words.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&mut child, || scratch.names().len() >= 3);
    child
}

#[expect(clippy::disallowed_methods, reason = "a test waits for another process")]
fn wait_for(child: &mut Child, is_done: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if is_done() {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "the program ended by itself");
        thread::sleep(Duration::from_millis(10));
    }
    panic!("the condition did not hold within 20 s");
}

fn end(child: Child, signal: &str) -> (i32, serde_json::Value, String) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let report = serde_json::from_slice(&stdout).unwrap();
    (status.code().unwrap(), report, String::from_utf8(stderr).unwrap())
}

#[test]
fn each_signal_keeps_the_old_file_and_prints_a_report() {
    for signal in ["-INT", "-TERM"] {
        let scratch = Scratch::new();
        let (code, report, stderr) = end(start(&scratch, "--write out.pcap"), signal);
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.starts_with("traffic-mirror: interrupted by a signal"), "{stderr}");
        assert_eq!(scratch.names(), ["in.pcap", "out.pcap"]);
        assert_eq!(std::fs::read(scratch.path("out.pcap")).unwrap(), b"precious");
        // The partial file is removed, so no copy is counted as mirrored.
        assert_eq!((&report["mirrored"], &report["mirrored_bytes"]), (&0.into(), &0.into()));
        assert_eq!(report["received"], report["dropped"].get("interrupted").map_or(0, u64_of));
        assert_eq!(report["sessions"][0]["mirrored"], 0);
    }
}

/// `timeout` signals its child and, right after that, its whole process group.
#[test]
fn every_replay_under_timeout_prints_its_report() {
    if Command::new("timeout").arg("--version").output().is_err() {
        testkit::print_uncaptured("NOT RUN: this test needs timeout, of coreutils\n");
        return;
    }
    for round in 0..20 {
        let scratch = Scratch::new();
        let child = start_under(&["timeout", "600"], &scratch, "--write out.pcap");
        let (code, report, stderr) = end(child, "-TERM");
        assert_eq!(code, 1, "round {round}: {stderr}");
        assert_eq!(scratch.names(), ["in.pcap", "out.pcap"], "round {round}");
        assert_eq!(report["mirrored"], 0);
    }
}

#[test]
fn a_closed_terminal_ends_a_replay_with_a_report() {
    let scratch = Scratch::new();
    let (code, report, stderr) = end(start(&scratch, "--write out.pcap"), "-HUP");
    assert_eq!(code, 1, "{stderr}");
    assert_eq!(scratch.names(), ["in.pcap", "out.pcap"]);
    assert_eq!(report["mirrored"], 0);
}

/// A capture from a pipe whose writer pauses.
#[test]
fn a_signal_ends_the_wait_for_standard_input() {
    let scratch = Scratch::new();
    let mut child = Command::new(binary())
        .current_dir(scratch.path("."))
        .args("replay - --target 127.0.0.1 --report json --write out.pcap".split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&capture(3)).unwrap();
    stdin.flush().unwrap();
    wait_for(&mut child, || scratch.names().len() == 1);
    let (code, report, stderr) = end(child, "-TERM");
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.starts_with("traffic-mirror: interrupted by a signal"), "{stderr}");
    assert_eq!((scratch.names().len(), &report["mirrored"]), (0, &0.into()));
    drop(stdin);
}

/// Copies that were sent before the signal are counted as mirrored.
#[test]
fn sent_copies_are_reported_after_a_signal() {
    let scratch = Scratch::new();
    let collector = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    collector.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let target = collector.local_addr().unwrap().to_string();
    scratch.write_file("in.pcap", capture(20_000));
    let child = Command::new(binary())
        .current_dir(scratch.path("."))
        .args(["replay", "in.pcap", "--send", "--report", "json", "--speed", "1kpps"])
        .args(["--target", &target])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    collector.recv_from(&mut [0; 200]).unwrap();
    let (code, report, stderr) = end(child, "-INT");
    assert_eq!(code, 1, "{stderr}");
    let (mirrored, dropped) = (u64_of(&report["mirrored"]), &report["dropped"]["interrupted"]);
    assert!(mirrored > 0, "{report}");
    assert_eq!(u64_of(&report["received"]), mirrored + dropped.as_u64().unwrap_or(0));
}

fn u64_of(value: &serde_json::Value) -> u64 {
    value.as_u64().unwrap()
}
