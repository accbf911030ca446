//! Runs a shell block of a document in a scratch folder, and ends the processes that it started.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::ROOT;
use crate::blocks::{Block, Mode};

/// The devices of the namespace; `wire` is connected to nothing.
const DEVICES: &str = "\
ip link set lo up
ip link add eth0 type veth peer name wire
ip address add 192.0.2.1/24 dev eth0
ip address add 10.0.0.5/24 dev eth0
ip link set eth0 up
ip link set wire up
";

/// Interrupts a command in the foreground after 3 s, as Ctrl-C does.
const INTERRUPTED: &str = "timeout --preserve-status --signal=INT --kill-after=30 3 traffic-mirror";

/// How a block ended, and what it printed on standard output and standard error.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) printed: [String; 2],
}

fn succeeds(command: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(command);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Why the block cannot run on this host. None if it can.
pub(crate) fn obstacle(block: &Block) -> Option<String> {
    let is_there = |name: &str| match name.strip_prefix("python3:") {
        Some(module) => succeeds("python3", &["-c", &format!("import {module}")]),
        None => succeeds("sh", &["-c", &format!("command -v {name}")]),
    };
    if let Mode::NotRun(reason) = &block.mode {
        return Some(reason.clone());
    }
    if block.mode == Mode::Namespace && !succeeds("unshare", &["-rn", "ip", "link"]) {
        return Some("needs `unshare -rn` and `ip`".to_owned());
    }
    let missing = block.needs.iter().find(|name| !is_there(name.as_str()))?;
    Some(format!("{missing} is not installed"))
}

/// The commands of the block with the binary under test, and with an interrupt after 3 s for
/// commands that run until Ctrl-C.
fn script(block: &Block) -> String {
    let mut script = String::new();
    if block.mode == Mode::Namespace {
        script.push_str(DEVICES);
    }
    for line in block.script.replace("\\\n", " ").lines() {
        let line = line.replace("cargo run --release --locked --", "traffic-mirror");
        let runs_until_interrupted = ["traffic-mirror run", "traffic-mirror receive"]
            .iter()
            .any(|command| line.trim_start_matches("sudo ").starts_with(command));
        let has_end = line.trim_end().ends_with('&') || line.contains("--count");
        if runs_until_interrupted && !has_end {
            script.push_str(&line.replacen("traffic-mirror", INTERRUPTED, 1));
        } else {
            script.push_str(&line);
        }
        script.push('\n');
    }
    script
}

/// A folder in which relative names of the documents work and the repository is not changed.
pub(crate) fn scratch_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["pcaps", "contrib", "examples", "benches", "docs"] {
        symlink(Path::new(ROOT).join(name), folder.path().join(name)).unwrap();
    }
    for name in ["target", "runtime", "programs"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::set_permissions(folder.path().join("runtime"), Permissions::from_mode(0o700)).unwrap();
    let sudo = folder.path().join("programs/sudo");
    fs::write(&sudo, "#!/bin/sh\nexec \"$@\"\n").unwrap();
    fs::set_permissions(sudo, Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Runs a block, and ends the processes that it leaves in the background.
pub(crate) fn run(block: &Block, folder: &Path) -> Ended {
    let binary = Path::new(env!("CARGO_BIN_EXE_traffic-mirror")).parent().unwrap();
    let programs = folder.join("programs");
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{path}", programs.display(), binary.display());
    let mut arguments = vec!["--kill-after=10", "180"];
    if block.mode == Mode::Namespace {
        arguments.extend(["unshare", "-rn"]);
    }
    let script = script(block);
    arguments.extend(["sh", "-ec", &script]);
    // Files, because a program in the background would keep a pipe open.
    let files = ["stdout", "stderr"].map(|name| programs.join(name));
    let mut child = Command::new("timeout")
        .args(arguments)
        .current_dir(folder)
        .env("PATH", path)
        .env("XDG_RUNTIME_DIR", folder.join("runtime"))
        .env("AWS_PAGER", "")
        .stdin(Stdio::null())
        .stdout(fs::File::create(&files[0]).unwrap())
        .stderr(fs::File::create(&files[1]).unwrap())
        .spawn()
        .unwrap();
    // `timeout` is the leader of a new process group.
    let group = child.id();
    let status = child.wait().unwrap();
    end_group(group);
    let printed = files.map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned());
    Ended { status, printed }
}

/// Ends the processes of a group with SIGTERM, and kills the rest after ten seconds.
#[expect(clippy::disallowed_methods, reason = "a test waits for other processes")]
fn end_group(group: u32) {
    let kill = |signal: &str| succeeds("kill", &[signal, "--", &format!("-{group}")]);
    let _ = kill("-TERM");
    for _ in 0..100 {
        if !kill("-0") {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let _ = kill("-KILL");
}

#[test]
fn a_program_in_the_background_is_ended() {
    let (folder, script) = (scratch_folder(), "sleep 600 &\necho $!");
    let block = Block { script: script.to_owned(), ..Block::default() };
    let ended = run(&block, folder.path());
    assert!(ended.status.success());
    assert!(!succeeds("kill", &["-0", ended.printed[0].trim()]), "{}", ended.printed[0]);
}
