//! Runs the binary in a scratch folder, and makes captures for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assert_cmd::Command;
use tempfile::TempDir;
use testkit::config::one_session;

/// A program that runs longer has failed the test.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A folder, removed at the end of the test.
pub(crate) struct Scratch(TempDir);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct CommandResult {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write_file(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// The names in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn run(&self, words: &str) -> CommandResult {
        self.run_with(words, Vec::new())
    }

    /// Runs the program without capabilities, if this process is root.
    pub(crate) fn run_unprivileged(&self, words: &str) -> CommandResult {
        if !testkit::namespace::is_root() {
            return self.run(words);
        }
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", "-all", "--inh-caps", "-all"]).arg(binary());
        self.run_command(command, words, Vec::new())
    }

    /// Runs the program in the folder with these arguments and this standard input.
    pub(crate) fn run_with(&self, words: &str, stdin: Vec<u8>) -> CommandResult {
        self.run_command(Command::new(binary()), words, stdin)
    }

    fn run_command(&self, mut command: Command, words: &str, stdin: Vec<u8>) -> CommandResult {
        let output = command
            .current_dir(self.0.path())
            .args(words.split_whitespace())
            .write_stdin(stdin)
            .timeout(TIMEOUT)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panicked"), "{words}: {stderr}");
        CommandResult { code: output.status.code().unwrap(), stdout: output.stdout, stderr }
    }
}

impl CommandResult {
    /// The messages, each without the name of the program.
    pub(crate) fn messages(&self) -> Vec<&str> {
        let lines = self.stderr.lines();
        lines.filter_map(|line| line.strip_prefix("traffic-mirror: ")).collect()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_traffic-mirror"))
}

/// A pcap file of `frames` UDP packets.
pub(crate) fn capture(frames: u32) -> Vec<u8> {
    capture_of_type(1, frames)
}

pub(crate) fn capture_of_type(link_type: u32, frames: u32) -> Vec<u8> {
    let mut file = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0].to_vec();
    file.extend([0; 8]);
    file.extend([0, 0, 4, 0]);
    file.extend(link_type.to_le_bytes());
    for number in 0..frames {
        let frame = packet(number);
        let len = u32::try_from(frame.len()).unwrap();
        for word in [number, 0, len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

fn packet(number: u32) -> Vec<u8> {
    let payload = number.to_be_bytes().repeat(8);
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 8], [2, 0, 0, 0, 0, 9])
        .ipv4([10, 0, 0, 8], [10, 0, 0, 9], 64)
        .udp(1_234, 5_678);
    let mut frame = Vec::new();
    builder.write(&mut frame, &payload).unwrap();
    frame
}

/// A session of the interface with the address 10.0.0.9 that accepts all ingress packets.
pub(crate) fn session_config() -> String {
    let interface = "mac_address = \"02:00:00:00:00:09\"\nprivate_ip_addresses = [\"10.0.0.9\"]";
    one_session(interface, "192.0.2.10", &["ingress"])
}
