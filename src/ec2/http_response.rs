//! Answers as HTTP responses.

use ::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;

use super::endpoint::Answer;

/// The HTTP response with an answer. Its document is XML, or JSON for an error of another protocol.
pub(super) fn response((status, document): Answer) -> Response<Bytes> {
    let is_json = document.starts_with('{');
    let content_type =
        if is_json { "application/x-amz-json-1.0" } else { "text/xml;charset=UTF-8" };
    let mut response = Response::new(Bytes::from(document));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
