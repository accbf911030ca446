//! The sandbox of commands that read captures.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::run::{Scratch, binary, capture};

fn start(scratch: &Scratch, words: &str) -> Child {
    Command::new(binary())
        .current_dir(scratch.path("."))
        .args(words.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A line of /proc/PID/status.
fn status(child: &Child, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key}:"))).unwrap();
    line.trim().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a test waits for another process")]
fn wait_for(child: &mut Child, is_done: impl Fn(&Child) -> bool) {
    for _ in 0..1_000 {
        if is_done(child) {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "the program ended by itself");
        thread::sleep(Duration::from_millis(10));
    }
    panic!("the condition did not hold within 10 s");
}

/// Each command waits for its standard input, so that its state can be read.
#[test]
fn captures_are_read_inside_a_sandbox() {
    let scratch = Scratch::new();
    for command in [
        "explain - --target 192.0.2.1",
        "replay - --target 192.0.2.1",
        "replay - --target 127.0.0.1 --send",
    ] {
        let mut child = start(&scratch, command);
        wait_for(&mut child, |child| status(child, "Seccomp") == "2");
        assert_eq!(status(&child, "NoNewPrivs"), "1", "{command}");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&capture(3)).unwrap();
        drop(stdin);
        assert!(child.wait_with_output().unwrap().status.success(), "{command}");
    }
    let mut child = start(&scratch, "explain - --target 192.0.2.1 --no-sandbox");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&capture(3)).unwrap();
    let mut line = [0; 8];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    assert_eq!(status(&child, "Seccomp"), "0");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// Only the file that had the name of the input at the start is read. A file that is renamed to it
/// during the replay is not.
#[test]
fn only_the_named_files_are_read() {
    let scratch = Scratch::new();
    let compressed = |frames: u32| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&capture(frames)).unwrap();
        encoder.finish().unwrap()
    };
    // The program may read the folder of its output, so the output goes to another folder.
    fs::create_dir(scratch.path("out")).unwrap();
    for (option, is_refused) in [("", true), ("--no-sandbox", false)] {
        // Longer than the buffer, so that each pass opens the file.
        scratch.write_file("in.gz", compressed(20_000));
        scratch.write_file("other.gz", compressed(20_000));
        let words = "replay in.gz --target 192.0.2.1 --speed 40kpps --loop 20 --write out/o.pcap";
        let mut child = start(&scratch, &format!("{words} {option}"));
        let partial = format!("out/.o.pcap.traffic-mirror-{}.partial", child.id());
        wait_for(&mut child, |_| scratch.path(&partial).exists());
        if is_refused && status(&child, "Seccomp") == "0" {
            testkit::print_uncaptured("NOT RUN: the kernel does not enforce the sandbox\n");
            child.kill().unwrap();
            child.wait().unwrap();
            return;
        }
        fs::rename(scratch.path("other.gz"), scratch.path("in.gz")).unwrap();
        if is_refused {
            let ended = child.wait_with_output().unwrap();
            let stderr = String::from_utf8(ended.stderr).unwrap();
            assert_eq!(ended.status.code(), Some(1), "{stderr}");
            assert!(stderr.contains("in.gz: Permission denied"), "{stderr}");
        } else {
            pause();
            assert!(child.try_wait().unwrap().is_none(), "the program ended by itself");
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// Longer than a pass of 500 ms: 20,000 frames at 40,000 frames/s.
#[expect(clippy::disallowed_methods, reason = "a test waits for another process")]
fn pause() {
    thread::sleep(Duration::from_millis(1_500));
}
