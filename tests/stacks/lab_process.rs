//! The program `traffic-mirror lab` on a free port of loopback.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use testkit::lab_client::{Reply, send};
use testkit::records::{Record, read};

/// The running program. It ends when this is dropped.
pub(crate) struct LabProcess {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl LabProcess {
    /// Starts the program with these options and waits until it is ready.
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_traffic-mirror"))
            .args(["lab", "--listen", "127.0.0.1:0"])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://");
        Self { address: address.unwrap().parse().unwrap(), child }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn snapshot(&self) -> Value {
        self.send("GET snapshot", "", b"").json()
    }

    /// Plays a capture through a network interface and returns the report.
    pub(crate) fn play(&self, interface: &str, capture: &[u8]) -> Value {
        self.send(&format!("POST network-interfaces/{interface}/frames"), "", capture).json()
    }

    /// The copies of a target, with their outer headers.
    pub(crate) fn copies(&self, target: &str) -> Vec<Record> {
        read(&self.send(&format!("GET targets/{target}/copies"), "", b"").body)
    }

    /// The number of copies of a target, which are removed.
    pub(crate) fn take_copies(&self, target: &str) -> u64 {
        let reply = self.send(&format!("DELETE targets/{target}/copies"), "", b"");
        reply.json()["removed"].as_u64().unwrap()
    }

    fn send(&self, line: &str, headers: &str, body: &[u8]) -> Reply {
        let reply = send(self.address, line, headers, body);
        assert_eq!(reply.status, 200, "{line}: {}", reply.text());
        reply
    }
}

impl Drop for LabProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file of the repository.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// 165 frames, most of them of 10.0.0.5.
pub(crate) fn quickstart() -> Vec<u8> {
    fs::read(path("pcaps/quickstart/input.pcap")).unwrap()
}

/// The source and the destination of the outer IPv4 header of a copy.
pub(crate) fn outer_addresses(copy: &Record) -> [Ipv4Addr; 2] {
    [26, 30].map(|at| {
        let octets: [u8; 4] = copy.bytes[at..at + 4].try_into().unwrap();
        Ipv4Addr::from(octets)
    })
}

/// Asserts that a command succeeds; returns its standard output.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{printed}\n{complaint}");
    printed
}
