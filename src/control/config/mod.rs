//! Configuration files: TOML, AWS JSON and infrastructure code, read together as one configuration.
//!
//! What belongs here: the conversion of texts to a [`Registry`](super::Registry), and every error
//! with its file, line, field, value and the expected value. What does not: the range of a single
//! value (`model`), and whether resources are consistent (`Registry`).
//!
//! ```text
//! text -> document (toml_text, json_text, yaml_text)
//!      -> tables of resources: cloudformation converts templates to the format of the EC2 API;
//!         aws and terraform convert to the format of TOML; resource_set merges all files
//!      -> values (fields, resources, filters)
//!      -> registry (assemble)
//! ```

mod api_keys;
mod assemble;
mod aws;
mod aws_parts;
mod cloudformation;
mod cloudformation_types;
mod collector;
mod document;
mod fields;
mod filters;
mod functions;
mod json_text;
mod parsed_config;
mod problem;
mod references;
mod refused;
mod resource;
mod resource_set;
mod resources;
mod standalone_rules;
mod terraform;
mod texts;
mod toml_text;
mod warnings;
mod yaml_text;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub use parsed_config::{ConfigError, ParsedConfig};
pub use problem::{Location, Problem, ProblemKind};
pub use texts::{Format, Text};

/// The path that means standard input.
const STANDARD_INPUT: &str = "-";

/// At most this many bytes are read of a file, which can be an endless device.
const MAX_FILE_LEN: u64 = 1 << 28;

/// Reads files as one configuration. The content of a `.json` file decides whether it is the output
/// of the AWS CLI, a CloudFormation template, or the output of `terraform show -json`. Files ending
/// in `.yaml`, `.yml` and `.template` are CloudFormation templates, those ending in `.toml` are
/// TOML. The content of all others determines the format, as for the path `-`, which is standard
/// input.
///
/// ```no_run
/// # use traffic_mirror::control::config;
/// let outcome = config::read_files(&["mirror.toml", "describe.json"]);
/// let (registry, warnings) = outcome.into_result()?;
/// # Ok::<(), config::ConfigError>(())
/// ```
#[must_use]
pub fn read_files<P: AsRef<Path>>(paths: &[P]) -> ParsedConfig {
    let mut unreadable = Vec::new();
    let mut contents = Vec::new();
    for path in paths {
        let is_standard_input = path.as_ref().as_os_str() == STANDARD_INPUT;
        let name = match is_standard_input {
            true => "standard input".to_owned(),
            false => path.as_ref().display().to_string(),
        };
        match read_file(path.as_ref()) {
            Ok(bytes) => match decode(&name, bytes) {
                Ok(text) => contents.push((name, text)),
                Err(problem) => unreadable.push(*problem),
            },
            Err(error) => unreadable.push(cannot_read(name, &error)),
        }
    }
    let texts: Vec<Text<'_>> = contents.iter().map(|(name, text)| Text::new(name, text)).collect();
    let mut outcome = assemble::read(&texts, !unreadable.is_empty());
    if !unreadable.is_empty() {
        outcome.registry = None;
        unreadable.append(&mut outcome.problems);
        outcome.problems = unreadable;
    }
    outcome
}

/// Reads texts as one configuration, without file access.
///
/// ```
/// use traffic_mirror::control::config::{self, Text};
///
/// let text = "[[traffic_mirror_target]]\ntraffic_mirror_target_id = 5\naddress = '192.0.2.1'";
/// let refused = config::read_texts(&[Text::new("mirror.toml", text)]).into_result().unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "mirror.toml:2:28: traffic_mirror_target_id `5`: expected a string, got a number"
/// );
/// ```
#[must_use]
pub fn read_texts(texts: &[Text<'_>]) -> ParsedConfig {
    assemble::read(texts, false)
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if path.as_os_str() == STANDARD_INPUT {
        return read_limited(io::stdin().lock());
    }
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::IsADirectory,
            "expected a file, got a directory",
        ));
    }
    read_limited(file)
}

fn read_limited(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read_len = file.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read_len).is_ok_and(|len| len > MAX_FILE_LEN) {
        let message = "expected at most 256 MiB";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

fn decode(name: &str, bytes: Vec<u8>) -> Result<String, Box<Problem>> {
    String::from_utf8(bytes).map_err(|error| {
        let valid_len = error.utf8_error().valid_up_to();
        let valid = error.as_bytes().get(..valid_len).unwrap_or_default();
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        let last_line = valid.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let column = String::from_utf8_lossy(last_line).chars().count() + 1;
        let invalid = error.as_bytes().get(valid_len).copied().unwrap_or_default();
        let message = format!("expected UTF-8 text, got the invalid byte {invalid:#04x}");
        Box::new(file_problem(name.to_owned(), Some((line, column)), message))
    })
}

fn cannot_read(name: String, error: &io::Error) -> Problem {
    file_problem(name, None, format!("cannot read the configuration: {error}"))
}

/// A problem of a whole file.
fn file_problem(file: String, line_and_column: Option<(usize, usize)>, message: String) -> Problem {
    let location = Location { file, line_and_column };
    let (path, field) = (String::new(), String::new());
    Problem { location, path, field, kind: ProblemKind::Note(message) }
}
