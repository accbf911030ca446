//! The error of a request to the other emulator.

use crate::control::account::ApiError;

/// Why the other emulator did not answer as it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::ec2) enum UpstreamError {
    /// It cannot be reached, or ended the connection.
    #[error("the upstream {url} is down: {why}")]
    Down { url: String, why: String },
    /// It works, but its answer is too long or takes too long.
    #[error("the answer of the upstream {url} exceeds the limit of {limit}")]
    LimitExceeded { url: String, limit: String },
    /// It answered a question with an error, or with something that cannot be read.
    #[error("the upstream {url} did not answer {action}: {why}")]
    Refused { url: String, action: String, why: String },
}

/// The code of the error of an action that needs the other emulator. Its status is 424 (Failed
/// Dependency) and not 503: the SDKs and Terraform repeat a request up to 25 times after any 5xx,
/// for minutes, before they show the message.
const UNAVAILABLE: &str = "UpstreamUnavailable";

impl UpstreamError {
    /// Whether no answer was received, so that nothing is known of what the other emulator has.
    pub(in crate::ec2) const fn is_without_answer(&self) -> bool {
        matches!(self, Self::Down { .. } | Self::LimitExceeded { .. })
    }

    /// The error of an action that needs the other emulator.
    pub(in crate::ec2) fn of_action(&self, action: &str) -> ApiError {
        let message = format!("{action} needs the emulator behind this endpoint, but {self}.");
        ApiError::new(UNAVAILABLE, message)
    }
}
