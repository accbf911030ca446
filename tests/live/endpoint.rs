//! The EC2 endpoint: a session that is created over HTTP mirrors at once, until it is deleted.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::collector::{Collector, by_network};
use crate::lab::Lab;
use crate::mirror::Mirror;
use crate::traffic::{IPV4, Pair};
use crate::waiting::pause;
use testkit::namespace::Namespace;
use testkit::print_uncaptured;

pub(crate) const ENDPOINT: &str = "127.0.0.1:4566";

/// How long a response may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A client of the endpoint, in the namespace of the host.
pub(crate) struct Client<'a> {
    pub(crate) host: &'a Namespace,
}

impl Client<'_> {
    /// Sends a call; returns status and document.
    pub(crate) fn call(&self, parameters: &str) -> (u16, String) {
        let body = format!("Version=2016-11-15&{parameters}");
        let credential = "Credential=test/20261123/eu-west-1/ec2/aws4_request";
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {ENDPOINT}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\
             Authorization: AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = self.host.inside(|| {
            let mut stream = TcpStream::connect(ENDPOINT).unwrap();
            stream.set_read_timeout(Some(TIMEOUT)).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let (head, document) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), document.to_owned())
    }

    /// Sends a call that must succeed; returns the text of an element of its response.
    pub(crate) fn done(&self, parameters: &str, element: &str) -> String {
        let (status, document) = self.call(parameters);
        assert_eq!(status, 200, "{document}");
        text(&document, element)
    }

    /// The id of the interface with that name.
    pub(crate) fn interface(&self, device: &str) -> String {
        let by_name = format!("Filter.1.Name=tag:Name&Filter.1.Value.1={device}");
        self.done(&format!("Action=DescribeNetworkInterfaces&{by_name}"), "networkInterfaceId")
    }

    /// A filter that accepts all UDP.
    pub(crate) fn filter(&self) -> String {
        let filter = self.done("Action=CreateTrafficMirrorFilter", "trafficMirrorFilterId");
        for direction in ["ingress", "egress"] {
            let rule = format!(
                "Action=CreateTrafficMirrorFilterRule&TrafficMirrorFilterId={filter}\
                 &TrafficDirection={direction}&RuleNumber=1&RuleAction=accept&Protocol=17\
                 &SourceCidrBlock=0.0.0.0/0&DestinationCidrBlock=0.0.0.0/0"
            );
            self.done(&rule, "trafficMirrorFilterRuleId");
        }
        filter
    }

    /// A target at the address of the monitor.
    pub(crate) fn target(&self) -> String {
        self.done(&to("10.99.1.2"), "trafficMirrorTargetId")
    }

    /// A session of an interface with a new filter.
    pub(crate) fn mirror(&self, interface: &str, target: &str) -> (u16, String) {
        let filter = self.filter();
        self.call(&format!(
            "Action=CreateTrafficMirrorSession&NetworkInterfaceId={interface}\
             &TrafficMirrorTargetId={target}&TrafficMirrorFilterId={filter}&SessionNumber=1\
             &VirtualNetworkId=42"
        ))
    }

    /// A session of h0 with a new filter and a new target.
    pub(crate) fn session(&self, network_id: u32) -> String {
        let (interface, filter, target) = (self.interface("h0"), self.filter(), self.target());
        let session = format!(
            "Action=CreateTrafficMirrorSession&NetworkInterfaceId={interface}\
             &TrafficMirrorTargetId={target}&TrafficMirrorFilterId={filter}&SessionNumber=1\
             &VirtualNetworkId={network_id}"
        );
        self.done(&session, "trafficMirrorSessionId")
    }
}

/// The call that creates a target with this address.
pub(crate) fn to(address: &str) -> String {
    let arn = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/m/1";
    format!(
        "Action=CreateTrafficMirrorTarget&NetworkLoadBalancerArn={arn}\
         &TagSpecification.1.ResourceType=traffic-mirror-target\
         &TagSpecification.1.Tag.1.Key=mirror:address&TagSpecification.1.Tag.1.Value={address}"
    )
}

/// The text of the first element of that name.
pub(crate) fn text(document: &str, element: &str) -> String {
    let (_, rest) = document.split_once(&format!("<{element}>")).unwrap();
    rest.split_once('<').unwrap().0.to_owned()
}

pub(crate) fn start(lab: &Lab, state: &Path) -> Mirror {
    let words =
        format!("--ec2-endpoint {ENDPOINT} --no-authentication --state {}", state.display());
    Mirror::start_and_wait_for(&lab.host, &words, "EC2 endpoint on")
}

#[test]
fn a_session_mirrors_from_its_creation_until_its_deletion() {
    let Some(lab) = Lab::new("ec2") else { return };
    let mirror = start(&lab, &lab.folder.path().join("state"));
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    let client = Client { host: &lab.host };
    pair.send(0, 100);
    let session = client.session(42);
    (1..=50).for_each(|number| pair.send(number, 100));
    for network_id in 43..63 {
        let change = format!(
            "Action=ModifyTrafficMirrorSession&TrafficMirrorSessionId={session}\
             &VirtualNetworkId={network_id}"
        );
        client.done(&change, "virtualNetworkId");
        (0..5).for_each(|number| pair.answer(number, 100));
    }
    let delete = format!("Action=DeleteTrafficMirrorSession&TrafficMirrorSessionId={session}");
    client.done(&delete, "trafficMirrorSessionId");
    (0..20).for_each(|number| pair.send(number, 100));
    let arrived = by_network(&collector.take_after(150));
    let expected = std::iter::once((42, 50)).chain((43..63).map(|network_id| (network_id, 5)));
    assert_eq!(arrived, expected.collect());
    mirror.end().assert_no_loss();
}

#[test]
fn sessions_are_restored_after_a_restart() {
    let Some(lab) = Lab::new("ec2st") else { return };
    let state = lab.folder.path().join("state");
    let mirror = start(&lab, &state);
    let client = Client { host: &lab.host };
    let session = client.session(77);
    mirror.signal("-KILL");
    pause(200);
    drop(mirror);
    let mirror = start(&lab, &state);
    mirror.wait_for_lines("mirroring h0", 1);
    let found = client.done("Action=DescribeTrafficMirrorSessions", "trafficMirrorSessionId");
    assert_eq!(found, session);
    let collector = Collector::listen(&lab.monitor, "10.99.1.2");
    let pair = Pair::new(&lab, IPV4, (4000, 2000));
    (0..10).for_each(|number| pair.send(number, 100));
    assert_eq!(by_network(&collector.take_after(10)), [(77, 10)].into());
    mirror.end().assert_no_loss();
}

#[test]
fn boto3_can_call_every_action() {
    let Some(lab) = Lab::new("ec2py") else { return };
    let words = format!(
        "--ec2-endpoint {ENDPOINT} --no-authentication --allow-target 0.0.0.0/0 --state {}",
        lab.folder.path().join("state").display()
    );
    let mirror = Mirror::start_and_wait_for(&lab.host, &words, "EC2 endpoint on");
    let url = format!("http://{ENDPOINT}");
    run(
        &lab,
        "boto3_actions.py",
        &[("EC2_ENDPOINT", &url), ("DEVICE", "h0"), ("OTHER_DEVICE", "m0")],
    );
    run(&lab, "boto3_discovery.py", &[("EC2_ENDPOINT", &url), ("CREATES", "no")]);
    mirror.end().assert_no_loss();
}

const CREDENTIALS: &str = r#"
[[credential]]
access_key_id = "AKIDEXAMPLE"
secret_access_key = "SECRETEXAMPLE"
account_id = "111122223333"

[[credential]]
access_key_id = "ASIAEXAMPLE"
secret_access_key = "OTHERSECRET"
session_token = "token+/="
account_id = "444455556666"
"#;

#[test]
fn boto3_needs_a_valid_key_with_and_without_tls() {
    let Some(lab) = Lab::new("ec2sig") else { return };
    let folder = lab.folder.path();
    let credentials = folder.join("credentials.toml");
    std::fs::write(&credentials, CREDENTIALS).unwrap();
    std::fs::set_permissions(&credentials, std::fs::Permissions::from_mode(0o600)).unwrap();
    let words = format!(
        "--ec2-endpoint {ENDPOINT} --credentials {} --allow-target 127.0.0.0/8",
        credentials.display()
    );
    let mirror = Mirror::start_and_wait_for(&lab.host, &words, "EC2 endpoint on");
    run(&lab, "boto3_signatures.py", &[("EC2_ENDPOINT", &format!("http://{ENDPOINT}"))]);
    mirror.end().assert_no_loss();
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    let made = std::process::Command::new("openssl")
        .args("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost".split(' '))
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-out"])
        .args([&chain, Path::new("-keyout"), &key])
        .output();
    if !made.is_ok_and(|output| output.status.success()) {
        return print_uncaptured("NOT RUN: the endpoint with TLS needs openssl\n");
    }
    let (chain, key) = (chain.display(), key.display());
    let words = format!("{words} --tls-certificate {chain} --tls-key {key}");
    let mirror = Mirror::start_and_wait_for(&lab.host, &words, "EC2 endpoint on https");
    let url = format!("https://{ENDPOINT}");
    let variables = [("EC2_ENDPOINT", &*url), ("CA_BUNDLE", &chain.to_string())];
    run(&lab, "boto3_signatures.py", &variables);
    mirror.end().assert_no_loss();
}

/// Runs a script of `tests/clients` on the host. Prints `NOT RUN:` if boto3 is not installed.
fn run(lab: &Lab, script: &str, variables: &[(&str, &str)]) {
    let has_boto3 = std::process::Command::new("python3").args(["-c", "import boto3"]).output();
    if !has_boto3.is_ok_and(|output| output.status.success()) {
        return print_uncaptured("NOT RUN: the endpoint with boto3 needs python3 and boto3\n");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let mut command = lab.host.command("python3");
    command.arg(script).envs(variables.iter().copied());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
