//! Asks tshark, where it is installed, about the outer headers of every golden output.

#![expect(clippy::unwrap_used, reason = "a broken file ends the test")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first occurrence of each in a frame is that of the outer headers.
const FIELDS: &[&str] = &[
    "frame.number",
    "frame.len",
    "eth.type",
    "ip.len",
    "ip.hdr_len",
    "ip.ttl",
    "ip.checksum.status",
    "ipv6.plen",
    "ipv6.hlim",
    "udp.dstport",
    "udp.length",
    "udp.checksum.status",
    "vxlan.flags",
    "vxlan.vni",
];

/// Says it past the test harness, which keeps what a passing test prints.
fn say(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

fn tshark(file: &Path) -> String {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-n", "-T", "fields", "-E", "occurrence=f"]);
    for check in ["ip.check_checksum:TRUE", "udp.check_checksum:TRUE"] {
        command.args(["-o", check]);
    }
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", file.display());
    String::from_utf8(output.stdout).unwrap()
}

/// What is wrong with one line of tshark's, nothing where all is well.
fn complaint(line: &str) -> Option<String> {
    let values: Vec<&str> = line.split('\t').collect();
    let text = |field: &str| {
        let at = FIELDS.iter().position(|known| *known == field);
        at.and_then(|at| values.get(at)).copied().unwrap_or_default()
    };
    let number = |field: &str| text(field).parse::<u32>().unwrap_or(0);
    let good = |field: &str| matches!(text(field), "1" | "Good");
    let absent = |field: &str| matches!(text(field), "3" | "Not present");
    let frame_len = number("frame.len");
    let (udp_len, is_sound) = match text("eth.type") {
        "0x0800" => {
            let header = number("ip.hdr_len") == 20 && number("ip.ttl") == 255;
            let sums = good("ip.checksum.status") && absent("udp.checksum.status");
            (frame_len - 34, header && sums && number("ip.len") == frame_len - 14)
        }
        "0x86dd" => {
            let header = number("ipv6.hlim") == 255;
            let sums = good("udp.checksum.status");
            (frame_len - 54, header && sums && number("ipv6.plen") == frame_len - 54)
        }
        _ => (0, false),
    };
    let is_vxlan = number("udp.dstport") == 4789
        && number("udp.length") == udp_len
        && text("vxlan.flags") == "0x0800"
        && !text("vxlan.vni").is_empty();
    let names = || FIELDS.iter().zip(&values).map(|(name, value)| format!("{name}={value}"));
    (!is_sound || !is_vxlan).then(|| names().collect::<Vec<_>>().join(" "))
}

fn expected_captures() -> Vec<PathBuf> {
    let pcaps = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    let folders = fs::read_dir(pcaps).unwrap().map(|entry| entry.unwrap().path());
    let outputs = ["expected.pcap", "expected.pcapng"];
    let files = folders.flat_map(|folder| outputs.map(|output| folder.join(output)));
    files.filter(|file| file.is_file()).collect()
}

#[test]
fn tshark_finds_nothing_wrong_with_the_outer_headers() {
    if Command::new("tshark").arg("--version").output().is_err() {
        say("NOT RUN: tshark is not installed, so nobody else looked at the golden outputs");
        return;
    }
    let files = expected_captures();
    assert!(files.len() > 30, "the golden outputs were not found");
    let mut complaints = Vec::new();
    for file in files {
        let name = file.display().to_string();
        let lines = tshark(&file);
        let found = lines.lines().filter_map(complaint);
        complaints.extend(found.map(|found| format!("{name}: {found}")));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn what_tshark_says_of_a_broken_copy_is_a_complaint() {
    let line = "1\t104\t0x0800\t90\t20\t255\t1\t\t\t4789\t70\t3\t0x0800\t4242";
    assert_eq!(complaint(line), None);
    for (right, wrong) in
        [("\t90\t", "\t91\t"), ("\t70\t", "\t71\t"), ("255\t1", "255\t0"), ("0x0800\t4242", "\t")]
    {
        assert!(complaint(&line.replace(right, wrong)).is_some(), "{wrong}");
    }
}
