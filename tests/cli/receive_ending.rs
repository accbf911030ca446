//! The file that `receive` keeps when a signal ends it: one, several at once, a later one, a kill.

#![expect(clippy::unwrap_used, reason = "a test may stop where its input is not as it should")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;

/// A VXLAN datagram of network 4242 with a frame of three bytes.
const FRAME: &[u8] = &[8, 0, 0, 0, 0, 0x10, 0x92, 0, 0xaa, 0xbb, 0xcc];

/// The length in bytes of a capture of one such frame: file header, record header, frame.
const ONE_FRAME_LEN: usize = 24 + 16 + 3;

/// A collector, started directly or by `timeout`.
struct RunningReceive {
    child: Child,
    stderr: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl RunningReceive {
    /// Starts a collector that writes to `file`, with the words of a launcher in front.
    fn start(launcher: &[&str], file: &Path, stdout: Stdio) -> Self {
        let program = cargo_bin("traffic-mirror");
        let words = launcher.iter().map(Path::new).chain([&*program]);
        let words: Vec<&Path> = words.collect();
        let (first, rest) = words.split_first().unwrap();
        let mut child = Command::new(first)
            .args(rest)
            .args(["receive", "--listen", "127.0.0.1:0", "--report", "json", "--write"])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        Self { child, stderr, address }
    }

    fn send(&self, datagram: &[u8]) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(datagram, self.address).unwrap();
    }

    fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for the end: exit status, and the rest of standard error.
    fn end(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        self.stderr.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap(), log)
    }
}

fn signal(id: u32, name: &str) {
    let kill = Command::new("kill").args([name, &id.to_string()]).status();
    assert!(kill.unwrap().success());
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[expect(clippy::disallowed_methods, reason = "a test waits for another process")]
fn pause(duration: Duration) {
    thread::sleep(duration);
}

/// Waits until the file has that many bytes, for at most 20 s.
fn wait_for_len(path: &Path, len: u64) {
    for _ in 0..4_000 {
        if fs::metadata(path).is_ok_and(|metadata| metadata.len() >= len) {
            return;
        }
        pause(Duration::from_millis(5));
    }
    panic!("{} did not grow to {len} bytes", path.display());
}

/// `timeout` signals its child and, right after that, its whole process group.
#[test]
fn every_receive_under_timeout_keeps_its_capture() {
    if Command::new("timeout").arg("--version").output().is_err() {
        testkit::print_uncaptured("NOT RUN: this test needs timeout, of coreutils\n");
        return;
    }
    for round in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("frames.pcap");
        let running = RunningReceive::start(&["timeout", "600"], &file, Stdio::null());
        running.send(FRAME);
        running.signal(if round % 2 == 0 { "-TERM" } else { "-INT" });
        let (status, log) = running.end();
        assert!(status.success(), "round {round}: {status} {log}");
        assert_eq!(fs::read(&file).unwrap().len(), ONE_FRAME_LEN, "round {round}: {log}");
        assert_eq!(names_in(folder.path()), ["frames.pcap"]);
    }
}

/// The time limit of `timeout` ends the process. The exit code is then that of `timeout`.
#[test]
fn the_deadline_of_timeout_keeps_the_capture() {
    for _ in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("frames.pcap");
        let running = RunningReceive::start(&["timeout", "1"], &file, Stdio::null());
        running.send(FRAME);
        let (status, log) = running.end();
        assert_eq!(status.code(), Some(124), "{log}");
        assert_eq!(fs::read(&file).unwrap().len(), ONE_FRAME_LEN, "{log}");
    }
}

#[test]
fn a_closed_terminal_ends_receive_with_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames.pcap");
    let running = RunningReceive::start(&[], &file, Stdio::null());
    running.send(FRAME);
    running.signal("-HUP");
    let (status, log) = running.end();
    assert!(status.success(), "{status} {log}");
    assert_eq!(fs::read(&file).unwrap().len(), ONE_FRAME_LEN);
}

#[test]
fn under_nohup_receive_continues_when_the_terminal_closes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames.pcap");
    let running = RunningReceive::start(&["nohup"], &file, Stdio::null());
    running.signal("-HUP");
    running.send(FRAME);
    running.signal("-TERM");
    let (status, log) = running.end();
    assert!(status.success(), "{status} {log}");
    assert_eq!(fs::read(&file).unwrap().len(), ONE_FRAME_LEN);
}

/// The process is stopped, so all signals are delivered together when it continues.
#[test]
fn simultaneous_signals_stop_receive_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames.pcap");
    let running = RunningReceive::start(&[], &file, Stdio::null());
    running.signal("-STOP");
    running.send(FRAME);
    for name in ["-INT", "-TERM", "-HUP", "-CONT"] {
        running.signal(name);
    }
    let (status, log) = running.end();
    assert!(status.success(), "{status} {log}");
    assert_eq!(fs::read(&file).unwrap().len(), ONE_FRAME_LEN);
}

/// The report is written to a full pipe that is not read, so the program waits. The second signal
/// is sent after `gap`, the third one more than a second after the first.
fn assert_third_signal_ends_at_once(gap: Duration) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames.pcap");
    let (reader, mut full_pipe) = std::io::pipe().unwrap();
    full_pipe.write_all(&[0; 65_536]).unwrap(); // the capacity of a pipe
    let mut running = RunningReceive::start(&[], &file, full_pipe.into());
    running.send(FRAME);
    running.signal("-TERM");
    pause(gap);
    running.signal("-TERM");
    wait_for_len(&file, 1);
    assert!(running.child.try_wait().unwrap().is_none(), "the second signal ended it");
    pause(Duration::from_millis(1_200));
    running.signal("-INT");
    let (status, log) = running.end();
    assert_eq!(status.signal(), Some(2), "{status} {log}");
    assert!(!log.contains("ended at once"), "the file was already complete: {log}");
    assert_eq!(fs::read(&file).unwrap().len(), ONE_FRAME_LEN);
    drop(reader);
}

#[test]
fn two_simultaneous_signals_count_once_and_a_later_one_ends_at_once() {
    assert_third_signal_ends_at_once(Duration::ZERO);
}

#[test]
fn two_signals_100_ms_apart_count_once_and_a_later_one_ends_at_once() {
    assert_third_signal_ends_at_once(Duration::from_millis(100));
}

#[test]
fn a_killed_process_leaves_its_frames_in_a_partial_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, partial) = (folder.path().join("f.pcap"), folder.path().join("f.pcap.partial"));
    fs::write(&file, "an older capture").unwrap();
    let running = RunningReceive::start(&[], &file, Stdio::null());
    running.send(FRAME);
    wait_for_len(&partial, ONE_FRAME_LEN.try_into().unwrap());
    running.signal("-KILL");
    assert_eq!(running.end().0.signal(), Some(9));
    assert_eq!(fs::read(&partial).unwrap().len(), ONE_FRAME_LEN);
    assert_eq!(fs::read(&file).unwrap(), b"an older capture");

    // The next run does not change it.
    let running = RunningReceive::start(&[], &file, Stdio::null());
    running.signal("-TERM");
    assert!(running.end().0.success());
    assert_eq!(fs::read(&partial).unwrap().len(), ONE_FRAME_LEN);
    assert_eq!(fs::read(&file).unwrap().len(), 24);
    assert_eq!(names_in(folder.path()).len(), 2);
}

/// At any time of the signal, there is a complete file or none.
#[test]
fn a_signal_during_startup_leaves_a_complete_file_or_none() {
    for round in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("frames.pcap");
        let mut command = Command::new(cargo_bin("traffic-mirror"));
        command.args(["receive", "--listen", "127.0.0.1:0", "--write"]).arg(&file);
        let mut child = command.stderr(Stdio::null()).process_group(0).spawn().unwrap();
        pause(Duration::from_micros(round * 250));
        signal(child.id(), "-TERM");
        let status = child.wait().unwrap();
        if status.success() {
            assert_eq!(fs::read(&file).unwrap().len(), 24);
        } else {
            assert_eq!(status.signal(), Some(15));
            assert_eq!(names_in(folder.path()), [""; 0], "round {round}");
        }
    }
}

/// A write to a pipe that is not read blocks. A later signal ends the program.
#[test]
fn a_full_pipe_does_not_block_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let keep_open = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let running = RunningReceive::start(&[], &pipe, Stdio::null());
    for _ in 0..20 {
        running.send(&[FRAME, &[0; 40_000]].concat());
    }
    running.signal("-TERM");
    pause(Duration::from_millis(1_200));
    running.signal("-TERM");
    let (status, log) = running.end();
    // It may have written all frames before the second signal.
    assert!(status.signal() == Some(15) || status.success(), "{status} {log}");
    drop(keep_open);
}
