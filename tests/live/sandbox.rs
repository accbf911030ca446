//! Restrictions of a run: the capabilities that it drops, and its sandbox.

use std::fs;
use std::os::unix::fs::symlink;

use crate::collector::Collector;
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair};
use testkit::config::one_session;
use testkit::print_uncaptured;

/// `CAP_NET_RAW` of `linux/capability.h`.
const NET_RAW: u64 = 1 << 13;

/// A line of /proc/PID/task/TID/status for each thread, by the name of the thread.
pub(crate) fn status_of_threads(mirror: &Mirror, key: &str) -> Vec<(String, String)> {
    let tasks = fs::read_dir(format!("/proc/{}/task", mirror.id())).unwrap();
    // A thread may end meanwhile.
    let status =
        tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok());
    let line = |status: &str, key: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(&format!("{key}:"))).unwrap();
        found.trim().to_owned()
    };
    status.map(|status| (line(&status, "Name"), line(&status, key))).collect()
}

fn assert_only_net_raw(mirror: &Mirror) {
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        let threads = status_of_threads(mirror, set);
        assert!(threads.iter().any(|(name, _)| name == "h0-0"), "{threads:?}");
        for (name, capabilities) in threads {
            let capabilities = u64::from_str_radix(&capabilities, 16).unwrap();
            assert_eq!(capabilities & !NET_RAW, 0, "{name}: {set} {capabilities:x}");
        }
    }
}

#[test]
fn no_thread_keeps_the_capability_to_enter_a_namespace() {
    let Some(lab) = Lab::new("rights") else { return };
    let collector = Collector::listen(&lab.host, "10.99.1.1");
    let name = &lab.host.name;
    let words = "-i h0 --target 10.99.1.1 --virtual-network-id 42 --netns";
    let mirror = Mirror::start(&lab.monitor, &format!("{words} {name}"));
    assert_only_net_raw(&mirror);
    // The device is opened again in the namespace after the capability is dropped.
    lab.host.ip("link del h0\n");
    mirror.wait_for_lines("h0 no longer exists", 1);
    lab.connect_host();
    mirror.wait_for_lines("mirroring h0", 2);
    assert_only_net_raw(&mirror);
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    (0..20).for_each(|number| pair.send(number, 200));
    assert_eq!(collector.take_after(20).len(), 20);
    mirror.end().assert_no_loss();
}

/// Whether the kernel enforces the sandbox; prints `NOT RUN:` if not.
fn is_enforced(mirror: &Mirror) -> bool {
    let is_enforced = mirror.count_lines_with("no sandbox") == 0;
    if !is_enforced {
        print_uncaptured("NOT RUN: the kernel does not enforce the sandbox\n");
    }
    is_enforced
}

/// A session whose filter has no rule.
fn config() -> String {
    one_session("device = \"h0\"", "10.99.1.2", &[])
}

#[test]
fn a_configuration_symlink_cannot_be_redirected_after_the_start() {
    let Some(lab) = Lab::new("confined") else { return };
    fs::create_dir(lab.folder.path().join("conf")).unwrap();
    let path = lab.put("conf/mirror.toml", &config());
    let secret = lab.put("secret.toml", &config());
    for (option, is_followed) in [("", false), ("--no-sandbox", true)] {
        let words = format!("--config {path} --metrics 0.0.0.0:0 {option}");
        let mirror = Mirror::start(&lab.host, &words);
        if option.is_empty() && !is_enforced(&mirror) {
            return;
        }
        let state = if option.is_empty() { "2" } else { "0" };
        for (name, filter) in status_of_threads(&mirror, "Seccomp") {
            assert_eq!(filter, state, "{name}");
        }
        for (name, flag) in status_of_threads(&mirror, "NoNewPrivs") {
            assert_eq!(flag, "1", "{name}");
        }
        let warning = "every host that can connect to it can read the names";
        assert_eq!(mirror.count_lines_with(warning), 1, "{:#?}", mirror.log_lines());
        // A file that replaces the old one is read, also through a link in the folder.
        lab.put("conf/next.toml", &config());
        fs::remove_file(&path).unwrap();
        symlink("next.toml", &path).unwrap();
        mirror.signal("-HUP");
        mirror.wait_for_lines("configuration reloaded", 1);
        fs::remove_file(&path).unwrap();
        symlink(&secret, &path).unwrap();
        mirror.signal("-HUP");
        if is_followed {
            mirror.wait_for_lines("configuration reloaded", 2);
        } else {
            mirror.wait_for_lines("the previous one stays in force", 1);
            assert_eq!(
                mirror.count_lines_with("Permission denied"),
                1,
                "{:#?}",
                mirror.log_lines()
            );
        }
        mirror.end().assert_no_loss();
        fs::remove_file(&path).unwrap();
        lab.put("conf/mirror.toml", &config());
    }
}
