//! The error of a request, with AWS's error codes.

use std::fmt::Display;

use crate::model::{InvalidValue, NetworkInterfaceId};

/// The error of a request: AWS's error code, and a sentence with the given value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// As in AWS's "Error codes for the Amazon EC2 API".
    pub code: &'static str,
    /// A sentence for the user.
    pub message: String,
}

/// The code of the error for a change of a resource of a configuration file.
pub(super) const NOT_PERMITTED: &str = "OperationNotPermitted";

impl ApiError {
    /// An error with this code.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// "Request would have succeeded, but DryRun flag is set."
    #[must_use]
    pub fn dry_run() -> Self {
        let message = "Request would have succeeded, but DryRun flag is set.";
        Self::new("DryRunOperation", message)
    }

    /// A parameter has an invalid value.
    pub fn invalid_value(parameter: &str, value: impl Display, expected: impl Display) -> Self {
        let message =
            format!("Value ({value}) for parameter {parameter} is invalid. Expected {expected}.");
        Self::new("InvalidParameterValue", message)
    }

    /// Parameters exclude each other.
    pub fn invalid_combination(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterCombination", message)
    }

    /// A required parameter is missing.
    pub fn missing_parameter(parameter: &str) -> Self {
        let message = format!("The request must contain the parameter {parameter}.");
        Self::new("MissingParameter", message)
    }

    /// A failure that the client did not cause.
    pub fn internal(message: impl Display) -> Self {
        Self::new("InternalError", format!("An internal error has occurred: {message}"))
    }
}

impl From<InvalidValue> for ApiError {
    fn from(invalid: InvalidValue) -> Self {
        Self::invalid_value(&parameter(invalid.field), invalid.value, invalid.expected)
    }
}

/// The error for an id that no resource has, or that is malformed. `kind` is `Session`, `Target`,
/// `Filter`, `FilterRule` or `NetworkInterface`.
#[must_use]
pub fn not_found(kind: &str, prefix: &str, id: &str) -> ApiError {
    if kind == "NetworkInterface" {
        return interface_not_found(id);
    }
    let hex = id.strip_prefix(prefix).unwrap_or_default();
    let is_id =
        hex.len() == 17 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let code = match (kind, is_id) {
        (_, false) => {
            let parameter = format!("TrafficMirror{kind}Id");
            let expected = format!("an id such as {prefix}0123456789abcdef0");
            return ApiError::invalid_value(&parameter, id, expected);
        }
        ("Filter", true) => "InvalidTrafficMirrorFilterId.NotFound",
        ("FilterRule", true) => "InvalidTrafficMirrorFilterRuleId.NotFound",
        ("Target", true) => "InvalidTrafficMirrorTargetId.NotFound",
        _ => "InvalidTrafficMirrorSessionId.NotFound",
    };
    ApiError::new(code, format!("The TrafficMirror{kind} ID '{id}' does not exist"))
}

/// The error for an id that no network interface has, or that is malformed.
#[must_use]
pub fn interface_not_found(id: &str) -> ApiError {
    if !is_hex_id(id, NetworkInterfaceId::PREFIX) {
        let message = format!("Invalid id: \"{id}\" (expecting \"eni-...\")");
        return ApiError::new("InvalidNetworkInterfaceId.Malformed", message);
    }
    let message = format!("The networkInterface ID '{id}' does not exist");
    ApiError::new("InvalidNetworkInterfaceID.NotFound", message)
}

/// Whether an id has the format of EC2: the prefix and 8 or 17 hexadecimal digits.
pub(super) fn is_hex_id(id: &str, prefix: &str) -> bool {
    let hex = id.strip_prefix(prefix).unwrap_or_default();
    matches!(hex.len(), 8 | 17) && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `session_number` as EC2 spells it: `SessionNumber`.
fn parameter(field: &str) -> String {
    let words = field.split('_').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters)
    });
    words.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_fields_as_api_parameters() {
        let error = ApiError::from(InvalidValue::new("session_number", 0, "1 to 32766"));
        assert_eq!(error.code, "InvalidParameterValue");
        let sentence = "Value (0) for parameter SessionNumber is invalid. Expected 1 to 32766.";
        assert_eq!(error.message, sentence);
    }
}
