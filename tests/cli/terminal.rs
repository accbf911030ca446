//! Output on a terminal: messages and the report are not written on the progress bar.

use std::process::Command;

use crate::run::{Scratch, binary, capture};

/// Runs the program on a pseudo-terminal by script(1) and returns what the terminal received. None,
/// after `NOT RUN:`, without script.
fn on_terminal(scratch: &Scratch, words: &str) -> Option<String> {
    let command = format!("{} {words}", binary().display());
    let ran = Command::new("script")
        .args(["-qfec", &command, "/dev/null"])
        .current_dir(scratch.path("."))
        .env("TERM", "xterm")
        .output();
    let Ok(ran) = ran else {
        testkit::print_uncaptured("NOT RUN: a terminal needs script of util-linux\n");
        return None;
    };
    let received = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{received}");
    Some(received)
}

#[test]
fn messages_and_report_are_not_written_on_the_progress_bar() {
    let scratch = Scratch::new();
    scratch.write_file("in.pcap", capture(100));
    // The outer source address is not one of this host, which is a warning at the first copy.
    let words = "replay in.pcap --target 127.0.0.1:9 --send --speed 100pps";
    let Some(received) = on_terminal(&scratch, words) else { return };
    // `ESC [ 2 K` erases the line.
    let lines: Vec<&str> = received.split("\u{1b}[2K").flat_map(str::lines).collect();
    let has_bar = |line: &&&str| line.contains("B/s");
    assert!(lines.iter().any(|line| has_bar(&line)), "{received:?}");
    for text in ["traffic-mirror: warning", "frames received"] {
        assert!(
            lines.iter().any(|line| line.trim_start().starts_with(text)),
            "{text}: {received:?}"
        );
    }
    let is_mixed = |line: &&&str| line.contains("warning") || line.contains("count");
    let mixed: Vec<_> = lines.iter().filter(has_bar).filter(is_mixed).collect();
    assert!(mixed.is_empty(), "{mixed:?}");
}
