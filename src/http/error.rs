//! The error of a request that the listener rejects before it reaches the service.

use ::http::StatusCode;

/// Why a request is rejected. The service of the port writes the response in its own format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpError {
    /// The HTTP status of the response.
    pub status: StatusCode,
    /// A code for programs, in the style of AWS's error codes.
    pub code: &'static str,
    /// A sentence for users.
    pub message: String,
}

impl HttpError {
    /// 400: the request is not valid HTTP.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "InvalidRequest", message: message.into() }
    }

    /// 403: the request may come from a web page.
    pub(super) fn blocked(message: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, code: "Blocked", message: message.into() }
    }

    /// 413: the body is longer than `max_len` bytes.
    pub(super) fn body_too_large(max_len: usize) -> Self {
        let message = format!("The body of a request is at most {max_len} bytes long.");
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self { status, code: "RequestEntityTooLarge", message }
    }

    /// 408: the request or its response took too long.
    pub(super) fn timed_out() -> Self {
        let message = "The request was not answered in time.".to_owned();
        Self { status: StatusCode::REQUEST_TIMEOUT, code: "RequestTimeout", message }
    }
}
