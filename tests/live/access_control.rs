//! Access to the ports of a run: web pages and users without the key are refused, and slow clients
//! do not block others.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use crate::connection::head;
use crate::endpoint::ENDPOINT;
use crate::lab::Lab;
use crate::mirror::{BINARY, Mirror, run_refused};
use testkit::config::one_session;

/// Less than the time after which the program closes a slow connection.
const TIMEOUT: Duration = Duration::from_millis(4_900);

const METRICS: &str = "127.0.0.1:9464";

/// Sends text to an address of the host; returns the status and the whole response.
fn send_raw(lab: &Lab, address: &str, text: &str) -> (u16, String) {
    let address: SocketAddr = address.parse().unwrap();
    let mut stream = lab.host.inside(|| TcpStream::connect(address).unwrap());
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

fn get(lab: &Lab, address: &str, path: &str, host: &str) -> (u16, String) {
    send_raw(
        lab,
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
    )
}

/// A call with a signature in the query, as a page can make a browser send it.
fn page_call(action: &str) -> String {
    format!(
        "/?Action={action}&Version=2016-11-15&X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=x/20260101/eu-west-1/ec2/aws4_request&X-Amz-Signature=0"
    )
}

#[test]
fn requests_from_web_pages_are_refused_on_every_port_and_path() {
    let Some(lab) = Lab::new("pages") else { return };
    let words = "--ec2-endpoint localhost:4566 --no-authentication --metrics localhost:9464 \
                 --allow-host mirror.example --account-id 111122223333";
    let mirror = Mirror::start_and_wait_for(&lab.host, words, "metrics on");
    mirror.wait_for_lines("EC2 endpoint on", 1);
    let describe = page_call("DescribeTrafficMirrorSessions");
    for (address, path) in
        [(ENDPOINT, &*describe), (ENDPOINT, "/x"), (METRICS, "/metrics"), (METRICS, "/healthz")]
    {
        let (status, answer) = get(&lab, address, path, "evil.example:4566");
        assert_eq!(status, 403, "{path}: {answer}");
        assert!(answer.contains("--allow-host"), "{answer}");
        let two_hosts = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(send_raw(&lab, address, &two_hosts).0, 400, "{path}");
        let no_host = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n");
        assert_eq!(send_raw(&lab, address, &no_host).0, 400, "{path}");
        let with_origin = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://a.example\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(send_raw(&lab, address, &with_origin).0, 403, "{path}");
    }
    for host in ["localhost", "127.0.0.1:4566", "mirror.example", "Mirror.Example:80"] {
        assert_eq!(get(&lab, ENDPOINT, &describe, host).0, 200, "{host}");
        assert_eq!(get(&lab, METRICS, "/metrics", host).0, 200, "{host}");
    }
    let (status, answer) =
        get(&lab, ENDPOINT, &page_call("CreateTrafficMirrorFilter"), "localhost");
    assert_eq!(status, 405, "{answer}");
    assert!(answer.contains("<Code>MethodNotAllowed</Code>"), "{answer}");
    let (_, answer) = get(&lab, ENDPOINT, &page_call("DescribeNetworkInterfaces"), "localhost");
    assert!(answer.contains("<ownerId>111122223333</ownerId>"), "{answer}");
    let other = page_call("DescribeLoadBalancers").replace("/ec2/", "/elasticloadbalancing/");
    let (status, answer) = get(&lab, ENDPOINT, &other, "localhost");
    assert!(status == 400 && answer.contains("EC2") && answer.contains("STS"), "{answer}");
    mirror.end().assert_no_loss();
}

#[test]
fn without_options_a_key_is_generated_that_only_its_user_can_read() {
    let Some(lab) = Lab::new("key") else { return };
    let words = format!("--ec2-endpoint {ENDPOINT} --account-id 111122223333");
    let mirror = Mirror::start_and_wait_for(&lab.host, &words, "EC2 endpoint on");
    let log_lines = mirror.log_lines().join("\n");
    let file = log_lines.split_once("with the key in ").unwrap().1.split(',').next().unwrap();
    let found = fs::symlink_metadata(file).unwrap();
    assert!(found.is_file() && found.mode() & 0o777 == 0o600, "{file}: {:o}", found.mode());
    let text = fs::read_to_string(file).unwrap();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
        line.unwrap().to_owned()
    };
    let (id, secret) = (value("aws_access_key_id"), value("aws_secret_access_key"));
    assert!(!log_lines.contains(&secret), "{log_lines}");
    let call = |id: &str| {
        let body = "Action=CreateTrafficMirrorFilter&Version=2016-11-15";
        let head = head().replace("Credential=test/", &format!("Credential={id}/"));
        send_raw(
            &lab,
            ENDPOINT,
            &format!(
                "{head}X-Amz-Date: 20261123T000000Z\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        )
    };
    for id in ["test", &id] {
        let (status, answer) = call(id);
        assert!(status == 401 || status == 403 || status == 400, "{status} {answer}");
        assert!(!answer.contains("<trafficMirrorFilterId>"), "{answer}");
    }
    let file = file.to_owned();
    mirror.end().assert_no_loss();
    assert!(fs::symlink_metadata(&file).is_err(), "{file} is still there");
}

/// Where no standard directory is private, as for a user without a session, the key is in a
/// temporary directory, which is removed at the end.
#[test]
fn the_temporary_directory_of_the_key_is_removed() {
    let Some(lab) = Lab::new("temporary") else { return };
    let mut command = lab.host.command("sh");
    let script =
        "mount -t tmpfs tmpfs /run && mkdir -m 777 /run/traffic-mirror && exec \"$0\" \"$@\"";
    command.args(["-c", script, BINARY]).env("TMPDIR", lab.folder.path());
    command.env_remove("XDG_RUNTIME_DIR").env_remove("RUNTIME_DIRECTORY");
    let words = "--ec2-endpoint 127.0.0.1:0";
    let mirror = Mirror::start_command(command, words, "EC2 endpoint on");
    let count = || fs::read_dir(lab.folder.path()).unwrap().count();
    assert_eq!(count(), 1, "{:#?}", mirror.log_lines());
    mirror.end().assert_no_loss();
    assert_eq!(count(), 0, "an empty directory is left");
}

#[test]
fn options_without_authentication_need_a_loopback_address() {
    let Some(lab) = Lab::new("open") else { return };
    for (words, part) in [
        ("--ec2-endpoint 0.0.0.0:4566", "--credentials"),
        ("--ec2-endpoint 10.98.1.2:4566 --no-authentication", "loopback"),
        ("--ec2-endpoint localhost.example:4566", "localhost:4566"),
        ("--ec2-endpoint localhost:4566 --account-id 1", "twelve digits"),
        ("--ec2-endpoint localhost:4566 --allow-host a:80", "without a port"),
        ("-i h0 --target 192.0.2.1 --allow-host a", "--metrics"),
        ("-i h0 --target 224.0.0.1", "multicast"),
    ] {
        let (code, log_lines) = run_refused(lab.host.command(BINARY), words);
        assert!(code == 2 && log_lines.contains(part), "{words}: {code} {log_lines}");
    }
}

/// A device of `--network-interface` may appear later; the session of a file needs one.
#[test]
fn devices_of_the_endpoint_are_checked_at_start() {
    let Some(lab) = Lab::new("devices") else { return };
    let words = "--ec2-endpoint 127.0.0.1:0 --no-authentication";
    let named = format!("{words} --network-interface eni-1=nosuch --network-interface eni-2=h0");
    let mirror = Mirror::start_and_wait_for(&lab.host, &named, "EC2 endpoint on");
    let log_lines = mirror.log_lines();
    let warned: Vec<_> = log_lines.iter().filter(|line| line.contains("does not exist")).collect();
    assert!(warned.len() == 1 && warned[0].contains("`nosuch`"), "{log_lines:#?}");
    mirror.end().assert_no_loss();
    for (fields, option, part) in [
        ("", "", "network_interface `eni-1`: expected a device"),
        (
            "device = \"h0\"",
            "--network-interface eni-2=h0",
            "--network-interface `eni-2=h0`: expected one id for each device, but `eni-1`",
        ),
    ] {
        let path = lab.put("mirror.toml", &one_session(fields, "10.99.1.2", &["ingress"]));
        let words = format!("{words} --config {path} {option}");
        let (code, log_lines) = run_refused(lab.host.command(BINARY), &words);
        assert!(code == 2 && log_lines.contains(part), "{code} {log_lines}");
    }
}

#[test]
fn slow_connections_do_not_block_others() {
    let Some(lab) = Lab::new("slow") else { return };
    let words = format!("--ec2-endpoint {ENDPOINT} --no-authentication --metrics {METRICS}");
    let mirror = Mirror::start_and_wait_for(&lab.host, &words, "EC2 endpoint on");
    let mut slow = Vec::new();
    lab.host.inside(|| {
        for number in 0..800 {
            let address = if number % 4 == 3 { METRICS } else { ENDPOINT };
            let stream = TcpStream::connect(address);
            let Ok(mut stream) = stream else { continue };
            let _ = stream.write_all(b"POST / HTTP/1.1\r\nHost: loc");
            slow.push(stream);
        }
    });
    let describe = page_call("DescribeTrafficMirrorSessions");
    for _ in 0..10 {
        assert_eq!(get(&lab, ENDPOINT, &describe, "localhost").0, 200);
        assert_eq!(get(&lab, METRICS, "/healthz", "localhost").0, 200);
    }
    mirror.wait_for_lines("EC2 endpoint: too many connections", 1);
    mirror.wait_for_lines("EC2 endpoint: connections are no longer closed", 1);
    assert_eq!(mirror.count_lines_with("EC2 endpoint: too many connections"), 1);
    mirror.end().assert_no_loss();
}
