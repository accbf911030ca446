//! AWS Signature Version 4: reads and verifies the claim of a request about its sender.
//!
//! The claim is in the `Authorization` header, or in the query string of a presigned URL. It is
//! valid if the key is known, the session token belongs to the key, the time is within 15 minutes
//! of the local time (a presigned URL has its own duration), Host and the headers of the claim are
//! signed, and the signature matches.

mod canonical;
#[cfg(test)]
mod s3_examples;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;

use ::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub(super) use self::canonical::SignedRequest;
use super::credentials::{Credential, Credentials};
use crate::control::account::ApiError;

/// The query parameters with the claim of a presigned URL, which are not parameters of an action.
pub(super) const PARAMETERS: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// "The request must reach AWS within 15 minutes of the time stamp".
const MAX_CLOCK_SKEW_S: u64 = 15 * 60;

/// "The maximum is 604800 seconds (7 days)", of a presigned URL.
const MAX_EXPIRES_S: u64 = 604_800;

/// The claim of a request about its sender, not yet verified.
#[derive(Debug, Default)]
pub(super) struct Claim {
    pub(super) access_key_id: String,
    pub(super) region: String,
    pub(super) service: String,
    /// The date of the credential scope: `20261123`.
    date: String,
    /// The time of the signature: `20261123T120000Z`.
    time: Option<String>,
    /// The validity of a presigned URL in seconds.
    expires: Option<String>,
    /// The names of the signed headers, separated by semicolons.
    signed_headers: String,
    /// Hexadecimal digits.
    signature: String,
    /// The session token of a temporary key.
    token: Option<String>,
    is_presigned: bool,
}

impl Claim {
    /// Reads the claim from the headers, or else from the query string.
    ///
    /// # Errors
    /// The claim is missing (`MissingAuthenticationToken`) or incomplete (`IncompleteSignature`).
    pub(super) fn read(headers: &HeaderMap, query: &str) -> Result<Self, ApiError> {
        match headers.get("authorization") {
            Some(value) => Self::of_header(value.to_str().unwrap_or_default(), headers),
            None => Self::of_query(query),
        }
    }

    fn of_header(text: &str, headers: &HeaderMap) -> Result<Self, ApiError> {
        let Some(fields) = text.strip_prefix(ALGORITHM) else {
            return Err(incomplete(format!("The Authorization header is not of {ALGORITHM}.")));
        };
        let field = |name: &str| {
            let fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
            fields.filter(|(known, _)| *known == name).map(|(_, value)| value).next()
        };
        let header = |name: &str| {
            headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let claim = Self {
            time: header("x-amz-date"),
            token: header("x-amz-security-token"),
            signed_headers: field("SignedHeaders").unwrap_or_default().to_owned(),
            signature: field("Signature").unwrap_or_default().to_owned(),
            ..Self::default()
        };
        claim.of_credential(field("Credential"), "the Authorization header")
    }

    fn of_query(query: &str) -> Result<Self, ApiError> {
        let parameter = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
        };
        let Some(signature) = parameter("X-Amz-Signature") else {
            let message = "Request is missing Authentication Token";
            return Err(ApiError::new("MissingAuthenticationToken", message));
        };
        if parameter("X-Amz-Algorithm").as_deref() != Some(ALGORITHM) {
            return Err(incomplete(format!("X-Amz-Algorithm is not {ALGORITHM}.")));
        }
        let claim = Self {
            time: parameter("X-Amz-Date"),
            expires: Some(parameter("X-Amz-Expires").unwrap_or_default()),
            token: parameter("X-Amz-Security-Token"),
            signed_headers: parameter("X-Amz-SignedHeaders").unwrap_or_default(),
            signature,
            is_presigned: true,
            ..Self::default()
        };
        claim.of_credential(parameter("X-Amz-Credential").as_deref(), "the query string")
    }

    /// `KEY/DATE/REGION/SERVICE/aws4_request`
    fn of_credential(mut self, credential: Option<&str>, place: &str) -> Result<Self, ApiError> {
        let Some(credential) = credential else {
            return Err(incomplete(format!("There is no Credential in {place}.")));
        };
        let parts: Vec<&str> = credential.split('/').collect();
        let [key, date, region, service, "aws4_request"] = *parts else {
            return Err(not_a_credential(credential));
        };
        if key.is_empty() || region.is_empty() {
            return Err(not_a_credential(credential));
        }
        key.clone_into(&mut self.access_key_id);
        date.clone_into(&mut self.date);
        region.clone_into(&mut self.region);
        service.clone_into(&mut self.service);
        Ok(self)
    }

    /// Verifies the claim against the known keys. Returns the account of the key.
    ///
    /// # Errors
    /// AWS's code for the error: `AuthFailure` (STS: `InvalidClientTokenId`), `RequestExpired`,
    /// `IncompleteSignature`, `SignatureDoesNotMatch`.
    pub(super) fn verify<'a>(
        &self,
        signed: SignedRequest<'_>,
        credentials: &'a Credentials,
        now_s: u64,
    ) -> Result<&'a str, ApiError> {
        let time = self.time.as_deref().unwrap_or_default();
        let time_s = unix_seconds(time).ok_or_else(|| {
            incomplete(format!("X-Amz-Date '{time}': expected a time such as 20261123T120000Z."))
        })?;
        if !time.starts_with(&self.date) || self.date.len() != 8 {
            let message = format!("Credential date '{}': expected the date of {time}", self.date);
            return Err(incomplete(message));
        }
        self.check_signed_headers(signed.headers)?;
        let key = credentials.get(&self.access_key_id).ok_or_else(|| self.unknown_credentials())?;
        if !is_same_token(key.session_token.as_deref(), self.token.as_deref()) {
            return Err(self.unknown_credentials());
        }
        self.check_signature(signed, key, time)?;
        self.check_time(time, time_s, now_s)?;
        Ok(&key.account_id)
    }

    /// Checks that Host is signed, and also `X-Amz-Date` and `X-Amz-Security-Token` if the claim is
    /// in the headers. Content-Type need not be signed; the body always is.
    fn check_signed_headers(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let names: Vec<&str> = self.signed_headers.split(';').collect();
        let is_sorted = names.is_sorted_by(|one, next| one < next);
        let is_lower = !self.signed_headers.bytes().any(|byte| byte.is_ascii_uppercase());
        if !is_sorted || !is_lower || names.iter().any(|name| !headers.contains_key(*name)) {
            let message = format!(
                "SignedHeaders '{}': expected names of headers of the request, in lower case and \
                 sorted.",
                self.signed_headers
            );
            return Err(incomplete(message));
        }
        let is_read = |name: &str| match name {
            "host" => true,
            _ => !self.is_presigned && headers.contains_key(name),
        };
        let mut wanted = ["host", "x-amz-date", "x-amz-security-token"].into_iter();
        match wanted.find(|name| is_read(name) && !names.contains(name)) {
            Some(name) => Err(incomplete(format!("The header '{name}' must be signed."))),
            None => Ok(()),
        }
    }

    /// Compares the signature in constant time, so that the time does not reveal how many of its
    /// first bytes are right.
    fn check_signature(
        &self,
        signed: SignedRequest<'_>,
        key: &Credential,
        time: &str,
    ) -> Result<(), ApiError> {
        let Self { date, region, service, .. } = self;
        let scope = format!("{date}/{region}/{service}/aws4_request");
        let text = signed.string_to_sign(time, &scope, &self.signed_headers);
        let mut hash = mac(format!("AWS4{}", key.secret).as_bytes(), date)?;
        for step in [&**region, &**service, "aws4_request"] {
            hash = mac(&hash.finalize().into_bytes(), step)?;
        }
        let hash = mac(&hash.finalize().into_bytes(), &text)?;
        let claimed = base16ct::lower::decode_vec(&self.signature).unwrap_or_default();
        hash.verify_slice(&claimed).map_err(|_| {
            let message = "The request signature we calculated does not match the signature you \
                           provided. Check your AWS Secret Access Key and signing method.";
            ApiError::new("SignatureDoesNotMatch", message)
        })
    }

    fn check_time(&self, time: &str, time_s: u64, now_s: u64) -> Result<(), ApiError> {
        let valid_s = match &self.expires {
            None => MAX_CLOCK_SKEW_S,
            Some(text) => {
                let valid_s =
                    text.parse().ok().filter(|valid_s| (1..=MAX_EXPIRES_S).contains(valid_s));
                valid_s.ok_or_else(|| {
                    incomplete(format!(
                        "X-Amz-Expires '{text}': expected 1 to {MAX_EXPIRES_S} seconds."
                    ))
                })?
            }
        };
        if now_s > time_s.saturating_add(valid_s) {
            let message = format!("Request has expired: it was signed at {time}.");
            return Err(ApiError::new("RequestExpired", message));
        }
        if time_s > now_s.saturating_add(MAX_CLOCK_SKEW_S) {
            let message = format!("Request is not valid yet: it was signed at {time}.");
            return Err(ApiError::new("RequestExpired", message));
        }
        Ok(())
    }

    /// The error for a wrong key or session token. It does not reveal which of the two is wrong.
    fn unknown_credentials(&self) -> ApiError {
        if self.service == "sts" {
            let message = "The security token included in the request is invalid.";
            return ApiError::new("InvalidClientTokenId", message);
        }
        let message = "AWS was not able to validate the provided access credentials";
        ApiError::new("AuthFailure", message)
    }
}

fn incomplete(message: String) -> ApiError {
    ApiError::new("IncompleteSignature", message)
}

fn not_a_credential(text: &str) -> ApiError {
    incomplete(format!("Credential '{text}': expected KEY/DATE/REGION/ec2/aws4_request."))
}

fn mac(key: &[u8], text: &str) -> Result<Hmac<Sha256>, ApiError> {
    // RFC 2104, section 2: a key may be of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(ApiError::internal)?;
    mac.update(text.as_bytes());
    Ok(mac)
}

/// Whether the session token of a request is that of its key, compared in constant time.
fn is_same_token(own: Option<&str>, given: Option<&str>) -> bool {
    let hash = |text: &str| mac(b"token", text).map(|mac| mac.finalize().into_bytes());
    match (own, given) {
        (None, None) => true,
        (Some(own), Some(given)) => match (hash(own), mac(b"token", given)) {
            (Ok(own), Ok(given)) => given.verify_slice(&own).is_ok(),
            _ => false,
        },
        _ => false,
    }
}

/// `20261123T120000Z` (ISO 8601, basic) in seconds since 1970.
fn unix_seconds(text: &str) -> Option<u64> {
    let is_digits = |range| {
        text.get(range).is_some_and(|part: &str| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if text.len() != 16 || !is_digits(0..8) || !is_digits(9..15) {
        return None;
    }
    let part = |range| text.get(range);
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, second) = (part(9..11)?, part(11..13)?, part(13..15)?);
    if part(8..9)? != "T" || part(15..16)? != "Z" {
        return None;
    }
    let rfc_3339 = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    let time = humantime::parse_rfc3339(&rfc_3339).ok()?;
    time.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
}
