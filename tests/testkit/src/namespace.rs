//! A network namespace for one test, and whether the system allows it.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use traffic_mirror::io::links::{enter_network_namespace, link_by_name};

use crate::print_uncaptured;

/// A network namespace, removed at the end of the test.
#[derive(Debug)]
pub struct Namespace {
    pub name: String,
}

/// Whether tests can create namespaces; prints `NOT RUN:` if root cannot. For other users, the test
/// `unprivileged` runs all live tests again as root of a user namespace.
pub fn can_run() -> bool {
    static IS_ABLE: OnceLock<bool> = OnceLock::new();
    *IS_ABLE.get_or_init(|| {
        if !is_root() {
            return false;
        }
        let is_able = has_tools() && Namespace::try_new("probe").is_some();
        if !is_able {
            print_uncaptured(
                "NOT RUN: run in network namespaces needs root, ip, ethtool and setpriv\n",
            );
        }
        is_able
    })
}

/// Whether this process is root, possibly only in a user namespace.
pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// Whether `ip`, `ethtool` and `setpriv` are installed.
pub fn has_tools() -> bool {
    let has = |program: &str, argument: &str| {
        Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
    };
    has("ip", "-V") && has("ethtool", "--version") && has("setpriv", "--version")
}

impl Namespace {
    /// A namespace without automatic IPv6 addresses.
    pub fn new(name: &str) -> Self {
        Self::try_new(name).unwrap()
    }

    /// None if namespaces cannot be created.
    pub fn try_new(name: &str) -> Option<Self> {
        let name = format!("tm-{name}-{}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        made.is_ok_and(|output| output.status.success()).then(|| Self { name })
    }

    /// Runs several lines of `ip` in one process.
    pub fn ip(&self, lines: &str) {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name, "-batch", "-"]);
        let mut ip = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        ip.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let output = ip.wait_with_output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "in {}: {lines}\n{complaint}", self.name);
    }

    /// A command in the namespace. Its process id is that of the program, and it ends with the
    /// thread that starts it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "setpriv", "--pdeathsig", "KILL", program]);
        command
    }

    /// Runs a command that must succeed, with its arguments separated by spaces.
    pub fn run(&self, words: &str) {
        let mut words = words.split(' ');
        let output = self.command(words.next().unwrap()).args(words.clone()).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "in {}: {words:?}: {complaint}", self.name);
    }

    /// Switches features of a device, as in `gro on tso off`.
    pub fn offload(&self, device: &str, features: &str) {
        self.run(&format!("ethtool -K {device} {features}"));
    }

    /// Runs `work` on a new thread in the namespace. Sockets that it opens stay in the namespace.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter_and_work = || {
            enter_network_namespace(&self.name).unwrap();
            work()
        };
        thread::scope(|scope| match scope.spawn(enter_and_work).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// The index of a device.
    pub fn index_of(&self, device: &str) -> u32 {
        self.inside(|| link_by_name(device)).unwrap().unwrap().index
    }

    /// A file below /proc/net of this namespace.
    pub fn proc_net(&self, file: &str) -> String {
        self.inside(|| std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap())
    }

    /// The number of packets that a device has received and sent.
    pub fn packets(&self, device: &str) -> u64 {
        let table = self.proc_net("dev");
        let start = format!("{device}:");
        let line = table.lines().find_map(|line| line.trim().strip_prefix(&start)).unwrap();
        // Bytes, packets and six further columns for received packets, then the same for sent ones.
        let columns: Vec<u64> =
            line.split_whitespace().map(|column| column.parse().unwrap()).collect();
        columns[1] + columns[9]
    }

    /// A counter of /proc/net/snmp, as in `Ip` and `FragCreates`.
    pub fn counter(&self, protocol: &str, name: &str) -> u64 {
        let table = self.proc_net("snmp");
        let start = format!("{protocol}: ");
        let mut lines = table.lines().filter_map(|line| line.strip_prefix(&start));
        let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
        let mut pairs = names.split(' ').zip(values.split(' '));
        pairs.find(|(each, _)| *each == name).unwrap().1.parse().unwrap()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}
