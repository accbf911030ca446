//! An endpoint on loopback in front of an emulator, and a plain HTTP client.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use traffic_mirror::control::Registry;
use traffic_mirror::control::account::{Account, Quotas, Record, TargetResolver};
use traffic_mirror::ec2::{Access, Endpoint, Persist, Publish, PublishedChange, Upstream, serve};
use traffic_mirror::http::{HostNames, Server};
use traffic_mirror::io::clock::unix_seconds;
use traffic_mirror::model::{NetworkInterface, NetworkInterfaceId, Target, TargetId};

use crate::emulator::Emulator;

struct NullBackend;

impl Persist for NullBackend {
    fn commit(&mut self, _: &[Record]) -> io::Result<()> {
        Ok(())
    }
}

impl Publish for NullBackend {
    fn publish(&mut self, _: &Registry, changes: Vec<PublishedChange>) {
        changes.into_iter().for_each(|change| (change.done)(Ok(())));
    }
}

/// A response: its status, its head in lower case, and its body.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    /// The texts of all elements of this name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let tag = format!("<{name}>");
        let parts = self.body.split(&*tag).skip(1);
        parts.map(|part| part.split('<').next().unwrap()).collect()
    }

    /// The text of the only element of this name.
    pub(crate) fn one(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name}: {}", self.body);
        all[0]
    }
}

/// The endpoint, with the own interface `eni-00000001`.
pub(crate) struct Stack {
    pub(crate) account: Arc<RwLock<Account>>,
    server: Server,
}

impl Stack {
    pub(crate) fn start(url: &str, access: Access) -> Self {
        let (account, endpoint) = endpoint(url, access);
        let address = "127.0.0.1:0".parse().unwrap();
        let server = serve(address, endpoint, HostNames::default(), None, |_| {}).unwrap();
        Self { account, server }
    }

    /// An endpoint in front of a new emulator.
    pub(crate) fn with_emulator() -> (Self, Emulator) {
        let emulator = Emulator::start();
        (Self::start(&emulator.url(), Access::default()), emulator)
    }

    /// An endpoint in front of an emulator that is down.
    pub(crate) fn without_emulator() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self::start(&format!("http://{free}"), Access::default())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Sends a form to EC2.
    pub(crate) fn send(&self, form: &str) -> Response {
        self.post("ec2", &format!("Version=2016-11-15&{form}"))
    }

    pub(crate) fn post(&self, service: &str, form: &str) -> Response {
        self.request("POST / HTTP/1.1", service, &[], form)
    }

    /// Sends a request that is signed for a service.
    pub(crate) fn request(
        &self,
        line: &str,
        service: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let credential = format!("AKID/20261123/eu-west-1/{service}/aws4_request");
        self.request_as(&credential, line, headers, body)
    }

    /// Sends a request that is signed with a credential: key, date, region and service.
    pub(crate) fn request_as(
        &self,
        credential: &str,
        line: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        let headers: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let authorization = format!("AWS4-HMAC-SHA256 Credential={credential}, Signature=0");
        write!(
            stream,
            "{line}\r\nhost: localhost\r\nconnection: close\r\nauthorization: {authorization}\r\n\
             {headers}content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn create_filter(&self) -> String {
        let created = self.send("Action=CreateTrafficMirrorFilter");
        created.one("trafficMirrorFilterId").to_owned()
    }

    /// Creates a session of an interface with the target of the configuration file.
    pub(crate) fn create_session(&self, interface: &str, number: u16) -> Response {
        let filter = self.create_filter();
        self.send(&format!(
            "Action=CreateTrafficMirrorSession&NetworkInterfaceId={interface}\
             &TrafficMirrorTargetId=tmt-file&TrafficMirrorFilterId={filter}&SessionNumber={number}"
        ))
    }

    /// The ids of all sessions.
    pub(crate) fn sessions(&self) -> Vec<String> {
        let described = self.send("Action=DescribeTrafficMirrorSessions");
        described.all("trafficMirrorSessionId").into_iter().map(str::to_owned).collect()
    }

    /// A network interface of the registry.
    pub(crate) fn interface(&self, id: &str) -> Option<NetworkInterface> {
        let account = self.account.read().unwrap_or_else(PoisonError::into_inner);
        account.registry().network_interface(&NetworkInterfaceId::new(id).unwrap()).cloned()
    }
}

/// The endpoint without its sockets.
pub(crate) fn endpoint(url: &str, access: Access) -> (Arc<RwLock<Account>>, Endpoint) {
    let mut registry = Registry::default();
    let own = NetworkInterfaceId::new("eni-00000001").unwrap();
    let mut interface = NetworkInterface::new(own);
    interface.device = Some("eth0".to_owned());
    registry.add_network_interface(interface).unwrap();
    let id = TargetId::new("tmt-file").unwrap();
    registry.add_target(Target::at(id, "192.0.2.1:4789".parse().unwrap())).unwrap();
    let account = Account::new(registry, Quotas::default(), TargetResolver::default(), draw);
    let account = Arc::new(RwLock::new(account));
    let endpoint =
        Endpoint::new(Arc::clone(&account), NullBackend, NullBackend, unix_seconds, draw).unwrap();
    let endpoint = endpoint.with_access(access).with_upstream(Upstream::new(url).unwrap());
    (account, endpoint.unwrap())
}

/// Numbers that look random and do not repeat.
fn draw() -> u128 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    u128::from(NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Waits until something is true, which another thread makes so.
pub(crate) fn wait_until(is_true: impl Fn() -> bool) {
    while !is_true() {
        std::thread::yield_now();
    }
}
