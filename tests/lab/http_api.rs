//! The HTTP API: formats, parameters, errors, streams, and what a web page cannot do.

use std::fs;
use std::net::SocketAddr;

use testkit::lab_client::{Reply, connect, next_line, send};
use testkit::records::read;
use traffic_mirror::http::{HostNames, Server};
use traffic_mirror::lab::{Lab, serve};

use crate::resources::{Resources, SOURCE, eni, frame, options};

struct Served {
    lab: Lab,
    server: Server,
    resources: Resources,
}

impl Served {
    fn new() -> Self {
        let lab = Lab::new(options()).unwrap();
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let server = serve(address, &lab, HostNames::default(), |_| {}).unwrap();
        let resources = Resources::create(&lab);
        Self { lab, server, resources }
    }

    fn send(&self, line: &str, headers: &str, body: &[u8]) -> Reply {
        send(self.server.address(), line, headers, body)
    }

    fn play(&self, parameters: &str, body: &[u8]) -> Reply {
        self.send(&format!("POST network-interfaces/{SOURCE}/frames{parameters}"), "", body)
    }

    fn copies_path(&self) -> String {
        format!("targets/{}/copies", self.resources.target)
    }
}

fn capture() -> Vec<u8> {
    fs::read(format!("{}/pcaps/quickstart/input.pcap", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn a_capture_is_played_and_its_copies_are_fetched_in_every_format() {
    let served = Served::new();
    let reply = served.play("?explain=true", &capture());
    assert_eq!(reply.status, 200, "{}", reply.text());
    let report = reply.json();
    let mirrored = usize::try_from(report["mirrored"].as_u64().unwrap()).unwrap();
    assert_eq!(report["explain"].as_array().unwrap().len(), report["received"]);
    let path = served.copies_path();
    let get =
        |accept: &str| served.send(&format!("GET {path}"), &format!("Accept: {accept}\r\n"), b"");
    let records = read(&get("application/vnd.tcpdump.pcap").body);
    assert_eq!(records.len(), mirrored);
    let prefixed: Vec<u8> = records
        .iter()
        .flat_map(|one| [&one.wire_len.to_be_bytes()[..], &one.bytes].concat())
        .collect();
    assert_eq!(get("application/octet-stream").body, prefixed);
    assert_eq!(get("application/x-pcapng").body[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    let lines = get("application/x-ndjson").text();
    assert_eq!(lines.lines().count(), mirrored);
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["session"], served.resources.session);
    assert_eq!(first["vni"].to_string(), served.resources.network_id);
    assert_eq!(first["rule"], 100);
    assert_eq!(served.send(&format!("DELETE {path}"), "", b"").json()["removed"], mirrored);
    assert_eq!(get("application/octet-stream").body, b"");
}

#[test]
fn frames_with_their_lengths_are_played() {
    let served = Served::new();
    let one = frame(1);
    let body = [&42_u32.to_be_bytes()[..], &one, &42_u32.to_be_bytes(), &one].concat();
    let kind = "Content-Type: application/octet-stream\r\n";
    let line = format!("POST network-interfaces/{SOURCE}/frames?direction=EGRESS&explain=1");
    let report = served.send(&line, kind, &body).json();
    assert_eq!(report["mirrored"], 2);
    assert_eq!(report["explain"][1]["direction"], "egress");
}

#[test]
fn mistakes_of_clients_are_named() {
    let served = Served::new();
    let line = format!("POST network-interfaces/{SOURCE}/frames");
    let prefixed = "Content-Type: application/octet-stream\r\n";
    let target = format!("PUT targets/{}/address", served.resources.target);
    let cases: &[(&str, &str, &[u8], u16, &str)] = &[
        (&line, "", b"junk", 400, "not a capture"),
        (&line, "", b"", 400, "--network-interface"),
        (&line, prefixed, b"\0\0\0\x09abc", 400, "byte 0: expected frames"),
        (&format!("{line}?speed=fast"), "", b"x", 400, "speed `fast`: expected max"),
        (&format!("{line}?direction=up"), "", b"x", 400, "`up`"),
        (&format!("{line}?explane=1"), "", b"x", 400, "parameter `explane`"),
        ("POST network-interfaces/eni-0/frames", "", b"x", 404, "'eni-0' does not exist"),
        ("POST network-interfaces/10.0.0.77/frames", "", b"x", 404, "`10.0.0.77`: expected an id"),
        ("GET targets/tmt-0/copies", "", b"", 404, "'tmt-0' does not exist"),
        ("GET targets/tmt-0/copies?follow=1", "", b"", 404, "'tmt-0' does not exist"),
        ("GET reset", "", b"", 405, "method GET: expected POST"),
        ("GET nothing", "", b"", 404, "openapi.json"),
        ("POST seed", "", b"{}", 400, "missing field `seed`"),
        ("POST seed", "", b"{\"sed\": 1}", 400, "unknown field `sed`"),
        ("PUT clock", "", b"{\"now_s\": -1}", 400, "body: invalid value"),
        (&target, "", b"{\"addresses\": [\"x\"]}", 400, "addresses `x`"),
        ("POST explain", "", b"{\"network_interface_id\": \"eni-0\"}", 400, "flow and frame"),
        (
            "POST explain",
            "",
            b"{\"network_interface_id\": \"eni-0\", \"flow\": \"up\"}",
            400,
            "flow `up`: expected a protocol",
        ),
    ];
    for (line, headers, body, status, part) in cases {
        let reply = served.send(line, headers, body);
        assert_eq!(reply.status, *status, "{line}: {}", reply.text());
        let error = reply.json()["error"].clone();
        assert!(error["message"].as_str().unwrap().contains(part), "{line}: {error}");
        assert!(error["code"].is_string(), "{error}");
    }
}

#[test]
fn seed_clock_pins_and_reset_are_set_by_requests() {
    let served = Served::new();
    let change = |line: &str, body: &str| {
        let reply = served.send(line, "", body.as_bytes());
        assert_eq!(reply.status, 200, "{line}: {}", reply.text());
    };
    change("POST reset", "");
    change("POST seed", "{\"seed\": 7}");
    let first = Resources::create(&served.lab);
    change("POST reset", "");
    change("POST seed", "{\"seed\": 7}");
    assert_eq!(Resources::create(&served.lab), first);
    change("PUT clock", "{\"now_s\": 1700000000}");
    assert_eq!(served.send("GET snapshot", "", b"").json()["now_s"], 1_700_000_000);
    let target = &first.target;
    change(&format!("PUT targets/{target}/address"), "{\"addresses\": [\"192.0.2.8\"]}");
    let pin = "{\"private_ip_addresses\": [\"10.0.9.9\"], \"mac_address\": \"02:00:00:00:00:09\"}";
    change("PUT network-interfaces/eni-00000009", pin);
    let snapshot = served.send("GET snapshot", "", b"").text();
    assert!(snapshot.contains("192.0.2.8:4789") && snapshot.contains("10.0.9.9"), "{snapshot}");
    let flow = format!(
        "{{\"network_interface_id\": \"{SOURCE}\", \"flow\": \"tcp 10.0.0.6:4000 > 10.0.0.5:443\"}}"
    );
    let decision = served.send("POST explain", "", flow.as_bytes()).json();
    assert_eq!(
        (&decision["verdict"], &decision["direction"]),
        (&"mirrored".into(), &"ingress".into())
    );
    assert!(served.send("GET health", "", b"").text().starts_with("ok\n"));
}

#[test]
fn copies_and_snapshots_are_streamed() {
    let served = Served::new();
    let line = format!("GET {}?follow=true", served.copies_path());
    let address = served.server.address();
    let mut copies = connect(address, &line, "Accept: application/x-ndjson\r\n", b"");
    let mut events = connect(address, "GET events", "", b"");
    assert!(next_line(&mut events, "data: {").contains("\"received\":0"));
    for _ in 0..2 {
        let frames = traffic_mirror::lab::PlayInput::Frames(vec![frame(1).into()]);
        served.lab.play(&eni(SOURCE), frames, Default::default()).unwrap();
        assert!(next_line(&mut copies, "{").contains(&served.resources.session));
    }
    let seen = next_line(&mut events, "data: {");
    assert!(!seen.contains("\"received\":0"), "{seen}");
    let target = served.resources.target_id();
    served.lab.clear_copies(&target).unwrap();
    served.lab.stop();
}

/// A web page cannot read or change the laboratory: Host, Origin and Sec-Fetch-Site are checked on
/// every path.
#[test]
fn requests_of_web_pages_are_refused() {
    let served = Served::new();
    for header in ["Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        for line in ["POST reset", "GET snapshot", "GET events"] {
            let reply = served.send(line, header, b"");
            assert_eq!(reply.status, 403, "{line} {header}");
            assert!(reply.json()["error"]["message"].is_string());
        }
    }
    assert!(served.lab.snapshot().contains("tms-"), "nothing was reset");
    let json = served.send("GET openapi.json", "", b"");
    assert!(json.headers.to_ascii_lowercase().contains("content-type: application/json"));
}
