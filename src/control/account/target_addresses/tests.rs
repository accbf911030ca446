//! Tests of the addresses of targets: their order, pins, learned addresses and the state.

use std::net::SocketAddr;

use crate::control::Registry;
use crate::control::account::{
    Account, Caller, CreateFilter, CreateSession, CreateTarget, DEFAULT_OWNER, Quotas, TagToDelete,
    TargetResolver,
};
use crate::model::{
    ADDRESS_TAG, InterfacePin, NetworkInterface, NetworkInterfaceId, SessionNumber, Tags, Target,
    TargetId, TargetKind,
};

const ARN: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/ids/0123456789abcdef";
const CALLER: Caller<'static> = Caller { owner: DEFAULT_OWNER, is_dry_run: false, now_s: 0 };
const SOURCE: &str = "eni-00000000000000001";
const COLLECTOR: &str = "eni-00000000000000002";

fn eni(name: &str) -> NetworkInterfaceId {
    NetworkInterfaceId::new(name).unwrap()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn load_balancer() -> TargetKind {
    TargetKind::NetworkLoadBalancer(ARN.to_owned())
}

/// A source at 10.0.0.1, and an interface without an address.
fn account(resolver: TargetResolver) -> Account {
    let mut registry = Registry::default();
    for (name, addresses) in [(SOURCE, vec![[10, 0, 0, 1].into()]), (COLLECTOR, Vec::new())] {
        let mut interface = NetworkInterface::new(eni(name));
        interface.device = Some(format!("dev-{name}"));
        interface.private_ip_addresses = addresses;
        registry.add_network_interface(interface).unwrap();
    }
    let mut drawn = 0;
    let draw = move || {
        drawn += 1 << 64 | 1;
        drawn
    };
    Account::new(registry, Quotas::default(), resolver, draw)
}

fn create(account: &mut Account, kind: TargetKind, tags: Tags) -> TargetId {
    let request = CreateTarget { kind, description: None, tags, client_token: None };
    account.create_target(&CALLER, request).unwrap()
}

/// Mirrors the source to a target.
fn mirror(account: &mut Account, target: &TargetId) {
    let filter = CreateFilter { description: None, tags: Tags::new(), client_token: None };
    let filter = account.create_filter(&CALLER, filter).unwrap();
    let request = CreateSession {
        network_interface_id: SOURCE.to_owned(),
        target_id: target.to_string(),
        filter_id: filter.to_string(),
        number: SessionNumber::MIN,
        packet_length: None,
        virtual_network_id: None,
        description: None,
        tags: Tags::new(),
        client_token: None,
    };
    account.create_session(&CALLER, request).unwrap();
    account.registry_mut().take_touched();
}

/// The addresses of a target, separated by spaces.
fn addresses(account: &Account, id: &TargetId) -> String {
    let target = account.registry().target(id).unwrap();
    let all = account.registry().target_addresses(target).map(|one| one.to_string());
    all.collect::<Vec<_>>().join(" ")
}

fn address_tag(value: &str) -> Tags {
    Tags::from([(ADDRESS_TAG.to_owned(), value.to_owned())])
}

/// Whether the tables of the source must be compiled again.
fn is_touched(account: &mut Account) -> bool {
    account.registry_mut().take_touched().contains(&eni(SOURCE))
}

#[test]
fn a_target_without_an_address_is_accepted_unless_addresses_are_required() {
    let endpoint = TargetKind::GatewayLoadBalancerEndpoint("vpce-0123456789abcdef0".to_owned());
    let kinds = [load_balancer(), endpoint, TargetKind::NetworkInterface(eni(COLLECTOR))];
    let mut strict = TargetResolver::default();
    strict.set_strict(true);
    let (mut open, mut strict) = (account(TargetResolver::default()), account(strict));
    for kind in kinds {
        let id = create(&mut open, kind.clone(), Tags::new());
        assert_eq!(addresses(&open, &id), "");
        let last = open.targets_without_address().last().unwrap();
        assert_eq!((last.0.clone(), last.1.clone()), (id, kind.clone()));
        let request =
            CreateTarget { kind, description: None, tags: Tags::new(), client_token: None };
        let refused = strict.create_target(&CALLER, request).unwrap_err();
        assert_eq!(refused.code, "InvalidTrafficMirrorTarget");
        assert!(refused.message.contains("No address is known"), "{}", refused.message);
    }
}

#[test]
fn each_source_of_an_address_precedes_the_next_and_its_end_gives_way() {
    let mut resolver = TargetResolver::default();
    resolver.set_default([192, 0, 2, 9].into(), None);
    let mut account = account(resolver);
    let id = create(&mut account, TargetKind::NetworkInterface(eni(COLLECTOR)), Tags::new());
    mirror(&mut account, &id);
    let now = |account: &mut Account, expected: &str| {
        assert_eq!(addresses(account, &id), expected);
        assert!(is_touched(account), "{expected}");
        assert!(!is_touched(account));
    };
    assert_eq!(addresses(&account, &id), "192.0.2.9:4789");
    account.learn_target(&id, vec![address("192.0.2.5:5")]);
    now(&mut account, "192.0.2.5:5");
    let pin = |text: &str| InterfacePin {
        private_ip_addresses: Some(text.split(' ').map(|one| one.parse().unwrap()).collect()),
        ..InterfacePin::default()
    };
    account.pin_network_interface(&eni(COLLECTOR), pin("192.0.2.4")).unwrap();
    now(&mut account, "192.0.2.4:4789");
    account.create_tags(&CALLER, &[id.to_string()], &address_tag("192.0.2.2")).unwrap();
    now(&mut account, "192.0.2.2:4789");
    account.pin_target(&id, vec![address("192.0.2.1:1")]).unwrap();
    now(&mut account, "192.0.2.1:1");
    assert_eq!(account.registry().target(&id).unwrap().tags, address_tag("192.0.2.2"));
    account.pin_target(&id, Vec::new()).unwrap();
    now(&mut account, "192.0.2.2:4789");
    let tag = TagToDelete { key: ADDRESS_TAG.to_owned(), value: None };
    account.delete_tags(&CALLER, &[id.to_string()], &[tag]).unwrap();
    now(&mut account, "192.0.2.4:4789");
    let none = InterfacePin { private_ip_addresses: Some(Vec::new()), ..InterfacePin::default() };
    account.pin_network_interface(&eni(COLLECTOR), none).unwrap();
    now(&mut account, "192.0.2.5:5");
    account.learn_target(&id, Vec::new());
    now(&mut account, "192.0.2.9:4789");
    assert_eq!(account.registry().target(&id).unwrap().tags, Tags::new());
}

#[test]
fn an_option_with_a_pattern_gives_a_load_balancer_its_addresses() {
    let mut resolver = TargetResolver::default();
    let pattern = TargetKind::NetworkLoadBalancer("net/ids/*".to_owned());
    resolver.assign(pattern, vec![address("192.0.2.1:4789"), address("192.0.2.2:4789")]);
    let mut account = account(resolver);
    let id = create(&mut account, load_balancer(), Tags::new());
    assert_eq!(addresses(&account, &id), "192.0.2.1:4789 192.0.2.2:4789");
    account.learn_target(&id, vec![address("192.0.2.5:5")]);
    assert_eq!(addresses(&account, &id), "192.0.2.1:4789 192.0.2.2:4789");
}

#[test]
fn a_pin_is_checked_like_the_address_of_a_client() {
    let mut account = account(TargetResolver::default());
    let id = create(&mut account, load_balancer(), Tags::new());
    let single = create(&mut account, TargetKind::NetworkInterface(eni(COLLECTOR)), Tags::new());
    mirror(&mut account, &id);
    let two = ["192.0.2.1:1", "192.0.2.2:1"].map(address).to_vec();
    for (target, pinned, part) in [
        (&id, vec![address("127.0.0.1:4789")], "loopback"),
        (&id, vec![address("224.0.0.1:4789")], "multicast"),
        (&id, vec![address("[::ffff:127.0.0.1]:4789")], "loopback"),
        (&id, vec![address("10.0.0.1:4789")], "return to their source"),
        (&id, vec![address("192.0.2.1:0")], "a port"),
        (&id, vec![address("192.0.2.1:1"), address("192.0.2.1:1")], "once"),
        (&id, vec![address("192.0.2.1:1"), address("[2001:db8::1]:1")], "one family"),
        (&single, two.clone(), "only a load balancer"),
        (&TargetId::new("tmt-1").unwrap(), two.clone(), "tmt-1"),
    ] {
        let refused = account.pin_target(target, pinned).unwrap_err();
        assert!(refused.message.contains(part), "{part}: {}", refused.message);
        assert_eq!(addresses(&account, &id), "");
    }
    account.pin_target(&id, two).unwrap();
    assert_eq!(addresses(&account, &id), "192.0.2.1:1 192.0.2.2:1");
}

#[test]
fn a_learned_address_that_is_forbidden_is_not_used() {
    let mut account = account(TargetResolver::default());
    let id = create(&mut account, load_balancer(), Tags::new());
    mirror(&mut account, &id);
    for forbidden in ["127.0.0.1:4789", "10.0.0.1:4789"] {
        account.learn_target(&id, vec![address(forbidden)]);
        assert_eq!(addresses(&account, &id), "");
        assert_eq!(account.inactive().len(), 1, "{forbidden}");
    }
    let many = ["192.0.2.1:1", "192.0.2.1:1", "[2001:db8::1]:1", "192.0.2.2:1"];
    account.learn_target(&id, many.map(address).to_vec());
    assert_eq!(addresses(&account, &id), "192.0.2.1:1 192.0.2.2:1");
    assert_eq!(account.inactive().len(), 0);
}

#[test]
fn the_state_has_pins_and_no_learned_address() {
    let mut before = account(TargetResolver::default());
    let ids = [0; 3].map(|_| create(&mut before, load_balancer(), Tags::new()));
    let [pinned, learned, tagged] = &ids;
    before.pin_target(pinned, vec![address("192.0.2.1:1")]).unwrap();
    before.learn_target(learned, vec![address("192.0.2.2:1")]);
    before.create_tags(&CALLER, &[learned.to_string()], &Tags::new()).unwrap();
    before.create_tags(&CALLER, &[tagged.to_string()], &address_tag("192.0.2.3")).unwrap();
    let records = before.take_changes().unwrap();
    let records = records.into_iter().map(|one| (one.key, one.text.unwrap()));
    let mut after = account(TargetResolver::default());
    after.restore(records.collect::<Vec<_>>()).unwrap();
    assert_eq!(
        ids.each_ref().map(|id| addresses(&after, id)),
        ["192.0.2.1:1", "", "192.0.2.3:4789"]
    );
    after.pin_target(pinned, Vec::new()).unwrap();
    assert_eq!(addresses(&after, pinned), "");
}

#[test]
fn the_last_address_of_an_earlier_run_is_used_while_no_other_is_known() {
    let mut resolver = TargetResolver::default();
    resolver.assign(load_balancer(), vec![address("192.0.2.1:4789")]);
    let mut before = account(resolver);
    let id = create(&mut before, load_balancer(), Tags::new());
    let records = before.take_changes().unwrap().into_iter();
    let records: Vec<_> = records.map(|one| (one.key, one.text.unwrap())).collect();
    let mut after = account(TargetResolver::default());
    after.restore(records.clone()).unwrap();
    assert_eq!(addresses(&after, &id), "192.0.2.1:4789");
    after.learn_target(&id, vec![address("192.0.2.5:5")]);
    assert_eq!(addresses(&after, &id), "192.0.2.5:5");
    after.create_tags(&CALLER, &[id.to_string()], &address_tag("192.0.2.2")).unwrap();
    after.learn_target(&id, Vec::new());
    let tag = TagToDelete { key: ADDRESS_TAG.to_owned(), value: None };
    after.delete_tags(&CALLER, &[id.to_string()], &[tag]).unwrap();
    assert_eq!(addresses(&after, &id), "");
}

#[test]
fn a_pin_that_cannot_be_persisted_is_undone() {
    let mut account = account(TargetResolver::default());
    let id = create(&mut account, load_balancer(), Tags::new());
    account.mark_persisted();
    account.pin_target(&id, vec![address("192.0.2.1:1")]).unwrap();
    account.learn_target(&id, vec![address("192.0.2.5:5")]);
    let log = account.take_undo_log();
    account.undo_unpersisted(log);
    assert_eq!(addresses(&account, &id), "192.0.2.5:5", "it was learned meanwhile");
    assert_eq!(account.unpersisted_len(), 0);
}

#[test]
fn the_address_of_a_file_returns_when_its_pin_ends() {
    let mut registry = Registry::default();
    let id = TargetId::new("collector").unwrap();
    registry.add_target(Target::at(id.clone(), address("192.0.2.7:7"))).unwrap();
    let mut account = Account::new(registry, Quotas::default(), TargetResolver::default(), || 1);
    account.pin_target(&id, vec![address("192.0.2.1:1")]).unwrap();
    assert_eq!(addresses(&account, &id), "192.0.2.1:1");
    assert_eq!(account.unpersisted_len(), 0, "resources of files are not in the state");
    account.pin_target(&id, Vec::new()).unwrap();
    assert_eq!(addresses(&account, &id), "192.0.2.7:7");
}
