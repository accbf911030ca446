//! Who may come in, and what they want: from an HTTP request to an action with parameters.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};

use super::actions;
use super::credentials::Credentials;
use super::form::Form;
use super::signature::{Claim, Signed};
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

/// Whoever does not get in, and whether the answer is one of STS.
#[derive(Debug)]
pub(super) struct TurnedAway {
    pub(super) refused: Refused,
    pub(super) is_sts: bool,
}

impl Request {
    /// Takes a request apart. Without credentials any signature is believed.
    ///
    /// # Errors
    /// [`TurnedAway`] is what no client of AWS would send, whoever signed wrongly, and what may
    /// have been sent by a web page behind its reader's back.
    pub(super) fn read(
        parts: &Parts,
        body: &[u8],
        credentials: Option<&Credentials>,
        now_s: u64,
    ) -> Result<Self, TurnedAway> {
        let of_ec2 = |refused| TurnedAway { refused, is_sts: false };
        is_of_no_web_page(&parts.headers).map_err(of_ec2)?;
        let query = parts.uri.query().unwrap_or_default();
        let claim = Claim::read(&parts.headers, query).map_err(of_ec2)?;
        let is_sts = claim.service == "sts";
        let turned = |refused| TurnedAway { refused, is_sts };
        let signed = Signed {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query,
            headers: &parts.headers,
            body,
        };
        let owner = match credentials {
            Some(known) => claim.verify(signed, known, now_s).map_err(turned)?,
            None => DEFAULT_OWNER,
        };
        let request = Self::of_claim(parts, body, claim, owner).map_err(turned)?;
        if credentials.is_some() && request.is_sts != is_sts {
            let service = if request.is_sts { "sts" } else { "ec2" };
            return Err(turned(wrong_service(service)));
        }
        Ok(request)
    }

    fn of_claim(parts: &Parts, body: &[u8], claim: Claim, owner: &str) -> Result<Self, Refused> {
        if !matches!(parts.method, Method::POST | Method::GET) {
            let message = format!("The method {} is not one of POST and GET.", parts.method);
            return Err(Refused::new("InvalidRequest", message));
        }
        let form = Form::parse(parts.uri.query().unwrap_or_default(), body)?;
        let action = form.required("Action").map_err(|_| missing_action())?.to_owned();
        let version = form.required("Version")?;
        let is_sts = version == sts::VERSION;
        if !is_sts && version != actions::VERSION {
            let message =
                format!("The version {version} is not valid: expected {}.", actions::VERSION);
            return Err(Refused::new("NoSuchVersion", message));
        }
        Ok(Self {
            is_dry_run: form.boolean("DryRun")?,
            owner: owner.to_owned(),
            action,
            form,
            access_key_id: claim.access_key_id,
            region: claim.region,
            is_sts,
        })
    }
}

fn wrong_service(service: &str) -> Refused {
    let message = format!("Credential should be scoped to correct service: '{service}'.");
    Refused::new("SignatureDoesNotMatch", message)
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
        Request::read(&parts, body.as_bytes(), None, 0).map_err(|turned| turned.refused)
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
