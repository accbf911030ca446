//! Opens all captures of a command line before the first one is read, and prints their warnings.

use std::path::PathBuf;

use super::exit::Failure;
use super::terminal;
use crate::io::StopFlag;
use crate::io::capture::CaptureSource;

/// Opens all captures in the order of the command line. The stop flag ends a wait for a stream.
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
            Err(error) => failures.push(error.to_string()),
        }
    }
    sources.iter_mut().for_each(warn_of_format);
    if failures.is_empty() { Ok(sources) } else { Err(Failure::failed(failures.join("\n"))) }
}

/// Prints the warnings about a capture that are new since the last call.
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
