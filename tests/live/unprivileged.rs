//! Runs all tests of this binary again as root of a user namespace, if the user is not root.

use std::process::{Command, Stdio};

use crate::waiting::{pause, wait_until};
use testkit::namespace::{has_tools, is_root};
use testkit::print_uncaptured;

/// `ip netns` stores names in /run, which must be writable.
const PREPARE: &str = "mount -t tmpfs tmpfs /run && mkdir -p /run/netns";

/// Time limit of all tests, in steps of 100 ms: 10 minutes.
const PAUSES: u32 = 6_000;

/// A command as root of new namespaces.
fn as_root(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount", "--kill-child", "--fork"]);
    command.args(["sh", "-c", script]);
    command
}

#[test]
fn all_live_tests_pass_in_a_user_namespace() {
    if is_root() {
        return;
    }
    let probe = as_root(&format!("{PREPARE} && ip netns add tm-probe")).output();
    if !has_tools() || !probe.is_ok_and(|output| output.status.success()) {
        return print_uncaptured(
            "NOT RUN: run in network namespaces needs root, or user namespaces, and ip, \
                    ethtool and setpriv\n",
        );
    }
    let binary = std::env::current_exe().unwrap();
    let mut tests = as_root(&format!("{PREPARE} && exec \"$0\" --test-threads 2"))
        .arg(&binary)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..PAUSES {
        if let Some(status) = tests.try_wait().unwrap() {
            return assert!(status.success(), "tests failed in the user namespace");
        }
        pause(100);
    }
    tests.kill().unwrap();
    wait_until("the end of the tests", || tests.try_wait().unwrap().is_some());
    panic!("tests did not end in the user namespace within 10 minutes");
}
