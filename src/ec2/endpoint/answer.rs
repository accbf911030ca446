//! The response to a request: an HTTP status and a document.

use super::super::error_response;
use crate::control::account::ApiError;

/// An HTTP status and a document.
pub(in super::super) type Answer = (u16, String);

/// The error of a change that was not executed, because the writer thread has ended.
pub(super) fn not_executed() -> ApiError {
    ApiError::internal("the change was not made")
}

pub(super) fn to_answer(result: Result<String, ApiError>, request_id: &str) -> Answer {
    match result {
        Ok(document) => (200, document),
        Err(error) => error_answer(&error, request_id, false),
    }
}

/// An error, in the format of STS or of EC2.
pub(super) fn error_answer(error: &ApiError, request_id: &str, is_sts: bool) -> Answer {
    let document = if is_sts { error_response::sts_document } else { error_response::document };
    (error_response::status(error.code), document(error, request_id))
}
