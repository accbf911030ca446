//! Common mistakes and shortcuts of new users: each works, or gives an error with the right form.

use crate::run::{CommandResult, Scratch, capture, session_config};

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write_file("in.pcap", capture(3));
    scratch.write_file("mirror.toml", session_config());
    scratch
}

fn assert_usage_error(ran: &CommandResult, parts: &[&str]) {
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    for part in parts {
        assert!(ran.stderr.contains(part), "`{part}` is missing in: {}", ran.stderr);
    }
}

#[test]
fn run_without_options_is_a_usage_error() {
    let ran = scratch().run("run");
    assert_usage_error(&ran, &["--config FILE, --target ADDRESS or --ec2-endpoint"]);
}

#[test]
fn a_target_that_lacks_brackets_is_noted() {
    let scratch = scratch();
    let ran = scratch.run("replay in.pcap --target 2001:db8::1:4789 --format json");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.messages()[0].contains("[2001:db8::1]:4789"), "{}", ran.stderr);
    assert_eq!(ran.json()["targets"][0]["address"], "[2001:db8::1:4789]:4789");
    for target in ["2001:db8::1", "[2001:db8::1]:4789", "[2001:db8::1:4789]:4789", "192.0.2.1"] {
        let ran = scratch.run(&format!("replay in.pcap --target {target}"));
        assert_eq!((ran.code, ran.messages().len()), (0, 0), "{}", ran.stderr);
    }
}

#[test]
fn a_protocol_can_be_named() {
    let scratch = scratch();
    let rule = "rule_number = 100\nprotocol = ";
    for (name, number) in [("tcp", 6), ("UDP", 17), ("icmp", 1), ("icmpv6", 58)] {
        let config = session_config().replace("rule_number = 100", &format!("{rule}\"{name}\""));
        scratch.write_file("named.toml", config);
        let ran = scratch.run("check --config named.toml");
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.text().contains(&format!("protocol = {number}\n")), "{}", ran.text());
    }
    let config = session_config().replace("rule_number = 100", &format!("{rule}\"tpc\""));
    scratch.write_file("named.toml", config);
    let ran = scratch.run("check --config named.toml");
    assert_usage_error(&ran, &["protocol `tpc`", "a number from 0 to 255", "tcp"]);
}

#[test]
fn a_configuration_can_be_read_from_standard_input() {
    let scratch = scratch();
    let ran = scratch.run_with("check --config -", session_config().into());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let toml = ran.text().to_owned();
    let json = scratch.run("export --config mirror.toml --format aws-json").stdout;
    let ran = scratch.run_with("check --config -", json);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.text().contains("session_number = 1"), "{}", ran.text());
    let ran = scratch.run_with("replay in.pcap --config - --format json", toml.into());
    assert_eq!((ran.code, &ran.json()["mirrored"]), (0, &3.into()), "{}", ran.stderr);
    let ran = scratch.run_with("check --config -", b"colour = 1\n".to_vec());
    assert_usage_error(&ran, &["standard input:1:1", "colour"]);
    assert_usage_error(&scratch.run("check --config - --config -"), &["--config `-`", "once"]);
    assert_usage_error(&scratch.run("replay - --config -"), &["INPUT `-`", "--config `-`"]);
}

#[test]
fn short_names_and_old_names_of_options_are_accepted() {
    let scratch = scratch();
    let json = |words: &str| scratch.run(&format!("replay in.pcap --target 192.0.2.1 {words}"));
    let report = json("--vni 7 --format json").json();
    assert_eq!(report["sessions"][0]["virtual_network_id"], 7);
    let old = json("--virtual-network-id 7 --report json").json();
    assert_eq!(old["sessions"], report["sessions"]);
    let lines = |format: &str| {
        scratch.run(&format!("explain in.pcap --target 192.0.2.1 --format {format}")).stdout
    };
    assert_eq!(lines("json"), lines("ndjson"));
}

#[test]
fn names_of_values_may_have_capital_letters() {
    let scratch = scratch();
    for words in [
        "replay in.pcap --target 192.0.2.1 --direction INGRESS --format JSON --speed MAX",
        "explain in.pcap --target 192.0.2.1 --direction Egress --format NDJSON",
        "export --config mirror.toml --format Aws-Json",
        "bench --rules 2 --packets 64 --rounds 1 --engine LINEAR --stages Classify --family IPv4",
        "interfaces --format Json",
    ] {
        let ran = scratch.run(words);
        assert_eq!(ran.code, 0, "{words}: {}", ran.stderr);
    }
}

#[test]
fn a_capture_and_a_configuration_are_recognised_in_each_others_place() {
    let scratch = scratch();
    for words in ["check --config in.pcap", "explain in.pcap --config in.pcap"] {
        assert_usage_error(&scratch.run(words), &["--config `in.pcap`", "this is a capture"]);
    }
    let ran = scratch.run("replay mirror.toml --target 192.0.2.1");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("give it with --config mirror.toml"), "{}", ran.stderr);
}

#[test]
fn keys_of_aws_json_with_wrong_capitals_give_a_warning() {
    let scratch = scratch();
    let json = r#"{"NetworkInterfaces": [{"NetworkInterfaceId": "eni-1", "macAddress": "x"}],
        "trafficMirrorTargets": [], "Marker": 1}"#;
    scratch.write_file("aws.json", json);
    let ran = scratch.run("check --config aws.json");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("did you mean").count(), 2, "{}", ran.stderr);
    for part in ["did you mean `MacAddress`?", "did you mean `TrafficMirrorTargets`?"] {
        assert!(ran.stderr.contains(part), "`{part}` is missing in: {}", ran.stderr);
    }
}

#[test]
fn the_options_of_run_are_grouped_under_headings() {
    let ran = scratch().run("run --help");
    for heading in ["Sessions:", "Capture:", "Copies:", "EC2 endpoint", "Monitoring and output:"] {
        assert!(ran.text().contains(&format!("\n{heading}")), "{heading}: {}", ran.text());
    }
    assert!(ran.text().contains("run --ec2-endpoint 127.0.0.1:4566"), "{}", ran.text());
}

#[test]
fn each_command_has_a_man_page() {
    let scratch = scratch();
    for command in ["replay", "run", "man"] {
        let ran = scratch.run(&format!("man {command}"));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.text().contains(&format!(".TH traffic-mirror-{command} ")), "{}", ran.text());
        assert_eq!(ran.text().matches(".TH ").count(), 1, "{command}");
    }
    assert_usage_error(&scratch.run("man repaly"), &["COMMAND `repaly`", "replay"]);
}
