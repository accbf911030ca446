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

/// Every file that the README links to is in the Debian package. The badge of the Rust version links
/// to Cargo.toml, which only developers need.
#[test]
fn the_package_has_the_files_that_the_readme_links_to() {
    let manifest = std::fs::read_to_string("Cargo.toml").unwrap();
    let assets: Vec<&str> =
        manifest.lines().filter(|line| line.contains("usr/share/doc")).collect();
    let is_packaged = |path: &str| {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let ending = name.rsplit('.').next().unwrap_or(name);
        let patterns = [path.to_owned(), format!("{folder}/*"), format!("{folder}/*.{ending}")];
        assets.iter().any(|line| patterns.iter().any(|one| line.contains(&format!("[\"{one}\""))))
    };
    let readme = std::fs::read_to_string("README.md").unwrap();
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let files = links.filter(|link| !link.is_empty() && !link.contains("://"));
    let missing: Vec<&str> =
        files.filter(|file| *file != "Cargo.toml" && !is_packaged(file)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn a_wrong_configuration_does_not_restart_the_service() {
    let unit = std::fs::read_to_string("contrib/systemd/traffic-mirror.service").unwrap();
    assert!(unit.contains("\nRestartPreventExitStatus=2\n"), "{unit}");
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
