//! Configuration files: several texts, TOML, AWS JSON and infrastructure code, read as one.
//!
//! What belongs here: the way from text to a [`Registry`], and every complaint about it with file,
//! line, field, value and what would be right. What does not: what one value may be (`model`) and
//! whether resources go together (`Registry`).
//!
//! ```text
//! text -> document (toml_text, json_text, yaml_text) -> tables of resources (cloudformation gives
//! templates the shape of the EC2 API, aws gives that the shape of TOML, as terraform does; resource
//! puts files together) -> values (fields, resources, filters) -> registry (assemble)
//! ```

mod api_keys;
mod assemble;
mod aws;
mod aws_parts;
mod cloudformation;
mod collector;
mod document;
mod fields;
mod filters;
mod functions;
mod json_text;
mod problem;
mod references;
mod resource;
mod resources;
mod standalone_rules;
mod terraform;
mod texts;
mod toml_text;
mod warnings;
mod yaml_text;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub use problem::{Location, Problem, ProblemKind};
pub use texts::{Format, Text};

use super::Registry;

/// The path that means standard input.
const STANDARD_INPUT: &str = "-";

/// A larger file is no configuration; a device that never ends is none either.
const MAX_FILE_LEN: u64 = 1 << 28;

/// What came of reading a configuration.
#[derive(Debug, Clone)]
pub struct ParsedConfig {
    /// The resources, where nothing is wrong.
    pub registry: Option<Registry>,
    /// All that is wrong, in the order of the files.
    pub problems: Vec<Problem>,
    /// All that is odd, in the order of the files. Nothing is said to be odd while a file cannot
    /// be read.
    pub warnings: Vec<Problem>,
}

/// Why there is no configuration. Displayed as one line for each problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(
    /// All that is wrong.
    pub Vec<Problem>,
);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let end_of_last = if index == 0 { "" } else { "\n" };
            write!(f, "{end_of_last}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl ParsedConfig {
    /// The resources and what is odd about them.
    ///
    /// # Errors
    /// [`ConfigError`] with all that is wrong.
    pub fn into_result(self) -> Result<(Registry, Vec<Problem>), ConfigError> {
        match self.registry {
            Some(registry) if self.problems.is_empty() => Ok((registry, self.warnings)),
            _ => Err(ConfigError(self.problems)),
        }
    }
}

/// Reads files as one configuration; `.json` is what AWS prints, a CloudFormation template or what
/// `terraform show -json` prints, as its content says; `.yaml`, `.yml` and `.template` are
/// CloudFormation templates, everything else TOML. The path `-` is standard input, whose content
/// determines the format.
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
                Ok(text) => {
                    let format = match is_standard_input {
                        true => Format::of_content(&text),
                        false => Format::of_name(&name),
                    };
                    contents.push((name, format, text));
                }
                Err(problem) => unreadable.push(*problem),
            },
            Err(error) => unreadable.push(cannot_read(name, &error)),
        }
    }
    let texts: Vec<Text<'_>> =
        contents.iter().map(|(name, format, text)| Text { name, format: *format, text }).collect();
    let mut outcome = assemble::read(&texts, !unreadable.is_empty());
    if !unreadable.is_empty() {
        outcome.registry = None;
        unreadable.append(&mut outcome.problems);
        outcome.problems = unreadable;
    }
    outcome
}

/// Reads texts as one configuration, without touching a file.
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
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    read_limited(file)
}

fn read_limited(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read_len = file.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read_len).is_ok_and(|len| len > MAX_FILE_LEN) {
        let message = "it is larger than 256 MiB, which no configuration is";
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
        let message = "expected UTF-8 text, and this byte is none";
        Box::new(whole_file(name.to_owned(), Some((line, column)), message.to_owned()))
    })
}

fn cannot_read(name: String, error: &io::Error) -> Problem {
    whole_file(name, None, format!("cannot read the configuration: {error}"))
}

fn whole_file(file: String, line_and_column: Option<(usize, usize)>, message: String) -> Problem {
    let location = Location { file, line_and_column };
    let (path, field) = (String::new(), String::new());
    Problem { location, path, field, kind: ProblemKind::Note(message) }
}
