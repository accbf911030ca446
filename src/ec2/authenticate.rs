//! Authentication: from an HTTP request to an action with parameters and an account.
//!
//! A request is checked in this order: the format of its signature, the service that it is signed
//! for, the signed headers, the key, the signature, its time, the method, the parameters.
//! `crate::http` has checked Host and Origin before.

use ::http::request::Parts;
use ::http::{HeaderMap, Method};

use super::credentials::Access;
use super::form::Form;
use super::signature::{Claim, SignedRequest};
use super::{actions, error_response, sts};
use crate::control::account::ApiError;

/// The services of this endpoint, for error messages.
const SERVED: &str = "this endpoint serves EC2 (version 2016-11-15) and STS (version 2011-06-15)";

/// An authenticated request: the action with its parameters, and the account it acts for.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) action: String,
    pub(super) form: Form,
    pub(super) owner: String,
    pub(super) access_key_id: String,
    pub(super) region: String,
    pub(super) is_dry_run: bool,
    pub(super) is_sts: bool,
    version: String,
}

/// The authenticated sender of a request to any service: its key, the account of the key, and the
/// region and service that the request is signed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Principal {
    pub(super) access_key_id: String,
    pub(super) account_id: String,
    pub(super) region: String,
    pub(super) service: String,
}

/// The format of an error response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorFormat {
    Ec2,
    /// STS and the other services of the query protocol.
    Query,
    /// Services whose requests have JSON bodies.
    Json,
}

/// The error of a rejected request, and its format.
#[derive(Debug)]
pub(super) struct RejectedRequest {
    pub(super) error: ApiError,
    format: ErrorFormat,
}

impl RejectedRequest {
    pub(super) const fn new(error: ApiError, format: ErrorFormat) -> Self {
        Self { error, format }
    }

    pub(super) const fn of_ec2(error: ApiError) -> Self {
        Self::new(error, ErrorFormat::Ec2)
    }

    /// The HTTP status and the document of the error.
    pub(super) fn answer(&self, request_id: &str) -> (u16, String) {
        let document = match self.format {
            ErrorFormat::Ec2 => error_response::document(&self.error, request_id),
            ErrorFormat::Query => error_response::sts_document(&self.error, request_id),
            ErrorFormat::Json => error_response::json_document(&self.error),
        };
        (error_response::status(self.error.code), document)
    }
}

impl Request {
    /// Reads a request and checks its signature.
    ///
    /// # Errors
    /// [`RejectedRequest`] for a request that is not one of EC2 or STS, and for a wrong signature.
    pub(super) fn read(
        parts: &Parts,
        body: &[u8],
        access: &Access,
        now_s: u64,
    ) -> Result<Self, RejectedRequest> {
        check_not_json_protocol(&parts.headers)?;
        let claim = read_claim(parts)?;
        let format = ErrorFormat::of_service(&claim.service);
        let rejected = |error| RejectedRequest { error, format };
        if !matches!(&*claim.service, "ec2" | "sts") {
            return Err(rejected(unsupported_service(&claim.service)));
        }
        let principal = Principal::verify(claim, parts, body, (access, now_s)).map_err(rejected)?;
        let is_checked = matches!(access, Access::Keys(_));
        let request = Self::parse(parts, body, &principal).map_err(rejected)?;
        request.check_version().map_err(rejected)?;
        if is_checked && request.is_sts != (principal.service == "sts") {
            let service = if request.is_sts { "sts" } else { "ec2" };
            return Err(rejected(wrong_service(service)));
        }
        Ok(request)
    }

    /// Reads the action and its parameters. The version can be one that is not served here.
    pub(super) fn parse(
        parts: &Parts,
        body: &[u8],
        principal: &Principal,
    ) -> Result<Self, ApiError> {
        if !matches!(parts.method, Method::POST | Method::GET) {
            let message = format!("The method {} is not one of POST and GET.", parts.method);
            return Err(ApiError::new("MethodNotAllowed", message));
        }
        let form = Form::parse(parts.uri.query().unwrap_or_default(), body)?;
        let action = form.required("Action").map_err(|_| missing_action())?.to_owned();
        let version = form.required("Version")?.to_owned();
        let is_sts = version == sts::VERSION;
        check_method(&parts.method, &action, is_sts)?;
        Ok(Self {
            is_dry_run: form.boolean("DryRun")?,
            owner: principal.account_id.clone(),
            action,
            form,
            access_key_id: principal.access_key_id.clone(),
            region: principal.region.clone(),
            is_sts,
            version,
        })
    }

    /// Checks that the version is one that is served here.
    pub(super) fn check_version(&self) -> Result<(), ApiError> {
        if self.is_sts || self.version == actions::VERSION {
            return Ok(());
        }
        let message = format!(
            "The version {} is not valid: expected {}; {SERVED}.",
            self.version,
            actions::VERSION
        );
        Err(ApiError::new("NoSuchVersion", message))
    }

    /// The same request with another form, which is a part of its own.
    pub(super) fn with_form(&self, form: Form) -> Self {
        Self {
            action: self.action.clone(),
            form,
            owner: self.owner.clone(),
            access_key_id: self.access_key_id.clone(),
            region: self.region.clone(),
            is_dry_run: self.is_dry_run,
            is_sts: self.is_sts,
            version: self.version.clone(),
        }
    }
}

impl Principal {
    /// Authenticates a request to any service. If any signature is accepted, it may be of another
    /// version; such a request names neither a service nor a region.
    ///
    /// # Errors
    /// [`RejectedRequest`] for a missing or wrong signature.
    pub(super) fn authenticate(
        parts: &Parts,
        body: &[u8],
        access: &Access,
        now_s: u64,
    ) -> Result<Self, RejectedRequest> {
        if let Access::Anyone(account_id) = access
            && has_other_signature(parts)
        {
            let account_id = account_id.to_string();
            let (access_key_id, region, service) = Default::default();
            return Ok(Self { access_key_id, account_id, region, service });
        }
        let claim = read_claim(parts)?;
        let format = ErrorFormat::of_request(&claim.service, &parts.headers);
        let rejected = |error| RejectedRequest { error, format };
        Self::verify(claim, parts, body, (access, now_s)).map_err(rejected)
    }

    fn verify(
        claim: Claim,
        parts: &Parts,
        body: &[u8],
        (access, now_s): (&Access, u64),
    ) -> Result<Self, ApiError> {
        let signed = SignedRequest {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body,
            is_s3: claim.service == "s3",
        };
        let account_id = match access {
            Access::Keys(known) => claim.verify(signed, known, now_s)?,
            Access::Anyone(account_id) => account_id,
        };
        let account_id = account_id.to_owned();
        let Claim { access_key_id, region, service, .. } = claim;
        Ok(Self { access_key_id, account_id, region, service })
    }

    /// The format of an error response to a request of this principal.
    pub(super) fn error_format(&self, headers: &HeaderMap) -> ErrorFormat {
        ErrorFormat::of_request(&self.service, headers)
    }
}

impl ErrorFormat {
    fn of_service(service: &str) -> Self {
        match service {
            "ec2" => Self::Ec2,
            _ => Self::Query,
        }
    }

    fn of_request(service: &str, headers: &HeaderMap) -> Self {
        match json_target(headers) {
            Some(_) => Self::Json,
            None => Self::of_service(service),
        }
    }
}

/// Whether a request has a signature that is not of version 4. Version 2 is still used for presigned
/// URLs of S3.
fn has_other_signature(parts: &Parts) -> bool {
    let mut pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    match parts.headers.get("authorization") {
        Some(value) => !value.as_bytes().starts_with(b"AWS4-HMAC-SHA256"),
        None => pairs.any(|(name, _)| name == "AWSAccessKeyId"),
    }
}

fn read_claim(parts: &Parts) -> Result<Claim, RejectedRequest> {
    let query = parts.uri.query().unwrap_or_default();
    Claim::read(&parts.headers, query).map_err(RejectedRequest::of_ec2)
}

/// Checks that a change is a POST, as all AWS clients send it. A web page can make a browser send a
/// GET, for example with an image, and its headers do not differ from those of a program.
fn check_method(method: &Method, action: &str, is_sts: bool) -> Result<(), ApiError> {
    let is_change = if is_sts { action != "GetCallerIdentity" } else { actions::is_change(action) };
    if *method == Method::POST || !is_change {
        return Ok(());
    }
    let message = format!(
        "The action {action} is accepted by POST only; by GET: Describe actions and \
         GetCallerIdentity."
    );
    Err(ApiError::new("MethodNotAllowed", message))
}

/// Rejects requests of JSON protocols, which name their service in `X-Amz-Target`.
fn check_not_json_protocol(headers: &HeaderMap) -> Result<(), RejectedRequest> {
    let Some(target) = json_target(headers) else { return Ok(()) };
    let name = target.split('.').next().filter(|name| !name.is_empty());
    let error = unsupported_service(name.unwrap_or("JSON"));
    Err(RejectedRequest { error, format: ErrorFormat::Json })
}

/// The target of a request of a JSON protocol, empty if it names none.
fn json_target(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| {
        headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let is_json = text("content-type").unwrap_or_default().starts_with("application/x-amz-json");
    text("x-amz-target").or_else(|| is_json.then(String::new))
}

fn unsupported_service(service: &str) -> ApiError {
    let message = format!("The service '{service}' is not served here: {SERVED}.");
    ApiError::new("UnsupportedOperation", message)
}

fn wrong_service(service: &str) -> ApiError {
    let message = format!("Credential should be scoped to correct service: '{service}'.");
    ApiError::new("SignatureDoesNotMatch", message)
}

fn missing_action() -> ApiError {
    ApiError::new("MissingAction", "The request must contain the parameter Action.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AK/20261123/eu-west-1/ec2/aws4_request, \
                          SignedHeaders=host, Signature=0";

    fn send(
        (method, target): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Request, RejectedRequest> {
        let mut request = ::http::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Request::read(&parts, body.as_bytes(), &Access::default(), 0)
    }

    fn read(headers: &[(&str, &str)], body: &str) -> Result<Request, ApiError> {
        send(("POST", "/"), headers, body).map_err(|rejected| rejected.error)
    }

    #[test]
    fn a_signed_request_has_action_region_and_access_key() {
        let body = "Action=DescribeTags&Version=2016-11-15&DryRun=true";
        let request = read(&[("authorization", SIGNED)], body).unwrap();
        assert_eq!((&*request.action, &*request.region), ("DescribeTags", "eu-west-1"));
        assert_eq!((&*request.access_key_id, request.is_dry_run), ("AK", true));
    }

    #[test]
    fn invalid_requests_are_refused_with_their_codes() {
        let body = "Action=DescribeTags&Version=2016-11-15";
        let code = |headers: &[(&str, &str)], body| read(headers, body).unwrap_err().code;
        assert_eq!(code(&[], body), "MissingAuthenticationToken");
        assert_eq!(code(&[("authorization", "Basic x")], body), "IncompleteSignature");
        let auth = ("authorization", SIGNED);
        assert_eq!(code(&[auth], "Version=2016-11-15"), "MissingAction");
        assert_eq!(code(&[auth], "Action=X&Version=2010-01-01"), "NoSuchVersion");
        assert_eq!(code(&[auth], "Action=X"), "MissingParameter");
    }

    #[test]
    fn get_accepts_only_read_only_actions() {
        let auth = [("authorization", SIGNED)];
        let by = |method: &str, action: &str, version: &str| {
            let target = format!("/?Action={action}&Version={version}");
            send((method, &target), &auth, "").map(|_| ()).map_err(|rejected| rejected.error.code)
        };
        assert_eq!(by("GET", "DescribeTags", "2016-11-15"), Ok(()));
        assert_eq!(by("GET", "GetCallerIdentity", "2011-06-15"), Ok(()));
        assert_eq!(by("POST", "CreateTags", "2016-11-15"), Ok(()));
        for action in ["CreateTags", "DeleteTags", "CreateTrafficMirrorSession", "x", "describe"] {
            assert_eq!(by("GET", action, "2016-11-15"), Err("MethodNotAllowed"), "{action}");
        }
        assert_eq!(by("GET", "AssumeRole", "2011-06-15"), Err("MethodNotAllowed"));
        for method in ["HEAD", "PUT", "DELETE", "OPTIONS", "get"] {
            let error = by(method, "DescribeTags", "2016-11-15");
            assert_eq!(error, Err("MethodNotAllowed"), "{method}");
        }
    }

    #[test]
    fn an_error_for_another_service_names_it_and_the_served_ones() {
        let scope = |service: &str| SIGNED.replace("/ec2/", &format!("/{service}/"));
        for (service, body) in [
            ("elasticloadbalancing", "Action=DescribeLoadBalancers&Version=2015-12-01"),
            ("cloudformation", "Action=DescribeStacks&Version=2010-05-15"),
            ("iam", "Action=ListUsers&Version=2010-05-08"),
        ] {
            let rejected = send(("POST", "/"), &[("authorization", &scope(service))], body);
            let (status, document) = rejected.unwrap_err().answer("id");
            assert_eq!(status, 400);
            assert!(document.contains("<Code>UnsupportedOperation<"), "{document}");
            assert!(document.starts_with("<ErrorResponse") || document.contains("<ErrorResponse"));
            assert!(document.contains(service) && document.contains("EC2"), "{document}");
        }
        let target = [("x-amz-target", "DynamoDB_20120810.ListTables")];
        let (status, document) = send(("POST", "/"), &target, "{}").unwrap_err().answer("id");
        assert!(status == 400 && document.starts_with('{'), "{document}");
        assert!(document.contains("DynamoDB_20120810") && document.contains("STS"), "{document}");
        let version = read(&[("authorization", SIGNED)], "Action=X&Version=2015-12-01");
        assert!(version.unwrap_err().message.contains("STS"));
    }
}
