//! Configuration files on disk.

use std::fs;

use traffic_mirror::control::config::read_files;

use crate::{EXAMPLE_CONFIG, read_toml};

#[test]
fn the_file_extension_selects_the_format() {
    let folder = tempfile::tempdir().unwrap();
    let (toml, json) = (folder.path().join("mirror.toml"), folder.path().join("aws.JSON"));
    fs::write(&toml, EXAMPLE_CONFIG).unwrap();
    fs::write(&json, r#"{"TrafficMirrorSessions": []}"#).unwrap();
    let (registry, warnings) = read_files(&[toml, json]).into_result().unwrap();
    assert_eq!(Some(registry), read_toml(EXAMPLE_CONFIG).registry);
    assert!(warnings.is_empty());
}

#[test]
fn json_and_yaml_are_read_under_an_unknown_extension_and_one_error_under_toml() {
    let folder = tempfile::tempdir().unwrap();
    let json = "{\n \"TrafficMirrorSessions\": [\n ],\n \"TrafficMirrorFilters\": [\n ]\n}\n";
    let yaml = "Resources:\n  Filter:\n    Type: AWS::EC2::TrafficMirrorFilter\n";
    for (text, format) in [(json, "JSON"), (yaml, "YAML")] {
        let path = folder.path().join("describe.txt");
        fs::write(&path, text).unwrap();
        assert!(read_files(&[path]).into_result().is_ok(), "{format}");
        let path = folder.path().join("mirror.toml");
        fs::write(&path, text).unwrap();
        let refused = read_files(&[path]).into_result().unwrap_err().to_string();
        assert_eq!(refused.lines().count(), 1, "{refused}");
        assert!(refused.contains("mirror.toml:1:1: expected TOML"), "{refused}");
        assert!(refused.contains(format), "{refused}");
    }
}

#[test]
fn an_unreadable_file_is_one_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("latin1.toml"), b"# gr\xc3\xbcn\n# gr\xfcn\n").unwrap();
    fs::write(path("wrong.toml"), "colour = 1").unwrap();
    let paths = [path("none.toml"), path("."), path("latin1.toml"), path("wrong.toml")];
    let refused = read_files(&paths).into_result().unwrap_err().to_string();
    let refused = refused.replace(&format!("{}/", folder.path().display()), "");
    let lines: Vec<&str> = refused.lines().collect();
    assert_eq!(lines.len(), 4, "{refused}");
    assert!(lines[0].starts_with("none.toml: cannot read the configuration: No such file"));
    assert!(
        lines[1].ends_with(": cannot read the configuration: expected a file, got a directory")
    );
    assert_eq!(lines[2], "latin1.toml:2:5: expected UTF-8 text, got the invalid byte 0xfc");
    assert!(lines[3].starts_with("wrong.toml:1:1: unknown key `colour`"));
}

#[test]
fn an_endless_device_is_an_error() {
    let refused = read_files(&["/dev/zero"]).into_result().unwrap_err().to_string();
    assert!(refused.contains("expected at most 256 MiB"), "{refused}");
}
