//! Refusals on the wire: AWS's code, HTTP's status, EC2's document.

use super::xml::Xml;
use crate::control::account::ApiError;

/// HTTP's status for a code: "client errors are 4xx", DryRunOperation 412, authentication 401 or
/// 403. Terraform tries any 5xx up to 25 times again, so only faults of ours are that.
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
        "InternalError" => 500,
        "Unavailable" => 503,
        _ => 400,
    }
}

/// EC2's document. The SDKs for Go, Java and Rust read only this path.
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

/// The document of STS and of most other services, which wrap it differently.
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

/// The document of services with JSON bodies, which the SDKs read the code from as well.
pub(super) fn json_document(error: &ApiError) -> String {
    serde_json::json!({"__type": error.code, "message": error.message}).to_string()
}
