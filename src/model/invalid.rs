//! The only error of the model: a user gave an invalid value.

/// An invalid value, with the information that a user needs to correct it.
///
/// Displayed as ``field `value`: expected ...``.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} `{value}`: expected {expected}")]
pub struct InvalidValue {
    /// The field, spelled as in a configuration file.
    pub field: &'static str,
    /// The value as it was given.
    pub value: String,
    /// A description of the valid values.
    pub expected: String,
}

impl InvalidValue {
    /// An error for `value` of `field`, with a description of the valid values.
    pub fn new(field: &'static str, value: impl ToString, expected: impl Into<String>) -> Self {
        Self { field, value: value.to_string(), expected: expected.into() }
    }
}
