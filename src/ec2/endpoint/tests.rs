//! When changes get their responses, and the rollback of a change that cannot be applied.

mod discovery;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::control::Registry;
use crate::control::account::{Quotas, Record, TargetResolver};
use crate::model::{NetworkInterface, NetworkInterfaceId, Target, TargetId};

/// Stores records in memory, except while it fails.
#[derive(Clone, Default)]
struct MemoryStore {
    records: Arc<Mutex<BTreeMap<String, String>>>,
    fails: Arc<AtomicBool>,
}

impl MemoryStore {
    /// The stored records of a kind: `session`, `filter`.
    fn of_kind(&self, kind: &str) -> Vec<String> {
        let records = self.records.lock().unwrap();
        let of_kind = records.iter().filter(|(key, _)| key.starts_with(kind));
        of_kind.map(|(_, text)| text.clone()).collect()
    }
}

impl Persist for MemoryStore {
    fn commit(&mut self, records: &[Record]) -> io::Result<()> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("no space left"));
        }
        let mut stored = self.records.lock().unwrap();
        for record in records {
            match &record.text {
                Some(text) => stored.insert(record.key.clone(), text.clone()),
                None => stored.remove(&record.key),
            };
        }
        Ok(())
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
    /// Whether the run is ending, so that all changes are refused.
    is_ending: Arc<AtomicBool>,
}

impl Publish for FakePublisher {
    fn publish(&mut self, _: &Registry, changes: Vec<PublishedChange>) {
        for change in changes {
            let touches = |ids: &[&str]| change.touched.iter().any(|id| ids.contains(&id.as_str()));
            if self.is_ending.load(Ordering::Relaxed) {
                (change.done)(Err(io::Error::other("the run is ending")));
            } else if change.needs_capture && touches(&self.broken) {
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
    endpoint_with_store(publisher, MemoryStore::default())
}

fn endpoint_with_store(publisher: FakePublisher, store: MemoryStore) -> Endpoint {
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
    Endpoint::new(account, publisher, store, || 1_700_000_000, draw).unwrap()
}

fn head() -> Parts {
    let signed = "AWS4-HMAC-SHA256 Credential=AK/20261123/eu-west-1/ec2/aws4_request, Signature=0";
    let head = http::Request::post("/").header("authorization", signed).body(()).unwrap();
    head.into_parts().0
}

fn send(endpoint: &Endpoint, form: &str) -> (u16, String) {
    endpoint.respond(&head(), format!("Version=2016-11-15&{form}").as_bytes())
}

/// Queues a change. Returns the channel for its response.
fn queue(endpoint: &Endpoint, form: &str) -> oneshot::Receiver<ChangeResult> {
    let request = endpoint.read(&head(), format!("Version=2016-11-15&{form}").as_bytes());
    match endpoint.submit(request) {
        Reply::Pending(replied, _) => replied,
        Reply::Ready(answer) => panic!("{answer:?}"),
    }
}

fn wait_until(is_true: impl Fn() -> bool) {
    while !is_true() {
        thread::yield_now();
    }
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
        Endpoint::new(account, SilentPublisher, MemoryStore::default(), || 1_700_000_000, draw)
            .unwrap();
    let filter = filter(&endpoint);
    let rule = format!(
        "Action=CreateTrafficMirrorFilterRule&TrafficMirrorFilterId={filter}\
         &TrafficDirection=ingress&RuleNumber=1&RuleAction=accept\
         &SourceCidrBlock=0.0.0.0/0&DestinationCidrBlock=0.0.0.0/0"
    );
    let (status, text) = send(&endpoint, &rule);
    assert_eq!(status, 200, "{text}");
}

/// An endpoint whose session on `eni-00000001` is pending, because its capture takes long. Its
/// client has disconnected. Returns the form of its request too.
fn with_pending_session(store: MemoryStore) -> (Endpoint, Pending, String) {
    let publisher = FakePublisher { slow: vec!["eni-00000001"], ..FakePublisher::default() };
    let pending = Arc::clone(&publisher.pending);
    let endpoint = endpoint_with_store(publisher, store);
    let form = session("eni-00000001", &filter(&endpoint), "token");
    drop(queue(&endpoint, &form));
    wait_until(|| !pending.lock().unwrap().is_empty());
    (endpoint, pending, form)
}

/// Ends the pending change with a result.
fn finish(pending: &Pending, result: io::Result<()>) {
    let change = pending.lock().unwrap().pop().unwrap();
    (change.done)(result);
}

#[test]
fn an_applied_session_stays_although_its_client_has_disconnected() {
    let (endpoint, pending, form) = with_pending_session(MemoryStore::default());
    finish(&pending, Ok(()));
    let (status, text) = send(&endpoint, &form);
    assert_eq!(status, 200, "{text}");
    // Work that was queued by the end of the change would be done before this.
    filter(&endpoint);
    assert_eq!(sessions(&endpoint), 1);
}

#[test]
fn repeated_requests_wait_for_the_first_one_and_get_its_result() {
    for is_captured in [true, false] {
        let (endpoint, pending, form) = with_pending_session(MemoryStore::default());
        let mut repeats = [(); 2].map(|()| queue(&endpoint, &form));
        // This is executed after the repeats.
        filter(&endpoint);
        assert!(repeats.iter_mut().all(|one| one.try_recv().is_err()), "answered early");
        let result = if is_captured { Ok(()) } else { Err(io::Error::other("no memory")) };
        finish(&pending, result);
        if !is_captured {
            // The session is removed from the interface before the error is sent.
            wait_until(|| !pending.lock().unwrap().is_empty());
            finish(&pending, Ok(()));
        }
        for repeat in repeats {
            let result = repeat.blocking_recv().unwrap();
            assert_eq!(result.is_ok(), is_captured, "{result:?}");
            let error = result.err().map(|error| error.message).unwrap_or_default();
            assert!(is_captured || error.contains("no memory"), "{error}");
        }
        assert_eq!(sessions(&endpoint), usize::from(is_captured));
    }
}

#[test]
fn an_undone_session_is_removed_from_the_store_after_a_failed_commit() {
    for ends in [false, true] {
        let store = MemoryStore::default();
        let (endpoint, pending, form) = with_pending_session(store.clone());
        let repeat = queue(&endpoint, &form);
        filter(&endpoint);
        store.fails.store(true, Ordering::Relaxed);
        finish(&pending, Err(io::Error::other("no memory")));
        wait_until(|| !pending.lock().unwrap().is_empty());
        finish(&pending, Ok(()));
        assert!(repeat.blocking_recv().unwrap().is_err());
        assert_eq!(sessions(&endpoint), 0);
        assert_eq!(store.of_kind("session").len(), 1);
        store.fails.store(false, Ordering::Relaxed);
        if ends {
            drop(endpoint);
        } else {
            filter(&endpoint);
        }
        wait_until(|| store.of_kind("session").is_empty());
        assert_eq!(store.of_kind("token"), Vec::<String>::new());
    }
}

#[test]
fn a_batch_that_cannot_be_stored_leaves_nothing_behind() {
    let store = MemoryStore::default();
    let endpoint = endpoint_with_store(FakePublisher::default(), store.clone());
    let known = filter(&endpoint);
    store.fails.store(true, Ordering::Relaxed);
    for form in [
        "Action=CreateTrafficMirrorFilter&ClientToken=a".to_owned(),
        session("eni-00000001", &known, "b"),
        format!("Action=DeleteTrafficMirrorFilter&TrafficMirrorFilterId={known}"),
        format!("Action=CreateTags&ResourceId.1={known}&Tag.1.Key=k&Tag.1.Value=v"),
    ] {
        let (status, text) = send(&endpoint, &form);
        assert!(status == 500 && text.contains("no space left"), "{status} {text}");
    }
    let (_, text) = send(&endpoint, "Action=DescribeTrafficMirrorFilters");
    assert_eq!(text.matches("<trafficMirrorFilterId>").count(), 1, "{text}");
    assert!(text.contains(&known) && !text.contains("<key>k"), "{text}");
    assert_eq!(sessions(&endpoint), 0);
    store.fails.store(false, Ordering::Relaxed);
    filter(&endpoint);
    assert_eq!((store.of_kind("filter").len(), store.of_kind("session").len()), (2, 0));
    assert_eq!(store.of_kind("token"), Vec::<String>::new());
}

#[test]
fn a_change_that_the_data_plane_refuses_is_undone() {
    let store = MemoryStore::default();
    let publisher = FakePublisher::default();
    let is_ending = Arc::clone(&publisher.is_ending);
    let endpoint = endpoint_with_store(publisher, store.clone());
    let filter = filter(&endpoint);
    let (_, created) = send(&endpoint, &session("eni-00000001", &filter, "token"));
    let (_, behind) = created.split_once("<trafficMirrorSessionId>").unwrap();
    let id = behind.split_once('<').unwrap().0;
    let rule = format!(
        "Action=CreateTrafficMirrorFilterRule&TrafficMirrorFilterId={filter}\
         &TrafficDirection=ingress&RuleNumber=1&RuleAction=accept\
         &SourceCidrBlock=0.0.0.0/0&DestinationCidrBlock=0.0.0.0/0"
    );
    let stored = store.records.lock().unwrap().clone();
    is_ending.store(true, Ordering::Relaxed);
    for form in [
        format!(
            "Action=ModifyTrafficMirrorSession&TrafficMirrorSessionId={id}&SessionNumber=2\
             &Description=d"
        ),
        format!("Action=DeleteTrafficMirrorSession&TrafficMirrorSessionId={id}"),
        format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key=k&Tag.1.Value=v"),
        format!(
            "Action=ModifyTrafficMirrorFilterNetworkServices&TrafficMirrorFilterId={filter}\
             &AddNetworkService.1=amazon-dns"
        ),
        rule,
        session("eni-00000002", &filter, "other"),
    ] {
        let (status, text) = send(&endpoint, &form);
        assert!(status == 500 && text.contains("the run is ending"), "{status} {text}");
        assert_eq!(*store.records.lock().unwrap(), stored, "{form}");
    }
    let (_, text) = send(&endpoint, "Action=DescribeTrafficMirrorSessions");
    assert!(text.contains("<sessionNumber>1<") && !text.contains("<key>k"), "{text}");
    assert_eq!(sessions(&endpoint), 1);
    let (_, text) = send(&endpoint, "Action=DescribeTrafficMirrorFilters");
    assert!(!text.contains("amazon-dns") && !text.contains("tmfr-"), "{text}");
}

#[test]
fn enumeration_values_are_accepted_in_any_case_and_returned_in_lower_case() {
    let endpoint = endpoint(FakePublisher::default());
    let create = "Action=CreateTrafficMirrorFilter&TagSpecification.1.Tag.1.Key=k\
                  &TagSpecification.1.ResourceType=Traffic-Mirror-Filter";
    let (status, text) = send(&endpoint, create);
    assert_eq!(status, 200, "{text}");
    let filter = filter(&endpoint);
    let rule = format!(
        "Action=CreateTrafficMirrorFilterRule&TrafficMirrorFilterId={filter}&RuleNumber=1\
         &TrafficDirection=InGress&RuleAction=ACCEPT&Description=d\
         &SourceCidrBlock=0.0.0.0/0&DestinationCidrBlock=0.0.0.0/0"
    );
    let (status, text) = send(&endpoint, &rule);
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("<ruleAction>accept<"), "{text}");
    assert!(text.contains("<trafficDirection>ingress<"), "{text}");
    let (_, behind) = text.split_once("<trafficMirrorFilterRuleId>").unwrap();
    let id = behind.split_once('<').unwrap().0;
    let modify = format!(
        "Action=ModifyTrafficMirrorFilterRule&TrafficMirrorFilterRuleId={id}\
         &RemoveField.1=DESCRIPTION&RuleAction=Reject"
    );
    let (status, text) = send(&endpoint, &modify);
    assert!(status == 200 && text.contains("<ruleAction>reject<"), "{status} {text}");
    let services = format!(
        "Action=ModifyTrafficMirrorFilterNetworkServices&TrafficMirrorFilterId={filter}\
         &AddNetworkService.1=Amazon-DNS"
    );
    let (status, text) = send(&endpoint, &services);
    assert!(status == 200 && text.contains("<item>amazon-dns<"), "{status} {text}");
}
