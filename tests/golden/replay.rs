//! Replays every folder of `pcaps/` and compares the output, byte for byte.
//! `BLESS=1 cargo test --test golden` writes the current output as the expected one.

#![expect(clippy::unwrap_used, reason = "a broken case ends the test")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// One golden folder.
struct GoldenCase {
    path: PathBuf,
    input: String,
    output: &'static str,
    more_args: Vec<String>,
    exit_code: i32,
}

/// The result of one replay.
struct ReplayResult {
    capture: Vec<u8>,
    report: Value,
    exit_code: Option<i32>,
    stderr: String,
}

impl GoldenCase {
    fn open(path: PathBuf) -> Result<Self, String> {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for needed in ["README.md", "mirror.toml"] {
            if !path.join(needed).is_file() {
                return Err(format!("{name}: {needed} is missing"));
            }
        }
        let entries = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name());
        let mut inputs = entries.filter_map(|name| name.into_string().ok());
        let input = inputs.find(|file| file.starts_with("input.pcap"));
        let input = input.ok_or_else(|| format!("{name}: expected input.pcap or input.pcapng"))?;
        let text = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default();
        let more_args = text("args").lines().map(str::to_owned).collect();
        let exit_code = text("exit_code").trim().parse().unwrap_or(0);
        let pcapng = name.ends_with("-to-pcapng");
        let output = if pcapng { "expected.pcapng" } else { "expected.pcap" };
        Ok(Self { path, input, output, more_args, exit_code })
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap().to_string_lossy().into_owned()
    }

    fn replay(&self) -> Result<ReplayResult, String> {
        let scratch = tempfile::tempdir().unwrap();
        let written = scratch.path().join(self.output);
        let output = Command::new(env!("CARGO_BIN_EXE_traffic-mirror"))
            .current_dir(&self.path)
            .args(["replay", &self.input, "--config", "mirror.toml", "--report", "json", "--write"])
            .arg(&written)
            .args(&self.more_args)
            .output()
            .map_err(|error| format!("{}: {error}", self.name()))?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let error = |what: &str| format!("{}: {what}\n{stderr}", self.name());
        let mut report: Value = serde_json::from_slice(&output.stdout)
            .map_err(|cause| error(&format!("the report is not JSON: {cause}")))?;
        let members = report.as_object_mut().ok_or_else(|| error("the report is not an object"))?;
        members.remove("elapsed_ns").ok_or_else(|| error("the report has no elapsed_ns"))?;
        let capture = fs::read(&written).map_err(|cause| error(&format!("no output: {cause}")))?;
        Ok(ReplayResult { capture, report, exit_code: output.status.code(), stderr })
    }

    /// All problems of the folder; with `bless`, first writes the output of a valid replay.
    fn problems(&self, bless: bool) -> Vec<String> {
        let (first, second) = match (self.replay(), self.replay()) {
            (Ok(first), Ok(second)) => (first, second),
            (Err(complaint), _) | (_, Err(complaint)) => return vec![complaint],
        };
        let mut problems = wrong_sums(&first.report, &first.capture);
        if first.capture != second.capture || first.report != second.report {
            problems.push("two runs differ".to_owned());
        }
        if first.exit_code != Some(self.exit_code) {
            problems.push(format!("exit code {:?}, not {}", first.exit_code, self.exit_code));
        }
        if problems.is_empty() && bless {
            self.bless(&first);
        }
        problems.extend(self.differences(&first));
        let stderr = first.stderr.trim_end();
        let with_name = |complaint| format!("{}: {complaint}\n{stderr}", self.name());
        problems.into_iter().map(with_name).collect()
    }

    fn bless(&self, replayed: &ReplayResult) {
        fs::write(self.path.join(self.output), &replayed.capture).unwrap();
        let mut text = serde_json::to_string_pretty(&replayed.report).unwrap();
        text.push('\n');
        fs::write(self.path.join("counters.json"), text).unwrap();
    }

    fn differences(&self, replayed: &ReplayResult) -> Vec<String> {
        let mut differences = Vec::new();
        match fs::read(self.path.join(self.output)) {
            Ok(expected) => differences.extend(first_difference(&expected, &replayed.capture)),
            Err(error) => differences.push(format!("{}: {error}; BLESS=1 writes it", self.output)),
        }
        let counters = fs::read(self.path.join("counters.json")).unwrap_or_default();
        let expected: Value = serde_json::from_slice(&counters).unwrap_or(Value::Null);
        if expected != replayed.report {
            let (expected, found) = (pretty(&expected), pretty(&replayed.report));
            differences.push(format!("counters.json has\n{expected}\nthe report says\n{found}"));
        }
        differences
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

/// The offset at which two files differ, with the bytes around it. None if they are equal.
fn first_difference(expected: &[u8], found: &[u8]) -> Option<String> {
    if expected == found {
        return None;
    }
    let at = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
    let mut text = format!(
        "the output differs from byte {at} on ({} bytes expected, {} found)",
        expected.len(),
        found.len()
    );
    for (name, bytes) in [("expected", expected), ("found", found)] {
        write!(text, "\n  {name:>8}:").unwrap();
        for byte in bytes.iter().skip(at & !15).take(32) {
            write!(text, " {byte:02x}").unwrap();
        }
    }
    Some(text)
}

/// "received = mirrored + sum of not_mirrored + sum of dropped", the sessions add up, and the
/// capture holds as many records as were mirrored.
fn wrong_sums(report: &Value, capture: &[u8]) -> Vec<String> {
    let number = |name: &str| report.get(name).and_then(Value::as_u64).unwrap_or(u64::MAX);
    let sum = |name: &str| -> u64 {
        let counts = report.get(name).and_then(Value::as_object);
        counts.map_or(u64::MAX, |counts| counts.values().filter_map(Value::as_u64).sum())
    };
    let of_sessions = |name: &str| -> u64 {
        let sessions = report.get("sessions").and_then(Value::as_array);
        sessions.into_iter().flatten().filter_map(|s| s.get(name)).filter_map(Value::as_u64).sum()
    };
    let accounted =
        number("mirrored").wrapping_add(sum("not_mirrored")).wrapping_add(sum("dropped"));
    let mut equations = vec![
        ("received is not mirrored + not_mirrored + dropped", number("received"), accounted),
        ("the sessions' mirrored do not add up", number("mirrored"), of_sessions("mirrored")),
        (
            "the sessions' mirrored_bytes do not add up",
            number("mirrored_bytes"),
            of_sessions("mirrored_bytes"),
        ),
    ];
    if let Some(records) = pcap_records(capture) {
        equations.push((
            "the number of records is not the number of mirrored frames",
            number("mirrored"),
            records,
        ));
    }
    let broken = equations.into_iter().filter(|(_, left, right)| left != right);
    broken.map(|(complaint, left, right)| format!("{complaint}: {left} and {right}")).collect()
}

/// The number of records of a little-endian pcap file; none for another format.
fn pcap_records(file: &[u8]) -> Option<u64> {
    let (header, mut rest) = file.split_at_checked(24)?;
    if !matches!(header.first_chunk()?, [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1]) {
        return None;
    }
    let mut records = 0;
    while let Some((header, body)) = rest.split_at_checked(16) {
        let len = u32::from_le_bytes(*header.get(8..)?.first_chunk()?);
        rest = body.get(usize::try_from(len).ok()?..)?;
        records += 1;
    }
    rest.is_empty().then_some(records)
}

fn golden_cases() -> Vec<PathBuf> {
    let pcaps = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    let entries = fs::read_dir(pcaps).unwrap().map(|entry| entry.unwrap().path());
    let mut golden_cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    golden_cases.sort();
    golden_cases
}

#[test]
fn every_golden_case_gives_its_expected_output() {
    let bless = std::env::var_os("BLESS").is_some();
    let golden_cases = golden_cases();
    assert!(golden_cases.len() > 30, "the golden cases were not found");
    let check = |path: &PathBuf| match GoldenCase::open(path.clone()) {
        Ok(folder) => folder.problems(bless),
        Err(complaint) => vec![complaint],
    };
    let problems: Vec<String> = golden_cases.iter().flat_map(check).collect();
    assert!(
        problems.is_empty(),
        "{} problems about {} golden cases:\n{}",
        problems.len(),
        golden_cases.len(),
        problems.join("\n")
    );
}

#[test]
fn a_report_with_wrong_sums_is_detected() {
    let report = |received: u64| {
        serde_json::json!({
            "received": received, "mirrored": 2, "mirrored_bytes": 9, "dropped": {},
            "not_mirrored": {"not_ip": 1},
            "sessions": [{"mirrored": 2, "mirrored_bytes": 9}],
        })
    };
    assert_eq!(wrong_sums(&report(3), b""), [""; 0]);
    assert_eq!(wrong_sums(&report(4), b"").len(), 1);
    assert_eq!(wrong_sums(&serde_json::json!({}), b"").len(), 3);
    let header = [&[0xd4, 0xc3, 0xb2, 0xa1][..], &[0; 20]].concat();
    assert_eq!(wrong_sums(&report(3), &header).len(), 1);
}

#[test]
fn a_difference_of_one_byte_is_detected() {
    assert_eq!(first_difference(b"same", b"same"), None);
    assert!(first_difference(b"same", b"sane").unwrap().contains("from byte 2 on"));
    assert!(first_difference(b"same", b"sam").unwrap().contains("from byte 3 on"));
}
