//! STS on the same endpoint: GetCallerIdentity, which Terraform asks twice an apply.

use super::xml::Xml;

/// "2011-06-15", the one version of STS.
pub(super) const VERSION: &str = "2011-06-15";

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The account, and a user there who is named by the key.
pub(super) fn caller_identity(owner: &str, access_key_id: &str, request_id: &str) -> String {
    let root = "GetCallerIdentityResponse";
    let mut xml = Xml::document(root, Some(NAMESPACE));
    xml.element("GetCallerIdentityResult", |xml| {
        xml.text("Arn", format_args!("arn:aws:iam::{owner}:user/{access_key_id}"));
        xml.text("UserId", access_key_id);
        xml.text("Account", owner);
    });
    xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    xml.end(root)
}
