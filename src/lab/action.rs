//! Executes actions of the EC2 API without a socket and an AWS client.

use super::Lab;
use super::error::LabError;
use crate::ec2::http::Request;

/// The form of a signature; a laboratory accepts any.
const SIGNATURE: &str =
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ec2/aws4_request, Signature=0";

/// The version of the EC2 API.
const VERSION: &str = "2016-11-15";

impl Lab {
    /// Executes an action of EC2, such as `CreateTrafficMirrorFilter`, with parameters in the form of
    /// the query API, such as `("Tag.1.Key", "Name")`. Returns the XML document of the response.
    ///
    /// # Errors
    /// [`LabError`]: the error of EC2, with its code and message.
    pub fn ec2(&self, action: &str, parameters: &[(&str, &str)]) -> Result<String, LabError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", VERSION);
        form.extend_pairs(parameters);
        let head = Request::post("/").header("authorization", SIGNATURE).body(());
        let (head, ()) = head.map_err(LabError::failed)?.into_parts();
        match self.endpoint().respond(&head, form.finish().as_bytes()) {
            (200, document) => Ok(document),
            (status, document) => {
                let text = |name| element(&document, name).unwrap_or_default();
                let message = format!("{}: {}", text("Code"), text("Message"));
                Err(match status {
                    500.. => LabError::failed(message),
                    _ => LabError::invalid("ActionFailed", message),
                })
            }
        }
    }
}

/// The text of the first element of a name in a document of this crate, without escapes.
fn element<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = document.split_once(&format!("<{name}>"))?;
    behind.split_once('<').map(|(text, _)| text)
}
