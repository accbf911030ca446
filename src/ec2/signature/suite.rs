//! AWS's own test suite of Signature Version 4.
//!
//! These requests are signed for a service named "service", so the endpoint rejects each of them
//! before it compares the signature (`authenticate`, `UnsupportedOperation`). The comparison
//! itself is tested here. Even for EC2, three requests of the suite are rejected earlier:
//!
//! | request | rejected by | reason |
//! |---|---|---|
//! | get-header-value-multiline | hyper, 400 | obsolete line folding (RFC 9112, section 5.2) |
//! | normalize-path/get-space | hyper, 400 | a space in the request target (RFC 9112, section 3) |
//! | post-sts-header-after | `IncompleteSignature` | a session token that is not signed |

use ::http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

const SUITE: &str = include_str!("aws4_testsuite.txt");

struct Request {
    name: String,
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: String,
    signed_headers: String,
    signature: String,
}

fn requests() -> Vec<Request> {
    SUITE.split("\n== ").skip(1).map(read_request).collect()
}

fn read_request(text: &str) -> Request {
    let (request, end) = text.split_once("=> ").unwrap();
    let (signed_headers, signature) = end.trim().split_once(' ').unwrap();
    let (head, body) = request.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let name = lines.next().unwrap().to_owned();
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = HeaderMap::new();
    let mut last = HeaderName::from_static("host");
    for line in lines {
        let value = match line.split_once(':').filter(|_| !line.starts_with(' ')) {
            Some((name, value)) => {
                last = name.parse().unwrap();
                value
            }
            // A folded line: the suite joins it like another value of the header.
            None => line,
        };
        headers.append(&last, HeaderValue::from_str(value).unwrap());
    }
    Request {
        name,
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: body.trim_end().to_owned(),
        signed_headers: signed_headers.to_owned(),
        signature: signature.to_owned(),
    }
}

impl Request {
    fn signed(&self) -> SignedRequest<'_> {
        SignedRequest {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: self.body.as_bytes(),
            is_s3: false,
        }
    }

    fn claim(&self, service: &str) -> Claim {
        Claim {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            region: "us-east-1".to_owned(),
            service: service.to_owned(),
            date: "20150830".to_owned(),
            time: Some("20150830T123600Z".to_owned()),
            signed_headers: self.signed_headers.clone(),
            signature: self.signature.clone(),
            ..Claim::default()
        }
    }

    fn check(&self, service: &str) -> Result<(), ApiError> {
        let key = Credential {
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
            account_id: "111122223333".to_owned(),
        };
        self.claim(service).check_signature(self.signed(), &key, "20150830T123600Z")
    }
}

#[test]
fn every_signature_of_the_aws_test_suite_is_valid() {
    let requests = requests();
    assert_eq!(requests.len(), 31);
    for request in &requests {
        assert_eq!(request.check("service"), Ok(()), "{}", request.name);
        assert!(request.check("ec2").is_err(), "{}", request.name);
    }
}

#[test]
fn no_signature_of_the_aws_test_suite_is_valid_for_another_request() {
    let requests = requests();
    for request in &requests {
        for other in requests.iter().filter(|other| other.signature != request.signature) {
            let headers = &request.signed_headers;
            let claim = Claim { signed_headers: headers.clone(), ..other.claim("service") };
            let key = Credential {
                secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
                session_token: None,
                account_id: String::new(),
            };
            let right = claim.check_signature(request.signed(), &key, "20150830T123600Z");
            assert!(right.is_err(), "{} as {}", request.name, other.name);
        }
    }
}

#[test]
fn only_an_unsigned_session_token_is_refused_before_the_comparison() {
    for request in requests() {
        let covered = request.claim("ec2").check_signed_headers(&request.headers);
        let is_refused = request.name == "post-sts-token/post-sts-header-after";
        assert_eq!(covered.is_err(), is_refused, "{}", request.name);
    }
}
