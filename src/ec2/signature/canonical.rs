//! The text that is signed: the canonical request and string to sign of AWS Signature Version 4.
//!
//! It follows AWS's "Create a signed AWS API request". Where that differs by service, it follows
//! the rules of EC2, which most services share: the path is encoded a second time, and the body is
//! always signed. S3 has its own rules ("Signature Calculations for the Authorization Header").

use ::http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sha2::{Digest, Sha256};

/// "URI-encode every byte except the unreserved characters" (RFC 3986, section 2.3).
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// The signed parts of a request.
#[derive(Debug, Clone, Copy)]
pub(in crate::ec2) struct SignedRequest<'a> {
    pub(in crate::ec2) method: &'a str,
    pub(in crate::ec2) path: &'a str,
    pub(in crate::ec2) query: &'a str,
    pub(in crate::ec2) headers: &'a HeaderMap,
    pub(in crate::ec2) body: &'a [u8],
    /// Whether the rules of S3 apply: the path is not encoded again, and the body may be unsigned.
    pub(in crate::ec2) is_s3: bool,
}

impl SignedRequest<'_> {
    /// "StringToSign" for a time, a scope and these signed headers.
    pub(super) fn string_to_sign(&self, time: &str, scope: &str, names: &str) -> String {
        let hash = hex(&Sha256::digest(self.canonical_request(names)));
        format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}")
    }

    /// "CanonicalRequest" with these signed headers, in the format of `SignedHeaders`.
    fn canonical_request(&self, names: &str) -> String {
        let path = match self.is_s3 {
            true => self.path.to_owned(),
            false => percent_encode(normalized(self.path).as_bytes(), PATH).to_string(),
        };
        let headers: String =
            names.split(';').map(|name| format!("{name}:{}\n", self.header(name))).collect();
        let body = self.payload_hash(names);
        let (method, query) = (self.method, self.canonical_query());
        format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{body}")
    }

    /// "HashedPayload". For S3 it can be a constant: `UNSIGNED-PAYLOAD`, which presigned URLs always
    /// have, or one that starts with `STREAMING-` for a body that is sent in chunks.
    fn payload_hash(&self, names: &str) -> String {
        let name = "x-amz-content-sha256";
        let claimed = self.header(name);
        let is_constant = claimed == "UNSIGNED-PAYLOAD" || claimed.starts_with("STREAMING-");
        let is_signed = names.split(';').any(|signed| signed == name);
        match self.is_s3 {
            true if is_signed && is_constant => claimed,
            true if !is_signed && self.query.contains("X-Amz-Signature=") => {
                "UNSIGNED-PAYLOAD".to_owned()
            }
            _ => hex(&Sha256::digest(self.body)),
        }
    }

    /// The query string, "sorted by name and value, each encoded", without the signature.
    fn canonical_query(&self) -> String {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        let pairs = pairs.filter(|(name, _)| name != "X-Amz-Signature");
        let encode = |text: &str| percent_encode(text.as_bytes(), VALUE).to_string();
        let mut pairs: Vec<(String, String)> =
            pairs.map(|(name, value)| (encode(&name), encode(&value))).collect();
        pairs.sort_unstable();
        let pairs: Vec<String> =
            pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    }

    /// The value of a header: "Trim, and convert sequential spaces to a single one". Values of one
    /// name are joined with commas.
    fn header(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter();
        let values: Vec<String> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
            .map(|value| {
                let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
                words.join(" ")
            })
            .collect();
        values.join(",")
    }
}

/// "Normalize URI paths according to RFC 3986": removes empty segments, `.`, and `..` with the
/// segment before it.
fn normalized(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let end = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    format!("/{}{end}", segments.join("/"))
}

/// Lower-case hexadecimal digits, as SigV4 writes hashes.
fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}
