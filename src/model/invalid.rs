//! The one error of the model: a value that a user gave and that cannot be.

/// A value that is not possible, in the words a user can act on.
///
/// Displayed as ``field `value`: expected ...``.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} `{value}`: expected {expected}")]
pub struct InvalidValue {
    /// The field, spelled as in a configuration file.
    pub field: &'static str,
    /// The value as it was given.
    pub value: String,
    /// What would have been right.
    pub expected: String,
}

impl InvalidValue {
    /// Says that `field` cannot be `value`, and what would be right.
    pub fn new(field: &'static str, value: impl ToString, expected: impl Into<String>) -> Self {
        Self { field, value: value.to_string(), expected: expected.into() }
    }
}
