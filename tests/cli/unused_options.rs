//! Options that would have no effect, and invalid options of the endpoint, are errors that name the
//! option, the value and what would be right.

use crate::run::{CommandResult, Scratch, capture, session_config};

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write_file("in.pcap", capture(3));
    scratch.write_file("mirror.toml", session_config());
    scratch
}

fn assert_refused(ran: &CommandResult, words: &str, parts: &[&str]) {
    assert_eq!(ran.code, 2, "{words}: {}", ran.stderr);
    for part in parts {
        assert!(ran.stderr.contains(part), "{words}: `{part}` is missing in: {}", ran.stderr);
    }
}

#[test]
fn unused_capture_options_are_refused() {
    let scratch = scratch();
    for (words, parts) in [
        ("replay in.pcap --target 192.0.2.1 --order flow", &["--send"][..]),
        (
            "replay in.pcap --config mirror.toml --source 2001:db8::1",
            &["--source `2001:db8::1`", "an IPv4 address", "no target has an IPv6 address"],
        ),
        (
            "replay in.pcap --target [fe80::1%2]:4789",
            &["--target `[fe80::1%2]:4789`", "without a zone"],
        ),
        (
            "explain in.pcap --config mirror.toml --source 10.0.0.9",
            &["--source `10.0.0.9`", "no outer headers"],
        ),
    ] {
        assert_refused(&scratch.run(words), words, parts);
    }
    let ran = scratch.run("replay in.pcap --config mirror.toml --source 10.0.0.9");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn a_seed_is_refused_when_bench_reads_files() {
    let scratch = scratch();
    let words = "bench --config mirror.toml --capture in.pcap --rounds 1";
    assert_refused(&scratch.run(&format!("{words} --seed 7")), words, &["--seed 7", "both read"]);
    assert_eq!(scratch.run(words).code, 0);
    let words = "bench --config mirror.toml --packets 64 --rounds 1 --seed 7";
    assert_eq!(scratch.run(words).code, 0);
}

#[test]
fn unused_live_options_are_refused() {
    let scratch = scratch();
    for (words, parts) in [
        ("--target 192.0.2.1 -i lo --direction egress", &["--direction `egress`"][..]),
        (
            "--ec2-endpoint 127.0.0.1:0 --interface lo",
            &["--interface `lo`", "--network-interface ENI=lo"],
        ),
        (
            "--target 192.0.2.1 -i lo --capture pnet --workers 2",
            &["--workers `2`", "--capture pnet"],
        ),
        (
            "--target 192.0.2.1 -i lo --capture pnet --ring-size 1MiB",
            &["--ring-size 1MiB", "--capture pnet"],
        ),
        ("--target 192.0.2.1 -i lo --capture pnet --busy-poll", &["--busy-poll"]),
        (
            "--target 192.0.2.1 -i lo --capture pnet --kernel-filter never",
            &["--kernel-filter `never`"],
        ),
    ] {
        assert_refused(&scratch.run(&format!("run {words}")), words, parts);
    }
}

/// A wrong command line is reported before missing privileges.
#[test]
fn invalid_endpoint_options_are_refused() {
    let scratch = scratch();
    let endpoint = "--ec2-endpoint 127.0.0.1:0";
    let arn = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/m/1";
    for (words, parts) in [
        (
            format!("{endpoint} --allow-target 10.0.0.5/8"),
            &["--allow-target `10.0.0.5/8`", "10.0.0.0/8"][..],
        ),
        (
            format!("{endpoint} --load-balancer {arn}=10.0.0.1 --load-balancer {arn}=10.0.0.2"),
            &["--load-balancer", "once"],
        ),
        (format!("{endpoint} --load-balancer a_b=10.0.0.1"), &["--load-balancer `a_b=", "ARN"]),
        (
            format!("{endpoint} --load-balancer arn:aws=10.0.0.1"),
            &["--load-balancer `arn:aws=", "malformed"],
        ),
        (
            format!("{endpoint} --default-target 224.0.0.1"),
            &["--default-target `224.0.0.1`", "multicast"],
        ),
        (format!("{endpoint} --gwlb-endpoint web=10.0.0.1"), &["--gwlb-endpoint `web=", "ID"]),
        (
            format!("{endpoint} --quota targets=1 --quota targets=2"),
            &["--quota `targets=2`", "once"],
        ),
        (format!("{endpoint} --quota x"), &["--quota `x`", "NAME=N"]),
        (format!("{endpoint} --target 192.0.2.1"), &["--interface is missing"]),
        (
            format!("{endpoint} --network-interface eni-1=lo --network-interface eni-2=lo"),
            &["--network-interface `eni-2=lo`", "`eni-1` has the device `lo`"],
        ),
        (
            format!("{endpoint} --network-interface eni-1=lo --network-interface eni-1=eth0"),
            &["--network-interface `eni-1`"],
        ),
        (
            format!("{endpoint} --network-interface eni-1=udp:[fe80::1%2]:6000"),
            &["--network-interface", "without a zone"],
        ),
    ] {
        let ran = scratch.run_unprivileged(&format!("run {words}"));
        assert_refused(&ran, &words, parts);
    }
}
