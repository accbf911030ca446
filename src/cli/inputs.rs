//! The captures of a command line, opened before anything is done with them.

use std::path::PathBuf;

use super::exit::Failure;
use super::terminal;
use crate::io::StopFlag;
use crate::io::capture::CaptureSource;

/// Opens all captures in the order in which they were named. The flag ends a wait for a stream.
pub(super) fn open(names: &[PathBuf], stop: &StopFlag) -> Result<Vec<CaptureSource>, Failure> {
    if names.iter().filter(|name| name.as_os_str() == "-").count() > 1 {
        return Err(Failure::usage("INPUT `-`: standard input can be named once only"));
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

/// Says what is unusual about a capture, as far as it was read and not said before.
fn warn_of_format(source: &mut CaptureSource) {
    for warning in source.take_warnings() {
        terminal::warn(&format!("{}: {warning}", source.name()));
    }
}

/// Says what was met behind the head of a capture.
pub(super) fn warn(source: &mut CaptureSource) {
    warn_of_format(source);
    warn_of_link_types(source);
}

/// Says which link types were met that carry no IP in a way known here.
fn warn_of_link_types(source: &CaptureSource) {
    for link_type in source.unsupported_link_types() {
        terminal::warn(&format!(
            "{}: link type {link_type} carries no IP in a way known here; its frames are counted \
             as unsupported_link_type (read are Ethernet, raw IP, Linux cooked v1 and v2, BSD loopback)",
            source.name()
        ));
    }
}
