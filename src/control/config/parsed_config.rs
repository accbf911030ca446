//! The result of reading a configuration.

use std::fmt;

use super::problem::Problem;
use crate::control::Registry;

/// The result of reading a configuration.
#[derive(Debug, Clone)]
pub struct ParsedConfig {
    /// The resources, if there are no errors.
    pub registry: Option<Registry>,
    /// All errors, in the order of the files.
    pub problems: Vec<Problem>,
    /// All warnings, in the order of the files; none if a file cannot be read.
    pub warnings: Vec<Problem>,
}

/// The errors of a configuration. Displayed as one line for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(
    /// All errors.
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
    /// The resources and all warnings.
    ///
    /// # Errors
    /// [`ConfigError`] with all errors.
    pub fn into_result(self) -> Result<(Registry, Vec<Problem>), ConfigError> {
        match self.registry {
            Some(registry) if self.problems.is_empty() => Ok((registry, self.warnings)),
            _ => Err(ConfigError(self.problems)),
        }
    }
}
