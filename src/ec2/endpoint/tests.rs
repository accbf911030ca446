//! When changes get their responses, and the rollback of a change that cannot be applied.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::control::account::{Quotas, TargetResolver};
use crate::ec2::form::Form;
use crate::model::{NetworkInterface, Target, TargetId};

/// Stores nothing.
struct NullStore;

impl Persist for NullStore {
    fn commit(&mut self, _: &[Record]) -> io::Result<()> {
        Ok(())
    }

    fn restore(&mut self) -> io::Result<Account> {
        Err(io::Error::other("nothing is kept"))
    }
}

/// Changes that wait to be applied.
type Pending = Arc<Mutex<Vec<PublishedChange>>>;

/// A data plane with devices that cannot be captured (`broken`), and devices whose changes stay
/// pending (`slow`).
#[derive(Default)]
struct FakePublisher {
    broken: Vec<&'static str>,
    slow: Vec<&'static str>,
    pending: Pending,
}

impl Publish for FakePublisher {
    fn publish(&mut self, _: &Registry, changes: Vec<PublishedChange>) {
        for change in changes {
            let touches = |ids: &[&str]| change.touched.iter().any(|id| ids.contains(&id.as_str()));
            if change.needs_capture && touches(&self.broken) {
                (change.done)(Err(io::Error::other("no memory for a ring")));
            } else if touches(&self.slow) {
                self.pending.lock().unwrap().push(change);
            } else {
                (change.done)(Ok(()));
            }
        }
    }
}

fn draw() -> u128 {
    static DRAWN: AtomicU64 = AtomicU64::new(1);
    u128::from(DRAWN.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn endpoint(publisher: FakePublisher) -> Endpoint {
    let mut registry = Registry::default();
    for name in ["eni-00000001", "eni-00000002"] {
        let mut interface = NetworkInterface::new(NetworkInterfaceId::new(name).unwrap());
        interface.device = Some(name.to_owned());
        registry.add_network_interface(interface).unwrap();
    }
    let address = "192.0.2.9:4789".parse().unwrap();
    registry.add_target(Target::at(TargetId::new("tmt-f").unwrap(), address)).unwrap();
    let account = Account::new(registry, Quotas::default(), TargetResolver::default(), draw);
    let account = Arc::new(RwLock::new(account));
    Endpoint::new(account, publisher, NullStore, || 1_700_000_000, draw).unwrap()
}

fn send(endpoint: &Endpoint, form: &str) -> (u16, String) {
    let signed = "AWS4-HMAC-SHA256 Credential=AK/20261123/eu-west-1/ec2/aws4_request, Signature=0";
    let head = http::Request::post("/").header("authorization", signed).body(()).unwrap();
    endpoint.respond(&head.into_parts().0, format!("Version=2016-11-15&{form}").as_bytes())
}

fn filter(endpoint: &Endpoint) -> String {
    let (status, text) = send(endpoint, "Action=CreateTrafficMirrorFilter");
    assert_eq!(status, 200, "{text}");
    let (_, behind) = text.split_once("<trafficMirrorFilterId>").unwrap();
    behind.split_once('<').unwrap().0.to_owned()
}

fn session(interface: &str, filter: &str, token: &str) -> String {
    format!(
        "Action=CreateTrafficMirrorSession&NetworkInterfaceId={interface}\
         &TrafficMirrorTargetId=tmt-f&TrafficMirrorFilterId={filter}&SessionNumber=1\
         &ClientToken={token}"
    )
}

fn sessions(endpoint: &Endpoint) -> usize {
    let (_, text) = send(endpoint, "Action=DescribeTrafficMirrorSessions");
    text.matches("<trafficMirrorSessionId>").count()
}

#[test]
fn request_ids_are_uuids() {
    assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
    assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
}

#[test]
fn a_session_that_cannot_be_captured_is_rolled_back() {
    let endpoint =
        endpoint(FakePublisher { broken: vec!["eni-00000001"], ..FakePublisher::default() });
    let filter = filter(&endpoint);
    for _ in 0..2 {
        // The same token works again: the failed request is removed with its session.
        let (status, text) = send(&endpoint, &session("eni-00000001", &filter, "token"));
        assert!(status == 500 && text.contains("no memory for a ring"), "{status} {text}");
        assert_eq!(sessions(&endpoint), 0);
    }
    // The failed change does not block other changes.
    let (status, text) = send(&endpoint, &session("eni-00000002", &filter, "token"));
    assert_eq!((status, sessions(&endpoint)), (200, 1), "{text}");
}

#[test]
fn a_slow_change_does_not_delay_others() {
    let publisher = FakePublisher { slow: vec!["eni-00000001"], ..FakePublisher::default() };
    let pending = Arc::clone(&publisher.pending);
    let endpoint = Arc::new(endpoint(publisher));
    let filter = filter(&endpoint);
    let slow = {
        let (endpoint, form) = (Arc::clone(&endpoint), session("eni-00000001", &filter, "a"));
        thread::spawn(move || send(&endpoint, &form))
    };
    while pending.lock().unwrap().is_empty() {
        assert!(!slow.is_finished(), "it was answered");
        thread::yield_now();
    }
    let (status, text) = send(&endpoint, &session("eni-00000002", &filter, "b"));
    assert_eq!(status, 200, "{text}");
    assert_eq!(send(&endpoint, "Action=CreateTrafficMirrorFilter").0, 200);
    assert!(!slow.is_finished());
    let change = pending.lock().unwrap().pop().unwrap();
    (change.done)(Ok(()));
    assert_eq!(slow.join().unwrap().0, 200);
}

#[test]
fn changes_of_unused_resources_are_not_published() {
    struct SilentPublisher;
    impl Publish for SilentPublisher {
        fn publish(&mut self, _: &Registry, _: Vec<PublishedChange>) {
            panic!("nothing of this touches a session");
        }
    }
    let account =
        Account::new(Registry::default(), Quotas::default(), TargetResolver::default(), draw);
    let account = Arc::new(RwLock::new(account));
    let endpoint =
        Endpoint::new(account, SilentPublisher, NullStore, || 1_700_000_000, draw).unwrap();
    let filter = filter(&endpoint);
    let rule = format!(
        "Action=CreateTrafficMirrorFilterRule&TrafficMirrorFilterId={filter}\
         &TrafficDirection=ingress&RuleNumber=1&RuleAction=accept\
         &SourceCidrBlock=0.0.0.0/0&DestinationCidrBlock=0.0.0.0/0"
    );
    let (status, text) = send(&endpoint, &rule);
    assert_eq!(status, 200, "{text}");
}

/// The client of a session that is applied too late has already got an error.
#[test]
fn a_session_is_removed_when_its_client_stops_waiting() {
    let (reply, replied) = oneshot::channel();
    drop(replied);
    let (undo, work) = mpsc::channel();
    let form = Form::parse("", b"").unwrap();
    let request = Request {
        action: "CreateTrafficMirrorSession".to_owned(),
        form,
        owner: "000000000000".to_owned(),
        access_key_id: "AK".to_owned(),
        region: "eu-west-1".to_owned(),
        is_dry_run: false,
        is_sts: false,
    };
    let job = Job { request, request_id: "id".to_owned(), now_s: 0, reply, undo };
    let created = SessionId::new("tms-1").unwrap();
    let touched = BTreeSet::from([NetworkInterfaceId::new("eni-1").unwrap()]);
    let applied = AppliedChange { answer: Ok(String::new()), touched, created: Some(created), job };
    let change = applied.into_published(None).unwrap();
    (change.done)(Ok(()));
    let Ok(Work::Undo(undo)) = work.try_recv() else { panic!("nothing is undone") };
    assert_eq!(undo.session.as_str(), "tms-1");
}
