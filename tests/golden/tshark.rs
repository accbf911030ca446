//! Checks the outer headers of every golden output with tshark, if it is installed.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a broken file ends the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::print_uncaptured;

/// The fields that tshark prints. Their first occurrence in a frame is in the outer headers.
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

/// What tshark prints for every copy in GENEVE.
const IN_GENEVE: [(&str, &str); 6] = [
    ("geneve.version", "0"),
    ("geneve.vni", "0x000000"),
    ("geneve.option.class", "0x0108,0x0108,0x0108"),
    ("geneve.option.type", "0x01,0x02,0x03"),
    ("geneve.option.length", "32,12,12,8"),
    ("vxlan.flags", "0x0800"),
];

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

/// Whether the copies of a file are in GENEVE, by the port of the first one.
fn is_geneve(lines: &str) -> bool {
    let port = FIELDS.iter().position(|known| *known == "udp.dstport").unwrap();
    lines.lines().next().is_some_and(|line| line.split('\t').nth(port) == Some("6081"))
}

/// The wrong lines of a file whose copies are in GENEVE. The VXLAN packet must end
/// where the outer one does, and the headers before it must have the right length.
fn geneve_problems(file: &Path) -> Vec<String> {
    let lengths = ["frame.len", "geneve.proto_type", "udp.length", "udp.checksum.status"];
    let names = lengths.into_iter().chain(IN_GENEVE.iter().map(|(name, _)| *name));
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-n", "-T", "fields", "-o", "udp.check_checksum:TRUE"]);
    command.args(names.flat_map(|name| ["-e", name]));
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", file.display());
    let output = String::from_utf8(output.stdout).unwrap();
    let is_sound = |line: &&str| {
        let values: Vec<&str> = line.split('\t').collect();
        let (first, rest) = values.split_at(lengths.len());
        let frame_len: u32 = first[0].parse().unwrap();
        let (headers_len, sum) = if first[1] == "0x86dd" { (54, "1") } else { (34, "3") };
        let front_len = headers_len - 14 + 8 + 40;
        let udp_lens = [frame_len - headers_len, frame_len - headers_len - front_len];
        let found_lens: Vec<u32> = first[2].split(',').map(|len| len.parse().unwrap()).collect();
        let sums: Vec<&str> = first[3].split(',').take(2).collect();
        found_lens.starts_with(&udp_lens)
            && sums == [sum, sum]
            && rest.iter().zip(IN_GENEVE).all(|(value, (_, right))| *value == right)
    };
    output.lines().filter(|line| !is_sound(line)).map(str::to_owned).collect()
}

/// The problems of one line of tshark, empty if there are none.
fn problem(line: &str) -> Option<String> {
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
fn tshark_reports_no_problem_in_the_outer_headers() {
    if Command::new("tshark").arg("--version").output().is_err() {
        print_uncaptured(
            "NOT RUN: tshark is not installed, so it did not check the golden outputs\n",
        );
        return;
    }
    let files = expected_captures();
    assert!(files.len() > 30, "the golden outputs were not found");
    let (mut copies, mut problems) = (0, Vec::new());
    for file in files {
        let name = file.display().to_string();
        let lines = tshark(&file);
        copies += lines.lines().count();
        let found = match is_geneve(&lines) {
            true => geneve_problems(&file),
            false => lines.lines().filter_map(problem).collect(),
        };
        problems.extend(found.iter().map(|found| format!("{name}: {found}")));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(copies > 400, "tshark read only {copies} copies");
}

#[test]
fn a_broken_copy_is_reported_by_tshark() {
    let line = "1\t104\t0x0800\t90\t20\t255\t1\t\t\t4789\t70\t3\t0x0800\t4242";
    assert_eq!(problem(line), None);
    for (right, wrong) in
        [("\t90\t", "\t91\t"), ("\t70\t", "\t71\t"), ("255\t1", "255\t0"), ("0x0800\t4242", "\t")]
    {
        assert!(problem(&line.replace(right, wrong)).is_some(), "{wrong}");
    }
}
