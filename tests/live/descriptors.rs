//! With few file descriptors, some interfaces wait, and metrics and health still respond.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::capacity::config_of;
use crate::collector::Collector;
use crate::endpoint::{Client, ENDPOINT, text};
use crate::lab::Lab;
use crate::mirror::{BINARY, Mirror};
use crate::traffic::{IPV4, Pair};
use crate::waiting::wait_until;

/// More interfaces than 64 descriptors allow.
const INTERFACES: usize = 40;

const ADDRESS: &str = "127.0.0.1:9465";

fn get(lab: &Lab, path: &str) -> String {
    lab.host.inside(|| {
        let mut stream = TcpStream::connect(ADDRESS).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    })
}

/// A configuration with a session for h0 and for further devices, which are created.
fn config(lab: &Lab) -> String {
    let mut lines = String::new();
    let mut devices = vec!["h0".to_owned()];
    for number in 1..INTERFACES {
        writeln!(lines, "link add d{number} up type veth peer name e{number}").unwrap();
        devices.push(format!("d{number}"));
    }
    lab.host.ip(&lines);
    lab.put("forty.toml", &config_of(&devices))
}

#[test]
fn with_64_descriptors_metrics_respond_and_some_interfaces_are_mirrored() {
    let Some(lab) = Lab::new("fds") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let words = format!("--config {} --metrics {ADDRESS}", config(&lab));
    let mut command = lab.host.command("prlimit");
    command.args(["--nofile=64:64", BINARY]);
    let mut mirror = Mirror::start_command(command, &words, "h0");
    wait_until("metrics", || get(&lab, "/metrics").contains("traffic_mirror_ring_attached"));
    let health = get(&lab, "/healthz");
    assert!(health.starts_with("HTTP/1.0 ") && health.len() > 20, "{health}");
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    (0..20).for_each(|number| pair.send(number, 60));
    assert_eq!(collector.take_after(20).len(), 20);
    for _ in 0..20 {
        assert!(get(&lab, "/metrics").contains("200 OK"));
    }
    mirror.assert_running();
    assert!(mirror.count_lines_with("too few file descriptors") > 0, "{:#?}", mirror.log_lines());
    assert_eq!(mirror.end().code, 0);
}

/// Sessions over the API, with descriptors for a few of them: rejected ones do not exist, created
/// ones mirror, and other changes continue.
#[test]
fn a_session_is_refused_and_rolled_back_without_descriptors() {
    let Some(lab) = Lab::new("fdapi") else { return };
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    config(&lab);
    let mut command = lab.host.command("prlimit");
    command.args(["--nofile=72:72", BINARY]);
    let words = format!("--ec2-endpoint {ENDPOINT} --no-authentication --metrics {ADDRESS}");
    let mirror = Mirror::start_command(command, &words, "EC2 endpoint on");
    let client = Client { host: &lab.host };
    let (target, filter) = (client.target(), client.filter());
    let mut made = Vec::new();
    let mut refused = 0;
    let devices = std::iter::once("h0".to_owned()).chain((1..15).map(|n| format!("d{n}")));
    for device in devices {
        let interface = client.interface(&device);
        let (status, document) = client.call(&format!(
            "Action=CreateTrafficMirrorSession&NetworkInterfaceId={interface}&SessionNumber=1\
             &TrafficMirrorTargetId={target}&TrafficMirrorFilterId={filter}&ClientToken={device}"
        ));
        match status {
            200 => made.push(text(&document, "trafficMirrorSessionId")),
            500 => {
                assert!(document.contains("too few file descriptors"), "{document}");
                refused += 1;
            }
            _ => panic!("{status} {document}"),
        }
    }
    assert!(!made.is_empty() && refused > 0, "{} made, {refused} refused", made.len());
    let (_, listed) = client.call("Action=DescribeTrafficMirrorSessions");
    assert_eq!(listed.matches("<trafficMirrorSessionId>").count(), made.len(), "{listed}");
    assert!(get(&lab, "/healthz").ends_with("ok\n"));
    // Changes continue, and released descriptors are used again.
    client.done("Action=CreateTrafficMirrorFilter", "trafficMirrorFilterId");
    let first = made.remove(0);
    let delete = format!("Action=DeleteTrafficMirrorSession&TrafficMirrorSessionId={first}");
    assert_eq!(client.call(&delete).0, 200);
    let interface = client.interface("h0");
    assert_eq!(client.mirror(&interface, &target).0, 200);
    Pair::new(&lab, IPV4, (4000, 2000)).send(0, 60);
    assert_eq!(collector.take_after(1).len(), 1);
    assert_eq!(mirror.end().code, 0);
}

#[test]
fn too_few_descriptors_for_one_worker_are_an_error() {
    let Some(lab) = Lab::new("fdfew") else { return };
    for limit in [16, 24, 28] {
        let words = "run --ec2-endpoint 127.0.0.1:4566 --metrics 127.0.0.1:9465";
        let mut command = lab.host.command("prlimit");
        command.arg(format!("--nofile={limit}:{limit}")).arg(BINARY).args(words.split(' '));
        let ended = command.output().unwrap();
        let log_lines = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{log_lines}");
        assert!(
            log_lines.contains("too few file descriptors") && log_lines.contains("ulimit -n"),
            "{log_lines}"
        );
    }
}
