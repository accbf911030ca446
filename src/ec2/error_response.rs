//! Error responses: the HTTP status of each AWS error code, and the documents of each protocol.

use super::xml::Xml;
use crate::control::account::ApiError;

/// The HTTP status of an error code: 412 for a dry run, 401 or 403 for a request that is not
/// permitted, 424 for a failure of the emulator behind this server, 5xx for a failure of this
/// server, and 400 for most others. Terraform repeats a
/// request up to 25 times after any 5xx.
pub(super) fn status(code: &str) -> u16 {
    match code {
        "DryRunOperation" => 412,
        "AuthFailure" => 401,
        "MissingAuthenticationToken"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "UnauthorizedOperation"
        | "OperationNotPermitted"
        | "Blocked" => 403,
        "MethodNotAllowed" => 405,
        "RequestTimeout" => 408,
        "RequestEntityTooLarge" => 413,
        "UpstreamUnavailable" => 424,
        "InternalError" => 500,
        "Unavailable" => 503,
        _ => 400,
    }
}

/// The error document of EC2. The SDKs for Go, Java and Rust read only this path.
pub(super) fn document(error: &ApiError, request_id: &str) -> String {
    let mut xml = Xml::document("Response", None);
    xml.element("Errors", |xml| {
        xml.element("Error", |xml| {
            xml.text("Code", error.code);
            xml.text("Message", &error.message);
        });
    });
    xml.text("RequestID", request_id);
    xml.end("Response")
}

/// The error document of STS and of most other services.
pub(super) fn sts_document(error: &ApiError, request_id: &str) -> String {
    let root = "ErrorResponse";
    let mut xml = Xml::document(root, Some("https://sts.amazonaws.com/doc/2011-06-15/"));
    xml.element("Error", |xml| {
        xml.text("Type", "Sender");
        xml.text("Code", error.code);
        xml.text("Message", &error.message);
    });
    xml.text("RequestId", request_id);
    xml.end(root)
}

/// The error document of services with JSON bodies, which the SDKs can read too.
pub(super) fn json_document(error: &ApiError) -> String {
    serde_json::json!({"__type": error.code, "message": error.message}).to_string()
}
