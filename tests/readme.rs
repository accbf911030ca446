//! Executes every command of README.md and of the pages in docs/, compares the output that they show,
//! and follows the links between all documents.
//!
//! A block ```` ```sh ```` is one script, and the blocks of a document share a scratch folder. These
//! words may stand behind `sh`: `namespace` runs the block as root of a new network namespace that has
//! a device eth0 with the addresses 192.0.2.1/24 and 10.0.0.5/24; `needs=PROGRAM` runs it where the
//! program is installed; `no-run: REASON` does not run it. What does not run says `NOT RUN:` and why.

#![expect(clippy::indexing_slicing, reason = "a test may stop where its input is not as it should")]

#[path = "readme/blocks.rs"]
mod blocks;
#[path = "readme/links.rs"]
mod links;

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use blocks::{Block, Mode, blocks, single_spaced};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Ends what a block left running in the background.
const CLEAN_UP: &str = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n";

/// The devices of the namespace: nothing is behind `wire`.
const DEVICES: &str = "\
sudo() { \"$@\"; }
ip link set lo up
ip link add eth0 type veth peer name wire
ip address add 192.0.2.1/24 dev eth0
ip address add 10.0.0.5/24 dev eth0
ip link set eth0 up
ip link set wire up
";

/// Ends a command in the foreground as Ctrl-C would.
const INTERRUPTED: &str = "timeout --preserve-status --signal=INT --kill-after=30 3 traffic-mirror";

/// README.md and all pages of docs/.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let mut pages = vec![root.join("README.md")];
    pages.extend(links::documents(&root.join("docs")));
    pages
}

/// Not through eprintln, which the test harness keeps to itself.
fn not_run(what: &str, reason: &str) {
    std::io::stderr().write_all(format!("NOT RUN: {what}: {reason}\n").as_bytes()).unwrap();
}

fn succeeds(command: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(command);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Why the block cannot run here.
fn obstacle(block: &Block) -> Option<String> {
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

/// The block's commands as they can run in a test: with the binary under test, and with an end for
/// those that would run until Ctrl-C.
fn script(block: &Block) -> String {
    let mut script = String::from(CLEAN_UP);
    if block.mode == Mode::Namespace {
        script.push_str(DEVICES);
    }
    for line in block.script.replace("\\\n", " ").lines() {
        let line = line.replace("cargo run --release --locked --", "traffic-mirror");
        let runs_on = ["traffic-mirror run", "traffic-mirror receive"]
            .iter()
            .any(|command| line.trim_start_matches("sudo ").starts_with(command));
        let has_end = line.trim_end().ends_with('&') || line.contains("--count");
        let line = if runs_on && !has_end {
            line.replacen("traffic-mirror", INTERRUPTED, 1)
        } else {
            line
        };
        script.push_str(&line);
        script.push('\n');
    }
    script
}

/// A folder in which the documents' relative names work, and nothing of the repository is changed.
fn scratch_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["pcaps", "contrib", "examples", "benches", "docs"] {
        symlink(Path::new(ROOT).join(name), folder.path().join(name)).unwrap();
    }
    for name in ["target", "runtime"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::set_permissions(folder.path().join("runtime"), Permissions::from_mode(0o700)).unwrap();
    folder
}

fn run(block: &Block, folder: &Path) -> Output {
    let binary = Path::new(env!("CARGO_BIN_EXE_traffic-mirror")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let mut arguments = vec!["--kill-after=10", "180"];
    if block.mode == Mode::Namespace {
        arguments.extend(["unshare", "-rn"]);
    }
    let script = script(block);
    arguments.extend(["sh", "-ec", &script]);
    Command::new("timeout")
        .args(arguments)
        .current_dir(folder)
        .env("PATH", path)
        .env("XDG_RUNTIME_DIR", folder.join("runtime"))
        .env("AWS_PAGER", "")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The number of blocks of a page that ran, and a sentence for each one that went wrong.
fn check(page: &Path) -> (usize, Vec<String>) {
    let folder = scratch_folder();
    let name = page.strip_prefix(ROOT).unwrap_or(page).display().to_string();
    let read = match blocks(&fs::read_to_string(page).unwrap()) {
        Ok(read) => read,
        Err(wrong) => return (0, vec![format!("{name}: {wrong}")]),
    };
    let (mut ran, mut wrong) = (0, Vec::new());
    for block in read {
        let place = format!("{name}:{}", block.line);
        if let Some(reason) = obstacle(&block) {
            not_run(&place, &reason);
            continue;
        }
        let output = run(&block, folder.path());
        let text = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if !output.status.success() {
            wrong.push(format!(
                "{place}: {}\n{}\n{}{}",
                output.status, block.script, text[0], text[1]
            ));
        }
        let printed = text.each_ref().map(|text| single_spaced(text));
        for part in &block.output {
            if !printed.iter().any(|printed| printed.contains(part.as_str())) {
                wrong
                    .push(format!("{place}: expected the output `{part}`\n{}{}", text[0], text[1]));
            }
        }
        ran += 1;
    }
    (ran, wrong)
}

#[test]
fn every_command_of_the_documents_runs() {
    let pages = pages();
    let checked: Vec<(usize, Vec<String>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = pages.iter().map(|page| scope.spawn(|| check(page))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let ran: usize = checked.iter().map(|(ran, _)| ran).sum();
    let wrong: Vec<String> = checked.into_iter().flat_map(|(_, wrong)| wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(ran >= 20, "only {ran} blocks ran");
}

#[test]
fn the_index_names_every_page_and_the_readme_stays_short() {
    let docs = Path::new(ROOT).join("docs");
    let index = fs::read_to_string(docs.join("README.md")).unwrap();
    for page in links::documents(&docs) {
        let name = page.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name == "README.md" || index.contains(&format!("]({name})")), "{name}");
    }
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    assert!(readme.lines().count() <= 140, "README.md has {} lines", readme.lines().count());
    let picture = fs::metadata(docs.join("pictures/wireshark.svg")).unwrap();
    assert!(picture.len() < 30_000, "{} bytes", picture.len());
}

#[test]
fn a_command_that_fails_and_output_that_differs_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.md");
    fs::write(&page, "```sh\nfalse\n```\n```sh\necho yes\n```\n```text output\nno\n```\n").unwrap();
    let (ran, wrong) = check(&page);
    assert_eq!((ran, wrong.len()), (2, 2), "{wrong:?}");
}
