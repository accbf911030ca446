//! Sends any bytes as EC2 requests. There must be no panic and no internal error, every response
//! must be XML in the format of EC2 or STS, and the persisted records must restore an account.
#![no_main]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, RwLock};

use libfuzzer_sys::fuzz_target;
use roxmltree::{Document, Node};
use traffic_mirror::control::account::{Account, Quotas, Record, TargetResolver};
use traffic_mirror::control::{CompileOptions, Registry, compile};
use traffic_mirror::ec2::http::Request;
use traffic_mirror::ec2::http::request::Parts;
use traffic_mirror::ec2::{Endpoint, Persist, Publish, PublishedChange};
use traffic_mirror::model::{
    Filter, FilterId, NetworkInterface, NetworkInterfaceId, Target, TargetId,
};

const CREDENTIAL: &str = "AK/20261123/eu-west-1/ec2/aws4_request";

/// More requests take more time and test nothing else.
const MAX_REQUESTS: usize = 16;

/// The persisted records, by key.
type StoredRecords = Arc<Mutex<BTreeMap<String, String>>>;

struct MemoryStore(StoredRecords);

impl Persist for MemoryStore {
    fn commit(&mut self, records: &[Record]) -> io::Result<()> {
        let mut stored = self.0.lock().unwrap();
        for record in records.iter().cloned() {
            match record.text {
                Some(text) => stored.insert(record.key, text),
                None => stored.remove(&record.key),
            };
        }
        Ok(())
    }
}

/// Confirms every change without compiling it. The registry is compiled once, at the end.
struct AcknowledgingPublisher;

impl Publish for AcknowledgingPublisher {
    fn publish(&mut self, _: &Registry, changes: Vec<PublishedChange>) {
        changes.into_iter().for_each(|change| (change.done)(Ok(())));
    }
}

/// Two network interfaces, and a target and a filter as from a configuration file. The ids of new
/// resources are numbered from 1.
fn initial_account() -> Account {
    let mut registry = Registry::default();
    for (name, device) in [("eni-00000001", "eth0"), ("eni-00000002", "eth1")] {
        let mut interface = NetworkInterface::new(NetworkInterfaceId::new(name).unwrap());
        interface.device = Some(device.to_owned());
        interface.private_ip_addresses.push("192.0.2.1".parse().unwrap());
        registry.add_network_interface(interface).unwrap();
    }
    let target = Target::at(TargetId::new("tmt-f").unwrap(), "192.0.2.9:4789".parse().unwrap());
    registry.add_target(target).unwrap();
    registry.add_filter(Filter::accept_all(FilterId::new("tmf-f").unwrap())).unwrap();
    let mut last_drawn = 0;
    let draw = move || {
        last_drawn += 1;
        last_drawn
    };
    Account::new(registry, Quotas::default(), TargetResolver::default(), draw)
}

/// The head and the body of a request; `None` if the form is not valid in a URI.
///
/// ```text
/// bit 0     1: GET with the form as query; 0: POST with the form as body
/// bit 1     0: add `Version`
/// bits 2-4  signature. x00: in a header; x01: in the form; 010: none; 110: an invalid header;
///           x11: the form as header
/// bits 5-7  000: Origin of another site; 001: Sec-Fetch-Site of another site; 011: PUT for GET
/// ```
///
/// The byte `@` (0x40) is a request as clients send it.
fn build_request(bits: u8, form: &[u8]) -> Option<(Parts, Vec<u8>)> {
    let is_get = bits & 1 != 0;
    let mut form = form.to_vec();
    if bits & 2 == 0 {
        form.splice(0..0, *b"Version=2016-11-15&");
    }
    let signed = format!("AWS4-HMAC-SHA256 Credential={CREDENTIAL}, Signature=0");
    let mut request = Request::builder();
    match bits >> 2 & 3 {
        0 => request = request.header("authorization", signed),
        1 => form.extend(format!("&X-Amz-Signature=0&X-Amz-Credential={CREDENTIAL}").into_bytes()),
        2 if bits & 16 != 0 => request = request.header("authorization", "AWS4-HMAC-SHA256 x"),
        2 => {}
        _ => request = request.header("authorization", form.as_slice()),
    }
    match bits >> 5 {
        0 => request = request.header("origin", "http://evil.example"),
        1 => request = request.header("sec-fetch-site", "cross-site"),
        3 => request = request.method("PUT"),
        _ => {}
    }
    if !is_get {
        return Some((request.method("POST").uri("/").body(()).ok()?.into_parts().0, form));
    }
    let query = String::from_utf8(form).ok()?;
    Some((request.uri(format!("/?{query}")).body(()).ok()?.into_parts().0, Vec::new()))
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Node<'a, 'a> {
    let found = node.children().find(|one| one.tag_name().name() == name);
    found.unwrap_or_else(|| panic!("no {name} in {:?}", node.tag_name()))
}

/// Checks a response as clients of EC2 and STS do.
fn assert_valid_response(status: u16, text: &str) {
    let document = Document::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let root = document.root_element();
    let name = root.tag_name().name();
    match (status, name) {
        (200, "GetCallerIdentityResponse") => {
            child(child(root, "ResponseMetadata"), "RequestId");
        }
        (200, _) => {
            assert!(name.ends_with("Response") && name != "Response", "{text}");
            assert_eq!(
                root.tag_name().namespace(),
                Some("http://ec2.amazonaws.com/doc/2016-11-15/")
            );
            assert_eq!(child(root, "requestId").text().map(str::len), Some(36));
        }
        (400..=499, "ErrorResponse") => {
            child(root, "RequestId");
            assert!(child(child(root, "Error"), "Code").text().is_some(), "{text}");
        }
        (400..=499, "Response") => {
            let error = child(child(root, "Errors"), "Error");
            assert!(child(error, "Code").text().is_some(), "{text}");
            assert!(child(error, "Message").text().is_some(), "{text}");
            assert_eq!(child(root, "RequestID").text().map(str::len), Some(36));
        }
        _ => panic!("{status}: {text}"),
    }
}

// Each line is a request: the bits of `build_request`, and the form.
fuzz_target!(|bytes: &[u8]| {
    let stored = StoredRecords::default();
    let account = Arc::new(RwLock::new(initial_account()));
    let store = MemoryStore(Arc::clone(&stored));
    let shared_account = Arc::clone(&account);
    let (now_s, random) = (|| 1_700_000_000_u64, || 7_u128);
    let endpoint =
        Endpoint::new(shared_account, AcknowledgingPublisher, store, now_s, random).unwrap();
    for line in bytes.split(|byte| *byte == b'\n').take(MAX_REQUESTS) {
        let Some((bits, form)) = line.split_first() else { continue };
        let Some((head, body)) = build_request(*bits, form) else { continue };
        let (status, text) = endpoint.respond(&head, &body);
        assert_valid_response(status, &text);
    }
    let account = account.read().unwrap();
    let table = compile(account.registry(), &CompileOptions::default());
    assert_eq!(table.sessions().len(), account.registry().sessions().len(), "a session was lost");
    let stored = stored.lock().unwrap().clone();
    initial_account().restore(stored).unwrap();
});
