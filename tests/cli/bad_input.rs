//! Bad input: one clear sentence and the right exit code for each, and no loss of valid input.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::run::{Scratch, binary, capture, capture_of_type, session_config};
use testkit::records;

/// Runs a command that must fail with one message that contains the parts of `sentence`, and must
/// leave no file.
fn assert_fails(scratch: &Scratch, words: &str, code: i32, sentence: &[&str]) {
    let before = scratch.names();
    let ran = scratch.run(words);
    assert_eq!(ran.code, code, "{words}: {}", ran.stderr);
    let messages = ran.messages();
    assert_eq!(messages.len(), 1, "{words}: {}", ran.stderr);
    for part in sentence {
        assert!(messages[0].contains(part), "{words}: `{part}` is missing in: {}", messages[0]);
    }
    assert_eq!(scratch.names(), before, "{words}: a file was left behind");
    assert!(ran.stdout.is_empty(), "{words}");
}

/// Runs a command line that must be rejected as a usage error.
fn assert_usage_error(scratch: &Scratch, words: &str, part: &str) {
    let ran = scratch.run(words);
    assert_eq!(ran.code, 2, "{words}: {}", ran.stderr);
    assert!(ran.stderr.contains(part), "{words}: {}", ran.stderr);
    assert!(ran.stdout.is_empty(), "{words}");
}

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write_file("in.pcap", capture(3));
    scratch
}

#[test]
fn unknown_options_are_usage_errors() {
    let scratch = scratch();
    assert_usage_error(&scratch, "", "Usage");
    assert_usage_error(&scratch, "repaly in.pcap", "replay");
    assert_usage_error(&scratch, "replay --target 192.0.2.1", "INPUT");
    assert_usage_error(&scratch, "replay in.pcap", "<--config <FILE>|--target <ADDRESS>>");
    assert_usage_error(&scratch, "replay in.pcap --target 192.0.2.1 --wirte out.pcap", "--write");
    assert_usage_error(&scratch, "replay in.pcap --target 192.0.2.1 --loop 0", "--loop");
    assert_usage_error(
        &scratch,
        "replay in.pcap --target 192.0.2.1 --direction up",
        "ingress, egress",
    );
    assert_usage_error(
        &scratch,
        "replay in.pcap --target 192.0.2.1 --config a.toml",
        "cannot be used with",
    );
    assert_usage_error(
        &scratch,
        "replay in.pcap --config a.toml --packet-length 9",
        "cannot be used with",
    );
    assert_usage_error(&scratch, "explain in.pcap --target 192.0.2.1 --format xml", "json");
    assert_eq!(scratch.names(), ["in.pcap"]);
}

#[test]
fn invalid_option_values_are_usage_errors() {
    let scratch = scratch();
    let replay = "replay in.pcap --write out.pcap --target";
    assert_fails(&scratch, &format!("{replay} nowhere"), 2, &["--target", "nowhere"]);
    let wrong = "192.0.2.1 --virtual-network-id 16777216";
    assert_fails(&scratch, &format!("{replay} {wrong}"), 2, &["--virtual-network-id", "16777216"]);
    let wrong = "192.0.2.1 --virtual-network-id -1";
    assert_fails(&scratch, &format!("{replay} {wrong}"), 2, &["--virtual-network-id", "-1"]);
    for wrong in ["0", "8501", "-5", "x", "99999999999999999999"] {
        let words = format!("{replay} 192.0.2.1 --packet-length {wrong}");
        assert_fails(&scratch, &words, 2, &["--packet-length", wrong, "from 1 to 8500"]);
    }
    let words = format!("{replay} 192.0.2.1 --vni x");
    assert_fails(&scratch, &words, 2, &["--virtual-network-id `x`", "from 0 to 16777215"]);
    let words = format!("{replay} 192.0.2.1 --speed x");
    let ran = scratch.run(&words);
    assert_eq!((ran.code, ran.stderr.matches("speed").count()), (2, 1), "{}", ran.stderr);
    for option in ["--seed", "--loop"] {
        let words = format!("{replay} 192.0.2.1 {option} -1");
        assert_usage_error(&scratch, &words, "to 18446744073709551615");
    }
    let words = format!("{replay} 192.0.2.1 --source 2001:db8::1");
    assert_fails(&scratch, &words, 2, &["--source", "2001:db8::1", "IPv4"]);
    let words = format!("{replay} [2001:db8::1]:4789 --source 192.0.2.1");
    assert_fails(&scratch, &words, 2, &["--source", "192.0.2.1", "IPv6"]);
}

#[test]
fn conflicting_options_are_usage_errors() {
    let scratch = scratch();
    let both = "--target 192.0.2.1 --write";
    for name in ["out.pcap.gz", "out.pcap.zst"] {
        assert_fails(&scratch, &format!("replay in.pcap {both} {name}"), 2, &["--write", name]);
    }
    assert_fails(&scratch, &format!("replay in.pcap {both} in.pcap"), 2, &["--write", "INPUT"]);
    assert_fails(
        &scratch,
        &format!("replay in.pcap {both} - --report json"),
        2,
        &["the JSON report"],
    );
    assert_fails(
        &scratch,
        "replay - --loop 2 --target 192.0.2.1",
        2,
        &["--loop", "standard input"],
    );
    assert_fails(&scratch, "replay - - --target 192.0.2.1", 2, &["standard input"]);
}

#[test]
fn an_invalid_configuration_is_an_error() {
    let scratch = scratch();
    scratch
        .write_file("unknown.toml", session_config().replace("session_number", "session_numbre"));
    scratch.write_file("not.toml", "this is = no [configuration");
    let replay = "replay in.pcap --write out.pcap --config";
    let ran = scratch.run(&format!("{replay} unknown.toml"));
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.messages().iter().any(|one| one.contains("session_numbre")), "{}", ran.stderr);
    assert!(ran.messages().iter().all(|one| one.contains("unknown.toml")), "{}", ran.stderr);
    for command in [replay, "check --config", "explain in.pcap --config"] {
        assert_fails(&scratch, &format!("{command} not.toml"), 2, &["not.toml"]);
        assert_fails(
            &scratch,
            &format!("{command} absent.toml"),
            2,
            &["absent.toml", "No such file"],
        );
        assert_fails(&scratch, &format!("{command} ."), 2, &["directory"]);
    }
}

/// All errors of all files at once.
#[test]
fn all_errors_of_a_configuration_are_reported() {
    let scratch = scratch();
    let one = session_config()
        .replace("192.0.2.10", "nowhere")
        .replace("rule_number = 100", "rule_number = 0");
    scratch.write_file("one.toml", one);
    scratch.write_file("two.toml", "colour = 1\n");
    let ran = scratch.run("check --config one.toml --config two.toml");
    assert_eq!(ran.code, 2);
    for part in ["nowhere", "rule_number", "colour"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
}

#[test]
fn inputs_that_are_not_captures_are_errors() {
    let scratch = scratch();
    scratch.write_file("empty.pcap", "");
    scratch.write_file("letter.txt", "Dear reader,\nthis is a letter and no capture.\n");
    scratch.write_file("short", "a");
    scratch.write_file("mirror.toml", session_config());
    for command in ["replay --write out.pcap --target 192.0.2.1", "explain --config mirror.toml"] {
        assert_fails(
            &scratch,
            &format!("{command} absent.pcap"),
            1,
            &["absent.pcap", "No such file"],
        );
        assert_fails(&scratch, &format!("{command} ."), 1, &["directory"]);
        assert_fails(&scratch, &format!("{command} empty.pcap"), 1, &["empty.pcap", "it is empty"]);
        assert_fails(
            &scratch,
            &format!("{command} letter.txt"),
            1,
            &["letter.txt", "not a capture"],
        );
        assert_fails(&scratch, &format!("{command} short"), 1, &["short", "not a capture"]);
        assert_fails(&scratch, &format!("{command} -"), 1, &["standard input", "it is empty"]);
    }
    // Each invalid input is reported.
    let ran = scratch.run("replay in.pcap absent.pcap empty.pcap --target 192.0.2.1");
    assert_eq!((ran.code, ran.messages().len()), (1, 2), "{}", ran.stderr);
}

/// "A cut last record ends the reading with one warning that says the record and the offset, what
/// came before is mirrored and counted, exit code 1."
#[test]
fn frames_before_a_truncation_are_written() {
    let scratch = Scratch::new();
    let whole = capture(100);
    scratch.write_file("cut.pcap", &whole[..whole.len() - 5]);
    scratch.write_file("sound.pcap", capture(10));
    for write in ["out.pcap", "out.pcapng"] {
        let words = format!(
            "replay cut.pcap sound.pcap --loop 2 --target 192.0.2.1 --report json --write {write}"
        );
        let ran = scratch.run(&words);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let offset = 24 + 99 * (whole.len() - 24) / 100;
        let expected = format!("cut.pcap: record 100 at byte {offset} is damaged");
        assert_eq!(ran.messages().len(), 1, "{}", ran.stderr);
        assert!(ran.messages()[0].starts_with(&expected), "{}", ran.stderr);
        let report = ran.json();
        assert_eq!((&report["received"], &report["mirrored"]), (&218.into(), &218.into()));
        assert!(scratch.path(write).is_file());
    }
    assert_eq!(records::read(&std::fs::read(scratch.path("out.pcap")).unwrap()).len(), 218);
    let ran = scratch.run("explain cut.pcap --target 192.0.2.1");
    assert_eq!((ran.code, ran.text().lines().count()), (1, 99));
    assert!(ran.messages()[0].contains("record 100"), "{}", ran.stderr);
}

#[test]
fn an_unsupported_link_type_is_counted() {
    let scratch = Scratch::new();
    scratch.write_file("radio.pcap", capture_of_type(127, 5));
    let ran = scratch.run("replay radio.pcap --target 192.0.2.1 --report json --write out.pcap");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.messages().len(), 1, "{}", ran.stderr);
    assert!(ran.messages()[0].starts_with("warning: radio.pcap: link type 127"), "{}", ran.stderr);
    assert_eq!(ran.json()["not_mirrored"]["unsupported_link_type"], 5);
    assert_eq!(std::fs::read(scratch.path("out.pcap")).unwrap().len(), 24);
    let ran = scratch.run("explain radio.pcap --target 192.0.2.1");
    assert_eq!(ran.code, 0);
    assert_eq!(ran.text().matches("unsupported_link_type").count(), 5);
}

#[test]
fn a_full_disk_is_an_error() {
    let scratch = Scratch::new();
    scratch.write_file("in.pcap", capture(20_000));
    let words = "replay in.pcap --target 192.0.2.1 --write /dev/full";
    assert_fails(&scratch, words, 1, &["/dev/full: No space left"]);
}

/// A limit of about 100 KiB on the size of files (`ulimit -f`) replaces a disk that fills up. The
/// file is not kept, so all its copies are counted as dropped.
#[test]
fn a_disk_that_fills_up_is_an_error() {
    for name in ["out.pcap", "out.pcapng"] {
        let scratch = Scratch::new();
        scratch.write_file("in.pcap", capture(20_000));
        scratch.write_file(name, "precious");
        let limited = format!(
            "trap '' XFSZ; ulimit -f 200; exec {} replay in.pcap --target 192.0.2.1 --report json --write {name}",
            binary().display()
        );
        let output = Command::new("sh")
            .args(["-c", &limited])
            .current_dir(scratch.path("."))
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        let sentence = format!("traffic-mirror: {name}: File too large");
        assert!(stderr.starts_with(&sentence), "{stderr}");
        assert_eq!(scratch.names(), ["in.pcap", name], "a partial file was left behind");
        assert_eq!(std::fs::read(scratch.path(name)).unwrap(), b"precious");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let sum = |name: &str| -> u64 {
            report[name].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
        };
        let mirrored = report["mirrored"].as_u64().unwrap();
        let accounted = mirrored + sum("not_mirrored") + sum("dropped");
        assert_eq!(report["received"], accounted);
        assert_eq!(report["dropped"]["output_failed"], report["received"], "{report}");
        assert_eq!((&report["mirrored"], &report["mirrored_bytes"]), (&0.into(), &0.into()));
    }
}

#[test]
fn output_paths_that_cannot_be_written_are_errors() {
    let scratch = scratch();
    let replay = "replay in.pcap --target 192.0.2.1 --write";
    assert_fails(&scratch, &format!("{replay} ."), 1, &["directory"]);
    assert_fails(
        &scratch,
        &format!("{replay} absent/out.pcap"),
        1,
        &["absent/out.pcap", "No such file"],
    );
    assert_fails(&scratch, &format!("{replay} in.pcap/out.pcap"), 1, &["in.pcap/out.pcap"]);
}

/// An existing file stays unchanged if the run fails.
#[test]
fn a_failed_run_leaves_the_old_file() {
    let scratch = scratch();
    scratch.write_file("out.pcap", "precious");
    assert_fails(
        &scratch,
        "replay absent.pcap --target 192.0.2.1 --write out.pcap",
        1,
        &["absent"],
    );
    assert_eq!(std::fs::read(scratch.path("out.pcap")).unwrap(), b"precious");
}

/// Runs a command and reads only the first bytes of its standard output.
fn read_first_bytes(scratch: &Scratch, words: &str) -> (Option<i32>, String) {
    let mut child = Command::new(binary())
        .current_dir(scratch.path("."))
        .args(words.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first_bytes = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first_bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_closed_pipe_is_an_error_for_a_written_capture() {
    let scratch = Scratch::new();
    scratch.write_file("in.pcap", capture(20_000));
    let (code, stderr) = read_first_bytes(&scratch, "replay in.pcap --target 192.0.2.1 --write -");
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.starts_with("traffic-mirror: standard output: Broken pipe"), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    // A reader such as `head` closes a text early, which is not a failure.
    let (code, stderr) = read_first_bytes(&scratch, "explain in.pcap --target 192.0.2.1");
    assert_eq!((code, &*stderr), (Some(0), ""));
}
