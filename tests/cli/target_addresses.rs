//! Targets of files whose address is unknown, and the options that supply it.

use crate::run::{Scratch, capture, session_config};

const ARN: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/ids/0123456789abcdef";

/// `in.pcap` with three packets, all of which a session mirrors to a load balancer.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write_file("in.pcap", capture(3));
    let balancer = format!("network_load_balancer_arn = \"{ARN}\"");
    let config = session_config();
    assert!(config.contains("address = \"192.0.2.10\""));
    scratch.write_file("mirror.toml", config.replace("address = \"192.0.2.10\"", &balancer));
    scratch
}

#[test]
fn replay_drops_the_copies_of_a_target_without_an_address() {
    let ran = scratch().run("replay in.pcap --config mirror.toml --write out.pcap --report json");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let warnings: Vec<&str> = ran.messages();
    let named: Vec<_> = warnings.iter().filter(|one| one.contains("has no address")).collect();
    assert_eq!(named.len(), 1, "{}", ran.stderr);
    assert!(named[0].contains("tmt-1") && named[0].contains("--load-balancer"), "{}", named[0]);
    let report = ran.json();
    assert_eq!((&report["received"], &report["mirrored"]), (&3.into(), &0.into()));
    assert_eq!(report["dropped"], serde_json::json!({"no_target_address": 3}));
    assert_eq!(report["sessions"][0]["dropped"], 3);
    assert_eq!(report["targets"][0]["address"], serde_json::Value::Null);
}

#[test]
fn explain_says_that_the_target_has_no_address() {
    let scratch = scratch();
    let ran = scratch.run("explain in.pcap --config mirror.toml");
    assert_eq!(ran.text().lines().count(), 3);
    for line in ran.text().lines() {
        let part = "dropped, no_target_address: accepted by session 1";
        assert!(line.contains(part) && line.ends_with("target tmt-1 has no address"), "{line}");
    }
    let ran = scratch.run("explain in.pcap --config mirror.toml --format json");
    let first: serde_json::Value =
        serde_json::from_str(ran.text().lines().next().unwrap()).unwrap();
    assert_eq!((&first["verdict"], &first["rule_number"]), (&"dropped".into(), &100.into()));
    assert_eq!(first["cause"], "no_target_address");
    assert_eq!(first["traffic_mirror_target_id"], "tmt-1");
}

#[test]
fn options_supply_the_address() {
    let scratch = scratch();
    for (options, address) in [
        (format!("--load-balancer {ARN}=192.0.2.1"), "192.0.2.1:4789"),
        ("--load-balancer net/ids/*=192.0.2.1".to_owned(), "192.0.2.1:4789"),
        ("--load-balancer ids=192.0.2.1:5000".to_owned(), "192.0.2.1:5000"),
        ("--default-target 192.0.2.2".to_owned(), "192.0.2.2:4789"),
        ("--default-target 192.0.2.2 --load-balancer *=192.0.2.1".to_owned(), "192.0.2.1:4789"),
        ("--strict-targets --default-target [2001:db8::1]:7".to_owned(), "[2001:db8::1]:7"),
    ] {
        let words = format!("replay in.pcap --config mirror.toml --report json {options}");
        let ran = scratch.run(&words);
        assert_eq!(ran.code, 0, "{words}: {}", ran.stderr);
        assert!(!ran.stderr.contains("has no address"), "{words}: {}", ran.stderr);
        let report = ran.json();
        assert_eq!(report["mirrored"], 3, "{words}");
        assert_eq!(report["targets"][0]["address"], address, "{words}");
    }
}

#[test]
fn options_without_effect_are_refused() {
    let scratch = scratch();
    for option in ["--strict-targets", "--default-target 192.0.2.1", "--load-balancer *=192.0.2.1"]
    {
        let ran = scratch.run(&format!("replay in.pcap --target 192.0.2.9 {option}"));
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(option.split(' ').next().unwrap()), "{}", ran.stderr);
    }
}

#[test]
fn strict_targets_refuses_a_target_without_an_address() {
    let scratch = scratch();
    for command in ["replay in.pcap", "explain in.pcap", "check"] {
        let words = format!("{command} --config mirror.toml --strict-targets");
        let ran = scratch.run(&words);
        assert_eq!(ran.code, 2, "{words}: {}", ran.stderr);
        for part in ["--strict-targets", "mirror.toml:", "tmt-1", ARN] {
            assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
        }
        let other = words.replace("--strict-targets", "--load-balancer web=192.0.2.1");
        assert_eq!(scratch.run(&other).code, 0, "accepted with a warning");
    }
}
