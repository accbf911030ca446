//! Verification of a signature made by botocore, of signatures of an independent signer, and of
//! wrong signatures.

use ::http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use sha2::Digest;

use super::*;

/// 2026-11-22T21:39:02Z
const TIME: &str = "20261122T213902Z";
const DAY: &str = "20261122";
const NOW_S: u64 = 1_795_383_542;

const BODY: &str = "Action=DescribeTags&Version=2016-11-15";

fn known() -> Credentials {
    let text = r#"
        [[credential]]
        access_key_id = "AKIDEXAMPLE"
        secret_access_key = "SECRETEXAMPLE"
        account_id = "111122223333"
        [[credential]]
        access_key_id = "ASIAEXAMPLE"
        secret_access_key = "SECRETEXAMPLE"
        session_token = "token/1+="
        account_id = "444455556666"
    "#;
    Credentials::parse(text).unwrap()
}

/// A request under construction.
#[derive(Debug, Clone)]
struct Draft {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Draft {
    fn new() -> Self {
        let headers = [
            ("host", "127.0.0.1:4566"),
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("x-amz-date", TIME),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: String::new(),
            headers: headers.to_vec(),
            body: BODY.as_bytes().to_vec(),
        }
    }

    fn put(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn map(&self) -> HeaderMap {
        let name = |text: &str| HeaderName::try_from(text).unwrap();
        let fields = self.headers.iter();
        fields.map(|(key, value)| (name(key), HeaderValue::try_from(value).unwrap())).collect()
    }

    fn verify_at(&self, now_s: u64) -> Result<String, &'static str> {
        let headers = self.map();
        let Self { method, path, query, body, .. } = self;
        let is_s3 = false;
        let signed = SignedRequest { method, path, query, headers: &headers, body, is_s3 };
        let claim = Claim::read(&headers, query).map_err(|error| error.code)?;
        let account = claim.verify(signed, &known(), now_s).map(str::to_owned);
        account.map_err(|error| error.code)
    }

    fn verify(&self) -> Result<String, &'static str> {
        self.verify_at(NOW_S)
    }

    /// Signs as AWS describes it, independent of the tested code.
    fn signature(&self, names: &str, region: &str) -> String {
        let hash = |text: &[u8]| base16ct::lower::encode_string(&Sha256::digest(text));
        let mut text = format!("{}\n{}\n{}\n", self.method, self.path, self.query);
        for name in names.split(';') {
            let value = &self.headers.iter().find(|(known, _)| known == name).unwrap().1;
            text.push_str(&format!("{name}:{value}\n"));
        }
        text.push_str(&format!("\n{names}\n{}", hash(&self.body)));
        let day = DAY;
        let scope = format!("{day}/{region}/ec2/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{TIME}\n{scope}\n{}", hash(text.as_bytes()));
        let mut key = b"AWS4SECRETEXAMPLE".to_vec();
        for step in [day, region, "ec2", "aws4_request", &text] {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            mac.update(step.as_bytes());
            key = mac.finalize().into_bytes().to_vec();
        }
        base16ct::lower::encode_string(&key)
    }

    fn sign(self, key: &str) -> Self {
        let mut names: Vec<&str> = self.headers.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        let names = names.join(";");
        let signature = self.signature(&names, "eu-west-1");
        let credential = format!("{key}/{}/eu-west-1/ec2/aws4_request", DAY);
        let text = format!(
            "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, \
             Signature={signature}"
        );
        self.put("authorization", &text)
    }

    /// Converts the request to a presigned URL: a GET without a body.
    fn presign(expires: &str) -> Self {
        let day = DAY;
        let mut draft = Self::new();
        draft.method = "GET".to_owned();
        draft.body.clear();
        draft.headers.retain(|(name, _)| name == "host");
        draft.query = format!(
            "Action=DescribeTags&Version=2016-11-15&X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIDEXAMPLE%2F{day}%2Feu-west-1%2Fec2%2Faws4_request\
             &X-Amz-Date={TIME}&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host"
        );
        let signature = draft.signature("host", "eu-west-1");
        draft.query.push_str(&format!("&X-Amz-Signature={signature}"));
        draft
    }
}

#[test]
fn a_signature_made_by_botocore_is_valid() {
    let mut draft = Draft::new().put("host", "ec2.us-east-1.amazonaws.com").put(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/us-east-1/ec2/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=721a7d48a878fc25b27d10ac8ba79e406cad6dee87b528cf01acda66a56c5df1",
    );
    draft.body = b"Action=CreateTrafficMirrorSession&Version=2016-11-15\
        &NetworkInterfaceId=eni-0123456789abcdef0&TrafficMirrorTargetId=tmt-0f1e2d3c4b5a69788\
        &TrafficMirrorFilterId=tmf-00112233445566778&PacketLength=100&SessionNumber=1\
        &VirtualNetworkId=4242&Description=demo\
        &TagSpecification.1.ResourceType=traffic-mirror-session&TagSpecification.1.Tag.1.Key=Name\
        &TagSpecification.1.Tag.1.Value=s1&TagSpecification.1.Tag.2.Key=env\
        &TagSpecification.1.Tag.2.Value=&DryRun=false&ClientToken=tok-1"
        .to_vec();
    assert_eq!(draft.verify(), Ok("111122223333".to_owned()));
}

#[test]
fn an_access_key_maps_to_its_account() {
    assert_eq!(Draft::new().sign("AKIDEXAMPLE").verify(), Ok("111122223333".to_owned()));
    let temporary = Draft::new().put("x-amz-security-token", "token/1+=").sign("ASIAEXAMPLE");
    assert_eq!(temporary.verify(), Ok("444455556666".to_owned()));
}

#[test]
fn each_signature_error_has_its_code() {
    let good = Draft::new().sign("AKIDEXAMPLE");
    assert_eq!(Draft::new().verify(), Err("MissingAuthenticationToken"));
    assert_eq!(Draft::new().sign("AKIDOTHER").verify(), Err("AuthFailure"));
    assert_eq!(Draft::new().sign("ASIAEXAMPLE").verify(), Err("AuthFailure"), "no token");
    let token = Draft::new().put("x-amz-security-token", "other").sign("ASIAEXAMPLE");
    assert_eq!(token.verify(), Err("AuthFailure"));
    let unsigned = good.clone().put("x-amz-security-token", "token/1+=");
    assert_eq!(unsigned.verify(), Err("IncompleteSignature"));
    for authorization in ["Basic x", "AWS4-HMAC-SHA256 Credential=a/b, Signature=0", ""] {
        let draft = good.clone().put("authorization", authorization);
        assert_eq!(draft.verify(), Err("IncompleteSignature"), "{authorization}");
    }
    assert_eq!(good.clone().put("x-amz-date", "yesterday").verify(), Err("IncompleteSignature"));
    assert_eq!(good.clone().put("host", "other").verify(), Err("SignatureDoesNotMatch"));
}

#[test]
fn a_signature_is_valid_for_15_minutes_before_and_after() {
    let good = Draft::new().sign("AKIDEXAMPLE");
    assert!(good.verify_at(NOW_S - 900).is_ok() && good.verify_at(NOW_S + 900).is_ok());
    assert_eq!(good.verify_at(NOW_S - 901), Err("RequestExpired"));
    assert_eq!(good.verify_at(NOW_S + 901), Err("RequestExpired"));
}

#[test]
fn a_presigned_url_is_valid_until_it_expires() {
    let good = Draft::presign("3600");
    assert_eq!(good.verify_at(NOW_S + 3600), Ok("111122223333".to_owned()));
    assert_eq!(good.verify_at(NOW_S + 3601), Err("RequestExpired"));
    assert_eq!(good.verify_at(NOW_S - 901), Err("RequestExpired"));
    for expires in ["0", "604801", "", "-1", "1h"] {
        assert_eq!(Draft::presign(expires).verify(), Err("IncompleteSignature"), "{expires}");
    }
    let mut other = good;
    other.query = other.query.replace("DescribeTags", "DeleteTags");
    assert_eq!(other.verify(), Err("SignatureDoesNotMatch"));
}

#[test]
fn amz_dates_are_parsed() {
    assert_eq!(unix_seconds(TIME), Some(NOW_S));
    for wrong in ["", "20261122", "20261322T213902Z", "2026-1-2T213902Z", "+0261122T213902Z"] {
        assert_eq!(unix_seconds(wrong), None, "{wrong}");
    }
}

proptest! {
    /// A request that differs from the signed one in any byte is rejected.
    #[test]
    fn a_change_of_any_signed_byte_is_refused(
        place in any::<prop::sample::Index>(),
        bit in 0..7_u32,
    ) {
        let good = Draft::new().sign("AKIDEXAMPLE");
        let mut body = good.clone();
        let at = place.index(body.body.len());
        body.body[at] ^= 1 << bit;
        prop_assert_eq!(body.verify(), Err("SignatureDoesNotMatch"));
        let mut path = good.clone();
        path.path = format!("/{at}");
        prop_assert_eq!(path.verify(), Err("SignatureDoesNotMatch"));
        let mut query = good.clone();
        query.query = format!("DryRun={at}");
        prop_assert_eq!(query.verify(), Err("SignatureDoesNotMatch"));
        let signed = good.headers.iter().find(|(name, _)| name == "authorization").unwrap();
        let last = signed.1.len() - 64 + place.index(64);
        let other = if signed.1.as_bytes()[last] == b'0' { '1' } else { '0' };
        let mut text = signed.1.clone();
        text.replace_range(last..=last, &other.to_string());
        let flipped = good.put("authorization", &text);
        prop_assert_eq!(flipped.verify(), Err("SignatureDoesNotMatch"));
    }

    #[test]
    fn no_authorization_text_panics(
        text in "(AWS4-HMAC-SHA256)?[ -~]{0,80}",
        date in "[0-9TZ]{0,17}",
    ) {
        let _ = Draft::new().put("x-amz-date", &date).put("authorization", &text).verify();
        let mut draft = Draft::new();
        draft.query = format!("X-Amz-Signature=0&X-Amz-Algorithm={ALGORITHM}&{text}");
        let _ = draft.verify();
    }
}
