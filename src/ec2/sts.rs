//! The only STS action of this endpoint: GetCallerIdentity, which Terraform calls twice per
//! `terraform apply`.

use super::xml::Xml;

/// The only version of the STS API.
pub(super) const VERSION: &str = "2011-06-15";

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The response of GetCallerIdentity: the account, and a user with the name of the access key id.
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
