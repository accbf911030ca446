//! Opens all captures of a command line before the first one is read, and prints their warnings.

use std::path::{Path, PathBuf};

use super::exit::Failure;
use super::sessions::SessionFlags;
use super::terminal;
use crate::io::StopFlag;
use crate::io::capture::{CaptureSource, OpenError};

/// Opens all captures in the order of the command line. The stop flag ends the wait for a pipe.
pub(super) fn open(names: &[PathBuf], stop: &StopFlag) -> Result<Vec<CaptureSource>, Failure> {
    if names.iter().filter(|name| name.as_os_str() == "-").count() > 1 {
        return Err(Failure::usage(
            "INPUT `-`: expected at most once, because standard input can be read only once",
        ));
    }
    let mut sources = Vec::new();
    let mut failures = Vec::new();
    for name in names {
        match CaptureSource::open_with_stop(name, stop) {
            Ok(source) => sources.push(source),
            Err(error) => failures.push(describe(&error)),
        }
    }
    sources.iter_mut().for_each(warn_of_format);
    if failures.is_empty() { Ok(sources) } else { Err(Failure::failed(failures.join("\n"))) }
}

/// Rejects standard input as a capture beside `--config -`. Call it before the configuration is
/// read.
pub(super) fn check_standard_input(
    names: &[PathBuf],
    sessions: &SessionFlags,
) -> Result<(), Failure> {
    let is_input = names.iter().any(|name| name.as_os_str() == "-");
    match is_input && sessions.uses_standard_input() {
        true => Err(Failure::usage(
            "INPUT `-`: expected a file, because --config `-` reads standard input",
        )),
        false => Ok(()),
    }
}

/// The error of a file that is not a capture. A configuration in its place is recognised by its
/// name.
fn describe(error: &OpenError) -> String {
    match error {
        OpenError::NotACapture { name, .. } if is_configuration_name(name) => format!(
            "{name}: expected a capture, but this is the name of a configuration; give it with \
             --config {name}, and a capture as INPUT"
        ),
        other => other.to_string(),
    }
}

fn is_configuration_name(name: &str) -> bool {
    let extension = Path::new(name).extension().map(|ending| ending.to_ascii_lowercase());
    extension.is_some_and(|ending| {
        ["toml", "json", "yaml", "yml", "template"].iter().any(|known| ending == *known)
    })
}

/// Prints the warnings about the format of a capture that are new since the last call.
fn warn_of_format(source: &mut CaptureSource) {
    for warning in source.take_warnings() {
        terminal::warn(&format!("{}: {warning}", source.name()));
    }
}

/// Prints the warnings that arose while the capture was read.
pub(super) fn warn(source: &mut CaptureSource) {
    warn_of_format(source);
    warn_of_link_types(source);
}

/// Warns about link types that are not supported.
fn warn_of_link_types(source: &CaptureSource) {
    for link_type in source.unsupported_link_types() {
        terminal::warn(&format!(
            "{}: link type {link_type} is not supported; its frames are counted as \
             unsupported_link_type (supported: Ethernet, raw IP, Linux cooked v1 and v2, BSD loopback)",
            source.name()
        ));
    }
}
