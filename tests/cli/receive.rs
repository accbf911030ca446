//! The command `receive`: its file, its report and its limits.

#![expect(clippy::unwrap_used, reason = "a test may stop where its input is not as it should")]
#![expect(clippy::disallowed_methods, reason = "a test waits for another process")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

/// A running collector and its address.
struct RunningReceive {
    child: Child,
    stderr: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl RunningReceive {
    fn start(options: &[&str]) -> Self {
        let mut child = Command::new(cargo_bin("traffic-mirror"))
            .args(["receive", "--listen", "127.0.0.1:0"])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        Self { child, stderr, address }
    }

    fn send(&self, datagrams: &[&[u8]]) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for datagram in datagrams {
            socket.send_to(datagram, self.address).unwrap();
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Waits for the end: exit code, standard output, the rest of standard error.
    fn end(mut self) -> (i32, String, String) {
        let mut log = String::new();
        self.stderr.read_to_string(&mut log).unwrap();
        let Output { status, stdout, .. } = self.child.wait_with_output().unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap(), log)
    }
}

const FRAME: &[u8] = &[8, 0, 0, 0, 0, 0x10, 0x92, 0, 0xaa, 0xbb, 0xcc];
const EMPTY_FRAME: &[u8] = &[8, 0, 0, 0, 0, 0, 1, 0];

fn run_refused(options: &[&str]) -> (i32, String) {
    let output =
        Command::new(cargo_bin("traffic-mirror")).arg("receive").args(options).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn count_ends_receive_with_a_matching_report_and_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames.pcap");
    let name = file.to_str().unwrap();
    let running = RunningReceive::start(&["--count", "3", "--write", name, "--report", "json"]);
    running.send(&[FRAME, b"no", &[0; 9], EMPTY_FRAME, FRAME]);
    let (code, out, log) = running.end();
    assert_eq!(code, 0, "{log}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["received"], &report["received_bytes"]), (&3.into(), &6.into()));
    assert_eq!(report["not_vxlan"], serde_json::json!({"too_short": 1, "flag_not_set": 1}));
    assert_eq!(
        report["virtual_networks"],
        serde_json::json!([
            {"virtual_network_id": 1, "received": 1, "received_bytes": 0},
            {"virtual_network_id": 4242, "received": 2, "received_bytes": 6},
        ])
    );
    assert!(report["elapsed_ns"].is_u64() && report["dropped"] == serde_json::json!({}));
    assert!(log.contains("4242") && log.contains("not VXLAN: too_short"), "{log}");
    let written = fs::read(&file).unwrap();
    assert_eq!(written[..4], 0xa1b2_3c4d_u32.to_le_bytes());
    assert_eq!(written.len(), 24 + 3 * 16 + 6);
    assert_eq!(written[40..43], FRAME[8..]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn each_signal_ends_receive_with_a_report() {
    for signal in ["-INT", "-TERM"] {
        let running = RunningReceive::start(&["--report", "json"]);
        running.send(&[FRAME]);
        running.signal(signal);
        let (code, out, log) = running.end();
        assert_eq!(code, 0, "{log}");
        assert!(out.contains(r#""received":1,"#), "{out}");
    }
}

#[test]
fn frames_are_written_to_a_pipe_as_they_arrive() {
    let mut running = RunningReceive::start(&["--write", "-"]);
    let mut pipe = running.child.stdout.take().unwrap();
    let mut header = [0; 24];
    pipe.read_exact(&mut header).unwrap();
    running.send(&[FRAME]);
    let mut record = [0; 19];
    pipe.read_exact(&mut record).unwrap();
    assert_eq!(record[16..], FRAME[8..]);
    running.signal("-INT");
    assert_eq!(running.end().0, 0);
}

#[test]
fn a_full_disk_and_a_closed_pipe_are_errors() {
    if Path::new("/dev/full").exists() {
        let (code, log) = run_refused(&["--listen", "127.0.0.1:0", "--write", "/dev/full"]);
        assert!(code == 1 && log.contains("/dev/full: No space left"), "{code} {log}");
    } else {
        testkit::print_uncaptured("NOT RUN: this host has no /dev/full\n");
    }
    let mut running = RunningReceive::start(&["--write", "-"]);
    drop(running.child.stdout.take());
    // A child that another test has forked may hold the pipe open until it executes its program:
    // the first frames may still be written.
    let end = Instant::now() + Duration::from_secs(30);
    while running.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "it continues although nothing reads its output");
        running.send(&[FRAME]);
        thread::sleep(Duration::from_millis(5));
    }
    let (code, _, log) = running.end();
    assert!(code == 1 && log.contains("standard output: Broken pipe"), "{code} {log}");
}

#[test]
fn usage_errors_have_one_message_and_exit_code_2() {
    for (options, sentence) in [
        (&["--listen", "nowhere"][..], "--listen `nowhere`: expected an address of this host"),
        (
            &["--write", "-", "--report", "json"],
            "--write `-`: the JSON report already uses standard output",
        ),
        (&["--write", "x.pcapng"], "--write `x.pcapng`: expected an ending such as .pcap"),
        (&["--write", "x.pcap.gz"], "--write `x.pcap.gz`: expected a name without .gz"),
        (&["--count", "0"], "invalid value '0' for '--count <N>'"),
    ] {
        let (code, log) = run_refused(options);
        assert!(code == 2 && log.contains(sentence), "{code} {log}");
    }
}

#[test]
fn an_unusable_listen_address_is_an_error_with_the_reason() {
    let bound = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = bound.local_addr().unwrap().to_string();
    let (code, log) = run_refused(&["--listen", &taken]);
    assert!(code == 1 && log.contains("another collector or a vxlan device"), "{code} {log}");
    let (code, log) = run_refused(&["--listen", "203.0.113.1:0"]);
    assert!(code == 1 && log.contains("does not have this address"), "{code} {log}");
    let (code, log) =
        run_refused(&["--listen", "127.0.0.1:0", "--write", "/no/such/folder/x.pcap"]);
    assert!(code == 1 && log.contains("/no/such/folder/x.pcap"), "{code} {log}");
}
