//! The files in `contrib/` agree with the program.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Output};

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_traffic-mirror")).args(arguments).output().unwrap()
}

fn is_valid(configuration: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mirror.toml");
    std::fs::write(&path, configuration).unwrap();
    program(&["check", "--config", path.to_str().unwrap()]).status.success()
}

#[test]
fn the_example_configuration_is_valid() {
    assert!(is_valid(&std::fs::read_to_string("contrib/mirror.toml").unwrap()));
    assert!(!is_valid("sessions = 1"));
}

#[test]
fn the_configuration_of_the_daemon_set_is_valid() {
    let text = std::fs::read_to_string("contrib/kubernetes/daemonset.yaml").unwrap();
    let (_, rest) = text.split_once("mirror.toml: |\n").unwrap();
    let (block, _) = rest.split_once("---").unwrap();
    let lines = block.lines().map(|line| line.strip_prefix("    ").unwrap_or(line));
    assert!(is_valid(&lines.collect::<Vec<_>>().join("\n")));
}

#[test]
fn the_systemd_unit_and_images_use_existing_options() {
    let help = String::from_utf8(program(&["run", "--help"]).stdout).unwrap();
    let unit = std::fs::read_to_string("contrib/systemd/traffic-mirror.service").unwrap();
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let image = std::fs::read_to_string("contrib/Containerfile").unwrap();
    let image_command = image.lines().find(|line| line.starts_with("CMD")).unwrap();
    for text in [command, image_command] {
        assert!(text.contains("--"), "{text}");
        let is_of_option =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        let words = text.split(|letter: char| !is_of_option(letter));
        for option in words.filter(|word| word.starts_with("--")) {
            assert!(help.contains(option), "{option}");
        }
    }
}
