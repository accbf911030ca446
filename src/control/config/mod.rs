//! Configuration files: TOML, AWS JSON and infrastructure code, read together as one configuration.
//!
//! What belongs here: the conversion of texts to a [`Registry`](super::Registry), and every error
//! with its file, line, field, value and the expected value. What does not: the range of a single
//! value (`model`), and whether resources are consistent (`Registry`).
//!
//! ```text
//! text -> document (toml_text, json_text, yaml_text)
//!      -> tables of resources: cloudformation evaluates templates and converts them to the format
//!         of the EC2 API; aws and terraform convert to the format of TOML; resource_set merges
//!         all files
//!      -> values (fields, resources, filters)
//!      -> registry (assemble)
//! ```

mod api_keys;
mod assemble;
mod aws;
mod aws_parts;
mod cloudformation;
mod collector;
mod document;
mod fields;
mod file_text;
mod filters;
mod json_text;
mod parameter_values;
mod parsed_config;
mod problem;
mod refused;
mod resource;
mod resource_set;
mod resources;
mod standalone_rules;
mod template_files;
mod terraform;
mod texts;
mod toml_text;
mod warnings;
mod yaml_text;

use std::path::Path;

pub use parameter_values::ParameterValues;
pub use parsed_config::{ConfigError, ParsedConfig};
pub use problem::{Location, Problem, ProblemKind};
pub use texts::{Format, Text};

use template_files::TemplateFiles;

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
    read_files_with(paths, &ParameterValues::default())
}

/// Reads files as one configuration, as [`read_files`], with values for infrastructure code.
#[must_use]
pub fn read_files_with<P: AsRef<Path>>(paths: &[P], values: &ParameterValues) -> ParsedConfig {
    let mut unreadable = Vec::new();
    let mut contents = Vec::new();
    for path in paths {
        match file_text::read_text(path.as_ref()) {
            Ok(content) => contents.push(content),
            Err(problem) => unreadable.push(*problem),
        }
    }
    let texts: Vec<Text<'_>> = contents.iter().map(|(name, text)| Text::new(name, text)).collect();
    let files = TemplateFiles::new(true);
    let mut outcome = assemble::read(&texts, !unreadable.is_empty(), values, &files);
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
    read_texts_with(texts, &ParameterValues::default())
}

/// Reads texts as one configuration, as [`read_texts`], with values for infrastructure code.
#[must_use]
pub fn read_texts_with(texts: &[Text<'_>], values: &ParameterValues) -> ParsedConfig {
    assemble::read(texts, false, values, &TemplateFiles::new(false))
}
