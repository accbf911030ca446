//! Every example of the README that calls `traffic-mirror` works as it stands there.

use std::path::Path;
use std::process::Command;

/// The commands of all shell blocks, but for those marked `no-run`.
fn commands(readme: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut inside = false;
    for line in readme.replace("\\\n", " ").lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            command if inside => commands.push(command.to_owned()),
            _ => {}
        }
    }
    commands
}

#[test]
fn every_readme_command_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_traffic-mirror"));
    std::os::unix::fs::symlink(root.join("pcaps"), folder.path().join("pcaps")).unwrap();
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut ran = 0;
    for command in commands(&readme) {
        let command = command.replace("cargo run --release --", "traffic-mirror");
        if !command.starts_with("traffic-mirror ") {
            continue;
        }
        let output = Command::new("sh")
            .args(["-c", &command])
            .current_dir(folder.path())
            .env("PATH", &path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        ran += 1;
    }
    assert!(ran >= 5, "only {ran} examples were found");
}
