//! The errors of the laboratory.

use std::fmt;

use crate::control::account::ApiError;

/// Why a request to the laboratory failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LabError {
    /// Who has to act.
    pub kind: LabErrorKind,
    /// A code for programs, in the style of AWS's error codes.
    pub code: &'static str,
    /// A sentence for users: the value, and what would be right.
    pub message: String,
}

/// The kind of an error, which determines the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabErrorKind {
    /// The request is wrong.
    Invalid,
    /// The resource does not exist.
    NotFound,
    /// The laboratory failed: a full disk, for example.
    Failed,
    /// The laboratory or another emulator cannot do it now.
    Unavailable,
}

impl LabError {
    pub(super) fn invalid(code: &'static str, message: impl fmt::Display) -> Self {
        Self { kind: LabErrorKind::Invalid, code, message: message.to_string() }
    }

    pub(super) fn not_found(code: &'static str, message: impl fmt::Display) -> Self {
        Self { kind: LabErrorKind::NotFound, code, message: message.to_string() }
    }

    pub(super) fn busy(message: impl fmt::Display) -> Self {
        let (kind, message) = (LabErrorKind::Unavailable, message.to_string());
        Self { kind, code: "Busy", message }
    }

    pub(super) fn failed(message: impl fmt::Display) -> Self {
        let message = message.to_string();
        Self { kind: LabErrorKind::Failed, code: "InternalError", message }
    }

    /// The error of a request that needs the emulator behind the laboratory.
    pub(super) const fn upstream_unavailable(message: String) -> Self {
        Self { kind: LabErrorKind::Unavailable, code: "UpstreamUnavailable", message }
    }
}

impl From<ApiError> for LabError {
    fn from(error: ApiError) -> Self {
        let kind = match error.code {
            "InternalError" => LabErrorKind::Failed,
            code if code.ends_with(".NotFound") => LabErrorKind::NotFound,
            _ => LabErrorKind::Invalid,
        };
        Self { kind, code: error.code, message: error.message }
    }
}
