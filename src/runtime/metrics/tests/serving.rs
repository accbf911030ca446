//! Tests the pages as a client sees them, and malicious clients.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::super::pages::SnapshotSource;
use super::super::server::{LIMITS, serve};
use super::exposition_parser::Samples;
use super::{busy, idle, table};
use crate::http::{HostNames, Limits, Server};
use crate::runtime::{EventSink, MetricsOptions, Snapshot};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn try_serve(address: SocketAddr, take: SnapshotSource, limits: Limits) -> io::Result<Server> {
    let options = MetricsOptions { address, hosts: HostNames::default() };
    serve(&options, take, limits, EventSink::ignore())
}

fn served(snapshot: Snapshot) -> Server {
    try_serve(ANY, Arc::new(move || snapshot.clone()), LIMITS).unwrap()
}

fn connected(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn limits(connections: usize, head: Duration, connection: Duration) -> Limits {
    Limits {
        connections,
        waiting_per_peer: connections,
        first_head: head,
        idle: head,
        request: connection,
        connection: Some(connection),
        is_kept_alive: false,
        head_len: 8192,
        headers: 64,
        body_len: 0,
    }
}

/// Head and body of the response.
fn fetch(server: &Server, request: &str) -> (String, String) {
    let mut stream = connected(server);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

fn get(server: &Server, path: &str) -> (String, String) {
    fetch(server, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
}

#[test]
fn the_accept_header_selects_the_metrics_format() {
    let server = served(busy());
    let (head, body) = get(&server, "/metrics");
    assert!(head.starts_with("http/1.1 200 ok"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(Samples::read(&body).sum("traffic_mirror_received_total") > 0.0);
    // The Accept header of Prometheus 2.49.
    let accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1";
    let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n\r\n");
    let (head, body) = fetch(&server, &request);
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("# EOF\n"));
}

#[test]
fn the_health_page_names_missing_devices() {
    let (head, body) = get(&served(busy()), "/healthz");
    assert!(head.starts_with("http/1.1 200 ok"), "{head}");
    assert_eq!(body, "ok\n");

    let (head, body) = get(&served(idle()), "/healthz");
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    let missing = r#"[{"device":"eth0","network_interface_id":"eni-web"},{"device":"eth1","network_interface_id":"eni-db"}]"#;
    let status = "no network interface is attached";
    assert_eq!(body, format!("{{\"status\":\"{status}\",\"missing\":{missing}}}\n"));

    let mut half = idle();
    half.workers[1].is_attached = true;
    assert_eq!(half.missing(), [("eth0", "eni-web")]);
    let status = "some network interfaces are not attached";
    let missing = r#"[{"device":"eth0","network_interface_id":"eni-web"}]"#;
    let body = get(&served(half), "/healthz").1;
    assert_eq!(body, format!("{{\"status\":\"{status}\",\"missing\":{missing}}}\n"));

    let mut nothing_wanted = idle();
    nothing_wanted.workers.clear();
    nothing_wanted.interfaces.clear();
    assert_eq!(get(&served(nothing_wanted), "/healthz").1, "ok\n");
}

#[test]
fn the_health_page_names_targets_without_an_address() {
    let nowhere = include_str!("before.toml")
        .replace("address = \"192.0.2.10\"", "network_load_balancer_arn = \"arn:x\"");
    let mut snapshot = idle();
    snapshot.interfaces.iter_mut().for_each(|one| one.table = table(&nowhere));
    let body = get(&served(snapshot.clone()), "/healthz").1;
    assert!(body.ends_with("\"targets_without_address\":[\"tmt-one\"]}\n"), "{body}");
    snapshot.workers.iter_mut().for_each(|one| one.is_attached = true);
    let (head, body) = get(&served(snapshot), "/healthz");
    assert!(head.starts_with("http/1.1 200 ok"), "{head}");
    assert_eq!(body, "ok\ntargets without an address: tmt-one\n");
}

#[test]
fn unaccounted_frames_make_the_run_unhealthy() {
    let mut snapshot = busy();
    snapshot.workers[1].ring.unaccounted = 7;
    let device = snapshot.workers[1].device.clone();
    let server = served(snapshot);
    let (head, body) = get(&server, "/healthz");
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    let status = "frames are not accounted for";
    let wanted =
        format!("{{\"status\":\"{status}\",\"missing\":[],\"unaccounted\":{{\"{device}\":7}}}}\n");
    assert_eq!(body, wanted);
    let metrics = Samples::read(&get(&server, "/metrics").1);
    assert!((metrics.sum("traffic_mirror_ring_unaccounted_total") - 7.0).abs() < 0.1);
}

#[test]
fn the_root_links_to_the_pages_and_other_paths_are_404() {
    let server = served(idle());
    assert!(get(&server, "/").1.contains("/metrics"));
    assert!(get(&server, "/secret").0.starts_with("http/1.1 404 "));
    let request = "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    assert!(fetch(&server, request).0.starts_with("http/1.1 405 "));
}

#[test]
fn a_port_in_use_is_an_error_at_startup() {
    let server = served(idle());
    let error = try_serve(server.address(), Arc::new(idle), LIMITS).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().ends_with("; another program uses the port"), "{error}");
}

#[test]
fn dropping_the_server_closes_open_connections() {
    let server = served(idle());
    let address = server.address();
    let mut inside = connected(&server);
    inside.write_all(b"GET /metrics HT").unwrap();
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    // The connection is closed or reset and does not hang.
    let _ = inside.read(&mut [0; 16]).map(|len| assert_eq!(len, 0));
}

#[test]
fn slow_clients_are_closed_and_do_not_block_others() {
    let head = Duration::from_millis(300);
    let limits = limits(2, head, 30 * head);
    let snapshot = busy();
    let take = Arc::new(move || snapshot.clone());
    let server = try_serve(ANY, take, limits).unwrap();
    // All slots are used by clients that send nothing or an incomplete request.
    let silent: Vec<TcpStream> = (0..4).map(|_| connected(&server)).collect();
    let mut half = connected(&server);
    half.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
    assert_eq!(get(&server, "/healthz").1, "ok\n");
    for mut stream in silent.into_iter().chain([half]) {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
}

#[test]
fn an_oversized_request_head_is_refused() {
    let server = served(idle());
    let mut stream = connected(&server);
    let field = format!("X-Long: {}\r\n", "a".repeat(1_000));
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}", field.repeat(40));
    // The response may arrive before the whole request is sent.
    let _ = stream.write_all(head.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(get(&server, "/healthz").0.lines().next(), Some("http/1.1 503 service unavailable"));
}

#[test]
fn a_connection_is_closed_at_its_time_limit() {
    let connection = Duration::from_millis(300);
    let limits = limits(1, 400 * connection, connection);
    let server = try_serve(ANY, Arc::new(idle), limits).unwrap();
    let mut silent = connected(&server);
    // The connection is closed or reset long before the time-out for a request head.
    let ended = silent.read(&mut [0; 16]);
    assert!(!ended.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
}
