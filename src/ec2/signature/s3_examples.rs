//! The examples of S3's documentation ("Signature Calculations for the Authorization Header" and
//! "Authenticating Requests: Using Query Parameters"), whose rules differ from those of EC2.

use ::http::HeaderMap;

use super::*;

const KEY: (&str, &str) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");

/// 2013-05-24T00:00:00Z
const TIME: &str = "20130524T000000Z";
const NOW_S: u64 = 1_369_353_600;

const EMPTY_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const WELCOME_HASH: &str = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";

fn verify(
    line: (&str, &str),
    headers: &[(&'static str, &str)],
    body: &str,
) -> Result<String, &'static str> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    let (method, target) = line;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let body = body.as_bytes();
    let signed = SignedRequest { method, path, query, headers: &map, body, is_s3: true };
    let claim = Claim::read(&map, query).map_err(|error| error.code)?;
    let known = Credentials::one(KEY.0, KEY.1, "111122223333");
    claim.verify(signed, &known, NOW_S).map(str::to_owned).map_err(|error| error.code)
}

/// An Authorization header with these signed headers.
fn authorization(signed: &str, signature: &str) -> String {
    let credential = format!("{}/20130524/us-east-1/s3/aws4_request", KEY.0);
    format!("{ALGORITHM} Credential={credential},SignedHeaders={signed},Signature={signature}")
}

#[test]
fn an_object_is_fetched() {
    let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    let authorization = authorization("host;range;x-amz-content-sha256;x-amz-date", signature);
    let headers = [
        ("host", "examplebucket.s3.amazonaws.com"),
        ("range", "bytes=0-9"),
        ("x-amz-content-sha256", EMPTY_HASH),
        ("x-amz-date", TIME),
        ("authorization", &authorization),
    ];
    assert_eq!(verify(("GET", "/test.txt"), &headers, "").unwrap(), "111122223333");
    assert_eq!(verify(("GET", "/test.txt"), &headers, "x"), Err("SignatureDoesNotMatch"));
    assert_eq!(verify(("GET", "//test.txt"), &headers, ""), Err("SignatureDoesNotMatch"));
}

#[test]
fn the_path_of_an_object_is_not_encoded_again() {
    let signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
    let signed = "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class";
    let authorization = authorization(signed, signature);
    let headers = [
        ("host", "examplebucket.s3.amazonaws.com"),
        ("date", "Fri, 24 May 2013 00:00:00 GMT"),
        ("x-amz-date", TIME),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", WELCOME_HASH),
        ("authorization", &authorization),
    ];
    let body = "Welcome to Amazon S3.";
    assert!(verify(("PUT", "/test%24file.text"), &headers, body).is_ok());
}

#[test]
fn the_body_of_a_presigned_url_is_not_signed() {
    let target = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
                  &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
                  &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
                  &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    let headers = [("host", "examplebucket.s3.amazonaws.com")];
    assert!(verify(("GET", target), &headers, "").is_ok());
    assert_eq!(verify(("PUT", target), &headers, ""), Err("SignatureDoesNotMatch"));
}
