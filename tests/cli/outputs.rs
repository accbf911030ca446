//! Options that change the output of `replay`.

use std::fs;
use std::process::Command;
use std::thread::JoinHandle;

use crate::run::{Scratch, capture, session_config};
use testkit::records;

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write_file("in.pcap", capture(7));
    scratch.write_file("more.pcap", capture(5));
    scratch.write_file("mirror.toml", session_config());
    scratch
}

/// Creates the named pipe `pipe.pcap`, through which a thread sends a capture of five frames once.
fn piped_capture(scratch: &Scratch) -> JoinHandle<()> {
    let pipe = scratch.path("pipe.pcap");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::thread::spawn(move || fs::write(pipe, capture(5)).unwrap())
}

#[test]
fn standard_input_and_output_are_captures() {
    let scratch = scratch();
    let options = "--target 192.0.2.1 --virtual-network-id 42 --write";
    assert_eq!(scratch.run(&format!("replay in.pcap {options} out.pcap")).code, 0);
    let ran = scratch.run_with(&format!("replay - {options} -"), capture(7));
    assert_eq!((ran.code, ran.messages().len()), (0, 0), "{}", ran.stderr);
    assert_eq!(ran.stdout, fs::read(scratch.path("out.pcap")).unwrap());
    assert_eq!(records::read(&ran.stdout).len(), 7);
    let explained = scratch.run_with("explain - --target 192.0.2.1", capture(7));
    assert_eq!((explained.code, explained.text().lines().count()), (0, 7));
}

#[test]
fn two_inputs_are_read_as_one() {
    let scratch = scratch();
    let words = "replay in.pcap more.pcap --config mirror.toml --write out.pcap --report json";
    let ran = scratch.run(words);
    assert_eq!((ran.code, &ran.json()["received"]), (0, &12.into()), "{}", ran.stderr);
    let numbers: Vec<u64> = records::read(&fs::read(scratch.path("out.pcap")).unwrap())
        .iter()
        .map(|record| record.timestamp_ns / 1_000_000_000)
        .collect();
    assert_eq!(numbers, (0..7).chain(0..5).collect::<Vec<u64>>());
    let mixed = scratch.run_with("replay in.pcap - --config mirror.toml --report json", capture(2));
    assert_eq!(mixed.json()["received"], 9);
}

#[test]
fn loop_multiplies_the_counts() {
    let scratch = scratch();
    let packed = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, &capture(7)).unwrap();
        encoder.finish().unwrap()
    };
    scratch.write_file("in.pcap.gz", packed);
    for input in ["in.pcap", "in.pcap.gz"] {
        let once =
            scratch.run(&format!("replay {input} --config mirror.toml --report json")).json();
        let words =
            format!("replay {input} --config mirror.toml --report json --loop 3 --write o.pcap");
        let thrice = scratch.run(&words).json();
        for name in ["received", "mirrored", "mirrored_bytes"] {
            let (once, thrice) = (once[name].as_u64().unwrap(), thrice[name].as_u64().unwrap());
            assert!(once > 0);
            assert_eq!(3 * once, thrice, "{name} of {input}");
        }
        assert_eq!(records::read(&fs::read(scratch.path("o.pcap")).unwrap()).len(), 21);
    }
}

/// The copies of the first pass are valid, and other captures are read again.
#[test]
fn a_capture_that_cannot_be_read_again_is_an_error_of_this_capture_alone() {
    let scratch = scratch();
    let writer = piped_capture(&scratch);
    let words =
        "replay pipe.pcap in.pcap --config mirror.toml --report json --loop 3 --write o.pcap";
    let ran = scratch.run(words);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    writer.join().unwrap();
    assert_eq!(ran.messages().len(), 1, "{}", ran.stderr);
    assert!(ran.messages()[0].contains("pipe.pcap cannot be read a second time"), "{}", ran.stderr);
    assert_eq!(ran.json()["received"], 5 + 3 * 7);
    assert_eq!(records::read(&fs::read(scratch.path("o.pcap")).unwrap()).len(), 26);
}

#[test]
fn passes_in_which_no_capture_can_be_read_are_not_tried() {
    let scratch = scratch();
    let writer = piped_capture(&scratch);
    let ran =
        scratch.run("replay pipe.pcap --config mirror.toml --loop 1000000000000 --report json");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    writer.join().unwrap();
    assert_eq!(ran.json()["received"], 5);
}

#[test]
fn the_json_report_is_one_object_on_standard_output() {
    let scratch = scratch();
    let ran = scratch.run("replay in.pcap --config mirror.toml --report json");
    assert_eq!(ran.text().lines().count(), 1);
    let report = ran.json();
    for name in ["received", "mirrored", "mirrored_bytes", "elapsed_ns"] {
        assert!(report[name].is_u64(), "{name}: {report}");
    }
    for name in ["dropped", "not_mirrored"] {
        assert!(report[name].is_object(), "{name}: {report}");
    }
    let session = &report["sessions"][0];
    assert!(session["traffic_mirror_session_id"].is_string(), "{report}");
    assert_eq!(session["session_number"], 1);
    assert_eq!((&session["mirrored"], &session["truncated"]), (&7.into(), &0.into()));
    assert!(session["virtual_network_id"].is_u64(), "{report}");
    let bytes = 7 * u64::from(records::read(&capture(1))[0].wire_len);
    assert_eq!(session["mirrored_bytes"], bytes);
    // The table is printed on standard error; standard output stays empty.
    let ran = scratch.run("replay in.pcap --config mirror.toml");
    assert_eq!(ran.text(), "");
    assert!(ran.stderr.contains("frames received"), "{}", ran.stderr);
}

#[test]
fn the_direction_can_be_forced() {
    let scratch = scratch();
    let ran = |more: &str| {
        scratch.run(&format!("replay in.pcap --config mirror.toml --report json {more}")).json()
    };
    assert_eq!(ran("")["mirrored"], 7);
    assert_eq!(ran("--direction ingress")["mirrored"], 7);
    let egress = ran("--direction egress");
    assert_eq!((&egress["mirrored"], &egress["received"]), (&0.into(), &7.into()));
    assert_eq!(egress["not_mirrored"]["no_session_matched"], 7);
}

#[test]
fn the_seed_selects_the_virtual_network_ids() {
    let scratch = scratch();
    let network_id = |more: &str| {
        let words = format!("replay in.pcap --config mirror.toml --report json {more}");
        scratch.run(&words).json()["sessions"][0]["virtual_network_id"].as_u64().unwrap()
    };
    assert_eq!(network_id(""), network_id("--seed 0"));
    assert_eq!(network_id("--seed 7"), network_id("--seed 7"));
    assert_ne!(network_id("--seed 7"), network_id("--seed 8"));
    let words = "replay in.pcap --target 192.0.2.1 --virtual-network-id 42 --seed 7 --report json";
    assert_eq!(scratch.run(words).json()["sessions"][0]["virtual_network_id"], 42);
}

#[test]
fn explain_prints_one_line_per_frame() {
    let scratch = scratch();
    let ran = scratch.run("explain in.pcap --config mirror.toml --format json");
    assert_eq!(ran.code, 0);
    for (number, line) in (1..).zip(ran.text().lines()) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["number"], &line["verdict"]), (&number.into(), &"mirrored".into()));
        assert_eq!((&line["direction"], &line["rule_number"]), (&"ingress".into(), &100.into()));
    }
    assert_eq!(ran.text().lines().count(), 7);
}

#[test]
fn the_output_of_check_is_an_equal_configuration() {
    let scratch = scratch();
    let first = scratch.run("check --config mirror.toml");
    assert_eq!(first.code, 0, "{}", first.stderr);
    scratch.write_file("again.toml", &first.stdout);
    assert_eq!(scratch.run("check --config again.toml").text(), first.text());
}
