//! The kernel's own vxlan device decapsulates our copies, over IPv4 and IPv6. Its output must be
//! equal to the mirrored frames, and must be empty for a wrong VNI.
//!
//! Needs root, `ip`, `tcpdump` and `tcpreplay`; prints `NOT RUN:` otherwise.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use testkit::namespace::{Namespace, is_root};
use testkit::print_uncaptured;

const BINARY: &str = env!("CARGO_BIN_EXE_traffic-mirror");
const VNI: u32 = 4242;

/// Two namespaces joined by a cable; a vxlan device at the far end.
struct Lab {
    near: String,
    far: String,
    target: &'static str,
    source: &'static str,
    folder: tempfile::TempDir,
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {complaint}");
}

fn can_run(test: &str) -> bool {
    let has = |program: &str, argument: &str| {
        Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
    };
    let tools = has("ip", "-V") && has("tcpdump", "--version") && has("tcpreplay", "--version");
    let is_able = is_root() && tools && Namespace::try_new(&format!("{test}-probe")).is_some();
    if !is_able {
        print_uncaptured(
            "NOT RUN: the kernel's vxlan device needs root, ip, tcpdump and tcpreplay\n",
        );
    }
    is_able
}

impl Lab {
    fn new(name: &str, ipv6: bool) -> Self {
        let id = std::process::id();
        let (source, target) =
            if ipv6 { ("fd77::1", "fd77::2") } else { ("10.77.0.1", "10.77.0.2") };
        let lab = Self {
            near: format!("tm-{name}-a-{id}"),
            far: format!("tm-{name}-b-{id}"),
            target,
            source,
            folder: tempfile::tempdir().unwrap(),
        };
        run("ip", &["netns", "add", &lab.near]);
        run("ip", &["netns", "add", &lab.far]);
        run(
            "ip",
            &[
                "link", "add", "va", "netns", &lab.near, "type", "veth", "peer", "name", "vb",
                "netns", &lab.far,
            ],
        );
        let prefix = if ipv6 { "/64" } else { "/24" };
        for (namespace, device, mac, address) in [
            (&lab.near, "va", "02:00:00:00:00:01", source),
            (&lab.far, "vb", "02:00:00:00:00:02", target),
        ] {
            let inside = |arguments: &[&str]| {
                run("ip", &[&["-n", namespace], arguments].concat());
            };
            inside(&["link", "set", device, "address", mac, "mtu", "9000", "up"]);
            let address = format!("{address}{prefix}");
            let mut add = vec!["addr", "add", &address, "dev", device];
            if ipv6 {
                add.push("nodad");
            }
            inside(&add);
        }
        let vni = VNI.to_string();
        run(
            "ip",
            &[
                "-n", &lab.far, "link", "add", "vx0", "type", "vxlan", "id", &vni, "local", target,
                "dstport", "4789", "dev", "vb",
            ],
        );
        run("ip", &["-n", &lab.far, "link", "set", "vx0", "mtu", "8900", "up"]);
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The frames that the kernel decapsulates while `work` runs.
    fn unwrapped_during(&self, work: impl FnOnce()) -> Vec<Vec<u8>> {
        let file = self.path("unwrapped.pcap");
        let mut tcpdump = self.tcpdump(&file);
        pause(700);
        work();
        pause(700);
        // SIGINT makes tcpdump write its buffer.
        run("kill", &["-INT", &tcpdump.id().to_string()]);
        tcpdump.wait().unwrap();
        frames(&file)
    }

    fn tcpdump(&self, file: &Path) -> Child {
        Command::new("ip")
            .args(["netns", "exec", &self.far, "tcpdump", "-i", "vx0", "-Q", "in", "-U", "-s", "0"])
            .args(["-Z", "root", "-B", "16384", "-w"])
            .arg(file)
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Mirrors the quickstart capture to a file and, with `send`, to the target. Returns the
    /// written copies.
    fn replay(&self, vni: u32, send: bool) -> Vec<Vec<u8>> {
        let written = self.path("written.pcap");
        let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps/quickstart/input.pcap");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.near, BINARY, "replay"]).arg(input);
        command.args(["--target", self.target, "--virtual-network-id", &vni.to_string()]);
        command.args(["--source", self.source, "--write"]).arg(&written);
        if send {
            command.args(["--send", "--speed", "5kpps"]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        frames(&written)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in [&self.near, &self.far] {
            let _ = Command::new("ip").args(["netns", "del", namespace]).output();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tcpdump does not say when it is ready")]
fn pause(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

/// The frames of a little-endian pcap file.
fn frames(file: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file).unwrap();
    let mut rest = bytes.get(24..).unwrap_or_default();
    let mut frames = Vec::new();
    while rest.len() >= 16 {
        let len = usize::try_from(u32::from_le_bytes(rest[8..12].try_into().unwrap())).unwrap();
        frames.push(rest[16..16 + len].to_vec());
        rest = &rest[16 + len..];
    }
    frames
}

fn inner_frames(written: &[Vec<u8>], ipv6: bool) -> Vec<Vec<u8>> {
    let outer_len = if ipv6 { 70 } else { 50 };
    written.iter().map(|copy| copy[outer_len..].to_vec()).collect()
}

/// The kernel may deliver flows of different source ports in another order.
fn sorted(mut frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    frames.sort();
    frames
}

fn assert_kernel_decapsulates(name: &str, ipv6: bool) {
    if !can_run(name) {
        return;
    }
    let lab = Lab::new(name, ipv6);
    let mut written = Vec::new();
    let sent = lab.unwrapped_during(|| written = lab.replay(VNI, true));
    let expected = sorted(inner_frames(&written, ipv6));
    assert!(expected.len() > 50, "the quickstart has more frames than {}", expected.len());
    assert_eq!(sorted(sent).len(), expected.len(), "sent as UDP");

    // The written frames, sent unchanged, with our headers and checksums.
    let replayed = lab.unwrapped_during(|| {
        let file = lab.path("written.pcap");
        let file = file.to_str().unwrap();
        run(
            "ip",
            &["netns", "exec", &lab.near, "tcpreplay", "-q", "-i", "va", "--pps", "2000", file],
        );
    });
    assert_eq!(sorted(replayed), expected, "written to a file and put on the wire");

    let decapsulated = lab.unwrapped_during(|| {
        lab.replay(VNI + 1, true);
    });
    assert_eq!(decapsulated.len(), 0, "copies with a wrong VNI must not arrive");
}

#[test]
fn the_kernel_decapsulates_copies_over_ipv4() {
    assert_kernel_decapsulates("v4", false);
}

#[test]
fn the_kernel_decapsulates_copies_over_ipv6() {
    assert_kernel_decapsulates("v6", true);
}
