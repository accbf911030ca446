//! Who may come in, and what they want: from an HTTP request to an action with parameters.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};

use super::actions;
use super::form::Form;
use super::sts;
use crate::control::account::{DEFAULT_OWNER, Refused};

/// What is wanted, and by whom.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) action: String,
    pub(super) form: Form,
    pub(super) owner: String,
    pub(super) access_key_id: String,
    pub(super) region: String,
    pub(super) is_dry_run: bool,
    pub(super) is_sts: bool,
}

impl Request {
    /// Takes a request apart.
    ///
    /// # Errors
    /// [`Refused`] for what no client of AWS would send, and for what may have been sent by a web
    /// page behind its reader's back.
    pub(super) fn read(parts: &Parts, body: &[u8]) -> Result<Self, Refused> {
        is_of_no_web_page(&parts.headers)?;
        let query = parts.uri.query().unwrap_or_default();
        let form = match parts.method {
            Method::POST if !body.is_empty() => Form::parse(body)?,
            Method::POST | Method::GET => Form::parse(query.as_bytes())?,
            _ => {
                let message = format!("The method {} is not one of POST and GET.", parts.method);
                return Err(Refused::new("InvalidRequest", message));
            }
        };
        let (access_key_id, region) = signer(&parts.headers, &form)?;
        let action = form.required("Action").map_err(|_| missing_action())?.to_owned();
        let is_sts = form.text("Version") == Some(sts::VERSION);
        if !is_sts && form.required("Version")? != actions::VERSION {
            let given = form.text("Version").unwrap_or_default();
            let message =
                format!("The version {given} is not valid: expected {}.", actions::VERSION);
            return Err(Refused::new("NoSuchVersion", message));
        }
        Ok(Self {
            is_dry_run: form.boolean("DryRun")?,
            owner: DEFAULT_OWNER.to_owned(),
            action,
            form,
            access_key_id,
            region,
            is_sts,
        })
    }
}

fn missing_action() -> Refused {
    Refused::new("MissingAction", "The request must contain the parameter Action.")
}

/// A form POST is what any web page may send, to any address that its reader can reach.
fn is_of_no_web_page(headers: &HeaderMap) -> Result<(), Refused> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let fetch = text("sec-fetch-site");
    let is_foreign = fetch.is_some_and(|site| !matches!(site, "same-origin" | "none"));
    if let Some(origin) = text("origin") {
        let message = format!("Requests of web pages are not taken: Origin is {origin}.");
        return Err(Refused::new("Blocked", message));
    }
    if is_foreign {
        let message = "Requests of web pages are not taken: Sec-Fetch-Site is not same-origin.";
        return Err(Refused::new("Blocked", message));
    }
    Ok(())
}

/// Whose key signed it, and for which region. The signature itself is not looked at.
fn signer(headers: &HeaderMap, form: &Form) -> Result<(String, String), Refused> {
    let of_header = headers.get("authorization").and_then(|value| value.to_str().ok());
    let credential = match of_header {
        Some(text) => text.strip_prefix("AWS4-HMAC-SHA256 ").and_then(|rest| {
            rest.split(',').find_map(|part| part.trim().strip_prefix("Credential="))
        }),
        None => {
            for name in ["X-Amz-Algorithm", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"] {
                form.text(name);
            }
            form.text("X-Amz-Security-Token");
            form.text("X-Amz-Signature").and_then(|_| form.text("X-Amz-Credential"))
        }
    };
    let Some(credential) = credential else {
        let (code, message) = match of_header {
            Some(_) => ("IncompleteSignature", "The Authorization header has no Credential."),
            None => ("MissingAuthenticationToken", "Request is missing Authentication Token"),
        };
        return Err(Refused::new(code, message));
    };
    let parts: Vec<&str> = credential.split('/').collect();
    match &*parts {
        [key, _date, region, _service, "aws4_request"] if !key.is_empty() => {
            Ok(((*key).to_owned(), (*region).to_owned()))
        }
        _ => {
            let message = format!(
                "'{credential}' is no Credential: expected KEY/DATE/REGION/ec2/aws4_request."
            );
            Err(Refused::new("IncompleteSignature", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AK/20261123/eu-west-1/ec2/aws4_request, \
                          SignedHeaders=host, Signature=0";

    fn read(headers: &[(&str, &str)], body: &str) -> Result<Request, Refused> {
        let mut request = axum::http::Request::builder().method("POST").uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Request::read(&parts, body.as_bytes())
    }

    #[test]
    fn a_signed_request_says_who_wants_what() {
        let body = "Action=DescribeTags&Version=2016-11-15&DryRun=true";
        let request = read(&[("authorization", SIGNED)], body).unwrap();
        assert_eq!((&*request.action, &*request.region), ("DescribeTags", "eu-west-1"));
        assert_eq!((&*request.access_key_id, request.is_dry_run), ("AK", true));
    }

    #[test]
    fn others_stay_outside() {
        let body = "Action=DescribeTags&Version=2016-11-15";
        let code = |headers: &[(&str, &str)], body| read(headers, body).unwrap_err().code;
        assert_eq!(code(&[], body), "MissingAuthenticationToken");
        assert_eq!(code(&[("authorization", "Basic x")], body), "IncompleteSignature");
        let auth = ("authorization", SIGNED);
        assert_eq!(code(&[auth, ("origin", "http://evil.example")], body), "Blocked");
        assert_eq!(code(&[auth, ("origin", "null")], body), "Blocked");
        assert_eq!(code(&[auth, ("sec-fetch-site", "cross-site")], body), "Blocked");
        assert_eq!(code(&[auth], "Version=2016-11-15"), "MissingAction");
        assert_eq!(code(&[auth], "Action=X&Version=2010-01-01"), "NoSuchVersion");
        assert_eq!(code(&[auth], "Action=X"), "MissingParameter");
    }
}
