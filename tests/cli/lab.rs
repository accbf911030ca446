//! How `lab` ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::run::binary;

/// Starts a laboratory with a pipe as standard input. Returns when it listens.
fn start(options: &[&str]) -> Child {
    let mut child = Command::new(binary())
        .args(["lab", "--listen", "127.0.0.1:0"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on http://127.0.0.1:"), "{line}");
    child
}

#[test]
fn it_ends_with_standard_input_if_the_option_says_so() {
    let mut child = start(&["--end-with-stdin"]);
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn it_ends_at_a_signal_and_not_with_standard_input() {
    let mut child = start(&[]);
    drop(child.stdin.take());
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
