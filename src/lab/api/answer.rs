//! Responses: documents, bytes, and errors as `{"error": {"code": "...", "message": "..."}}`.

use ::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use serde_json::json;

use crate::http::{Body, HttpError};
use crate::lab::error::{LabError, LabErrorKind};

/// The media type of documents.
const JSON: &str = "application/json";

pub(super) type Answer = Result<Response<Body>, LabError>;

/// A JSON document.
pub(super) fn document(text: impl Into<Bytes>) -> Response<Body> {
    bytes(JSON, text.into())
}

/// Bytes of a media type.
pub(super) fn bytes(media_type: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(bytes.into().into());
    set_media_type(&mut response, media_type);
    response
}

/// The response to a request that changed something and returns nothing.
pub(super) fn done() -> Response<Body> {
    document("{}")
}

pub(super) fn set_media_type(response: &mut Response<Body>, media_type: &'static str) {
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
}

/// An error, with the status of its kind.
pub(super) fn error(error: &LabError) -> Response<Body> {
    let status = match (error.kind, error.code) {
        (_, "MethodNotAllowed") => StatusCode::METHOD_NOT_ALLOWED,
        (_, "NotAcceptable") => StatusCode::NOT_ACCEPTABLE,
        (LabErrorKind::Invalid, _) => StatusCode::BAD_REQUEST,
        (LabErrorKind::NotFound, _) => StatusCode::NOT_FOUND,
        (LabErrorKind::Failed, _) => StatusCode::INTERNAL_SERVER_ERROR,
        (LabErrorKind::Unavailable, _) => StatusCode::SERVICE_UNAVAILABLE,
    };
    error_document(status, error.code, &error.message)
}

/// The error of a request that the listener rejected.
pub(super) fn rejected(error: &HttpError) -> Response<Body> {
    error_document(error.status, error.code, &error.message)
}

fn error_document(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let text = json!({"error": {"code": code, "message": message}}).to_string();
    let mut response = document(text);
    *response.status_mut() = status;
    response
}
