//! Creation and deletion of network interfaces: AWS's checks, records and undo.

use super::*;
use crate::control::Registry;
use crate::control::account::{
    CreateFilter, CreateSession, CreateTarget, DEFAULT_OWNER, Quotas, TargetResolver,
};
use crate::model::{Filter, FilterId, Session, SessionNumber, Target, TargetId, TargetKind};

const CALLER: Caller<'_> = Caller { owner: DEFAULT_OWNER, is_dry_run: false, now_s: 10 };
const OTHER: Caller<'_> = Caller { owner: "111111111111", ..CALLER };

/// An account with virtual interfaces, one of which is in a file.
fn account() -> Account {
    let mut registry = Registry::default();
    let mut interface = NetworkInterface::new(NetworkInterfaceId::new("eni-file").unwrap());
    interface.private_ip_addresses = vec!["10.0.0.5".parse().unwrap()];
    registry.add_network_interface(interface).unwrap();
    let quotas = Quotas { network_interfaces: 3, ..Quotas::default() };
    let mut drawn = 0;
    let draw = move || {
        drawn += 1;
        drawn
    };
    let mut account = Account::new(registry, quotas, TargetResolver::default(), draw);
    account.use_virtual_interfaces();
    account
}

fn default_subnet() -> Subnet {
    Subnet::defaults().next().unwrap()
}

fn request() -> CreateNetworkInterface {
    CreateNetworkInterface { subnet_id: default_subnet().id(), ..Default::default() }
}

fn created(account: &mut Account) -> NetworkInterfaceId {
    account.create_network_interface(&CALLER, request()).unwrap()
}

fn addresses(account: &Account, id: &NetworkInterfaceId) -> Vec<String> {
    let interface = account.registry().network_interface(id).unwrap();
    interface.private_ip_addresses.iter().map(ToString::to_string).collect()
}

/// A session of an interface with a target that is another new interface.
fn session(account: &mut Account, source: &NetworkInterfaceId) -> (SessionId, NetworkInterfaceId) {
    let receiver = created(account);
    let filter = account.create_filter(&CALLER, CreateFilter::default()).unwrap();
    let target = CreateTarget {
        kind: TargetKind::NetworkInterface(receiver.clone()),
        description: None,
        tags: Tags::new(),
        client_token: None,
    };
    let target = account.create_target(&CALLER, target).unwrap();
    let session = CreateSession {
        network_interface_id: source.to_string(),
        target_id: target.to_string(),
        filter_id: filter.to_string(),
        number: SessionNumber::MIN,
        packet_length: None,
        virtual_network_id: None,
        description: None,
        tags: Tags::new(),
        client_token: None,
    };
    (account.create_session(&CALLER, session).unwrap(), receiver)
}

#[test]
fn an_interface_gets_the_lowest_free_address_and_a_mac_address() {
    let mut account = account();
    let first = created(&mut account);
    assert_eq!(addresses(&account, &first), ["172.31.0.4"]);
    let given = CreateNetworkInterface {
        primary_address: Some([172, 31, 0, 6].into()),
        secondary_count: 2,
        ipv6_addresses: vec!["2001:db8::1".parse().unwrap()],
        ..request()
    };
    let second = account.create_network_interface(&CALLER, given).unwrap();
    let expected = ["172.31.0.6", "172.31.0.5", "172.31.0.7", "2001:db8::1"];
    assert_eq!(addresses(&account, &second), expected);
    let mac = |id| account.registry().network_interface(id).unwrap().mac_address.unwrap();
    assert_ne!(mac(&first), mac(&second));
    // Addresses of deleted interfaces are free again.
    account.delete_network_interface(&CALLER, first.as_str()).unwrap();
    let third = created(&mut account);
    assert_eq!(addresses(&account, &third), ["172.31.0.4"]);
}

#[test]
fn invalid_requests_are_refused_with_the_codes_of_aws() {
    let mut account = account();
    let taken = created(&mut account);
    let at = |address: [u8; 4]| CreateNetworkInterface {
        primary_address: Some(address.into()),
        ..request()
    };
    let groups =
        |id: &str| CreateNetworkInterface { security_groups: vec![id.to_owned()], ..request() };
    let subnet = |id: &str| CreateNetworkInterface { subnet_id: id.to_owned(), ..request() };
    let other_group = Subnet::containing([10, 0, 0, 5].into()).vpc().security_group_id();
    for (request, code) in [
        (subnet("subnet-00000000000000000"), "InvalidSubnetID.NotFound"),
        (at([172, 31, 0, 4]), "InvalidIPAddress.InUse"),
        (at([172, 31, 0, 3]), "InvalidParameterValue"),
        (at([172, 31, 15, 255]), "InvalidParameterValue"),
        (at([172, 31, 16, 9]), "InvalidParameterValue"),
        (groups("sg-00000000000000000"), "InvalidGroup.NotFound"),
        (groups(&other_group), "InvalidGroup.NotFound"),
        (
            CreateNetworkInterface { secondary_count: 50, ..request() },
            "PrivateIpAddressLimitExceeded",
        ),
        (
            CreateNetworkInterface { secondary_count: usize::MAX, ..request() },
            "PrivateIpAddressLimitExceeded",
        ),
        (
            CreateNetworkInterface {
                secondary_addresses: vec![[172, 31, 0, 9].into(); 2],
                ..request()
            },
            "InvalidIPAddress.InUse",
        ),
    ] {
        let refused = account.create_network_interface(&CALLER, request).unwrap_err();
        assert_eq!(refused.code, code, "{refused}");
    }
    // The subnet of another interface exists too, and its only group is that of its VPC.
    let subnet = Subnet::containing([10, 0, 0, 5].into());
    let own = CreateNetworkInterface {
        subnet_id: subnet.id(),
        security_groups: vec![subnet.vpc().security_group_id()],
        ..Default::default()
    };
    let id = account.create_network_interface(&CALLER, own).unwrap();
    assert_eq!(addresses(&account, &id), ["10.0.0.4"]);
    created(&mut account);
    let refused = account.create_network_interface(&CALLER, request()).unwrap_err();
    assert_eq!(refused.code, "NetworkInterfaceLimitExceeded");
    let dry = Caller { is_dry_run: true, ..CALLER };
    let refused = account.delete_network_interface(&dry, taken.as_str()).unwrap_err();
    assert_eq!(refused.code, "DryRunOperation");
}

#[test]
fn interfaces_of_the_host_are_not_created_changed_or_deleted() {
    let mut account = account();
    let code = |result: Result<NetworkInterfaceId, ApiError>| result.unwrap_err().code;
    assert_eq!(code(account.delete_network_interface(&CALLER, "eni-file")), NOT_PERMITTED);
    let tags = Tags::from([("k".to_owned(), "v".to_owned())]);
    let refused = account.create_tags(&CALLER, &["eni-file".to_owned()], &tags).unwrap_err();
    assert_eq!(refused.code, NOT_PERMITTED);
    account.has_virtual_interfaces = false;
    let refused = account.create_network_interface(&CALLER, request()).unwrap_err();
    assert_eq!(refused.code, "UnsupportedOperation");
    assert!(refused.message.contains("devices of the host"), "{refused}");
}

#[test]
fn other_accounts_do_not_see_an_interface() {
    let mut account = account();
    let id = created(&mut account);
    let seen = |owner| account.visible_interfaces(owner).count();
    assert_eq!((seen(CALLER.owner), seen(OTHER.owner)), (2, 1));
    let refused = account.delete_network_interface(&OTHER, id.as_str()).unwrap_err();
    assert_eq!(refused.code, "InvalidNetworkInterfaceID.NotFound");
    assert_eq!(account.subnets(CALLER.owner)[&default_subnet()], 1);
    assert_eq!(account.subnets(OTHER.owner)[&default_subnet()], 0);
}

#[test]
fn deleting_a_source_deletes_its_sessions_and_a_target_is_in_use() {
    let mut account = account();
    let source = created(&mut account);
    let (session, receiver) = session(&mut account, &source);
    let refused = account.delete_network_interface(&CALLER, receiver.as_str()).unwrap_err();
    assert_eq!(refused.code, "InvalidParameterValue");
    assert!(refused.message.contains("is currently in use"), "{refused}");
    account.take_changes().unwrap();
    account.registry_mut().take_touched();
    account.delete_network_interface(&CALLER, source.as_str()).unwrap();
    assert_eq!(account.registry().session(&session), None);
    assert!(account.registry_mut().take_touched().contains(&source));
    let deleted = account.unpersisted_records().unwrap();
    assert_eq!(deleted.len(), 2);
    assert!(deleted.iter().all(|record| record.text.is_none()), "{deleted:?}");
    let log = account.take_undo_log();
    account.undo(log);
    assert!(account.registry().session(&session).is_some());
    assert_eq!(account.network_interfaces().count_owned_by(CALLER.owner), 2);
    assert_eq!(addresses(&account, &source), ["172.31.0.4"]);
}

#[test]
fn tags_of_an_interface_and_its_instance_are_the_same() {
    let mut account = account();
    let id = created(&mut account);
    account.take_changes().unwrap();
    let tag = |value: &str| Tags::from([("k".to_owned(), value.to_owned())]);
    account.create_tags(&CALLER, &[id.to_string()], &tag("1")).unwrap();
    account.create_tags(&CALLER, &[instance_id(&id)], &tag("2")).unwrap();
    let tags = |account: &Account| account.registry().network_interface(&id).unwrap().tags.clone();
    assert_eq!(tags(&account), tag("2"));
    let log = account.take_undo_log();
    account.undo(log);
    assert_eq!(tags(&account), Tags::new());
    for (id, code) in [
        ("i-00000000000000000", "InvalidInstanceID.NotFound"),
        ("i-1", "InvalidID"),
        ("eni-00000000000000000", "InvalidNetworkInterfaceID.NotFound"),
    ] {
        let refused = account.create_tags(&CALLER, &[id.to_owned()], &tag("3")).unwrap_err();
        assert_eq!(refused.code, code);
    }
}

#[test]
fn a_created_interface_is_restored_from_its_record() {
    let mut first = account();
    let token = ClientToken::new("t", "request".to_owned()).unwrap();
    let create = CreateNetworkInterface {
        interface_type: Some("efa".to_owned()),
        description: Some("d".to_owned()),
        tags: Tags::from([("k".to_owned(), "v".to_owned())]),
        client_token: Some(token),
        ..request()
    };
    let id = first.create_network_interface(&CALLER, create.clone()).unwrap();
    session(&mut first, &id);
    let records = first.take_changes().unwrap();
    let mut restored = account();
    let records = records.into_iter().filter_map(|record| Some((record.key, record.text?)));
    restored.restore(records).unwrap();
    let interfaces = |account: &Account| account.registry().network_interfaces().to_vec();
    assert_eq!(interfaces(&restored), interfaces(&first));
    assert_eq!(restored.network_interfaces().get(&id), first.network_interfaces().get(&id));
    assert_eq!(restored.create_network_interface(&CALLER, create).unwrap(), id);
    // An undone creation leaves nothing.
    let count = interfaces(&first).len();
    created(&mut first);
    let log = first.take_undo_log();
    first.undo(log);
    assert_eq!(interfaces(&first).len(), count);
    assert_eq!(first.network_interfaces().count_owned_by(CALLER.owner), 2);
}

#[test]
fn a_detached_interface_has_no_instance_and_cannot_become_a_source() {
    let mut account = account();
    let (source, receiver) = (created(&mut account), created(&mut account));
    let refused = account.detach_network_interface(&CALLER, "eni-attach-0").unwrap_err();
    assert_eq!(refused.code, "InvalidAttachmentID.NotFound");
    let of_file = attachment_id(&NetworkInterfaceId::new("eni-file").unwrap());
    let refused = account.detach_network_interface(&CALLER, &of_file).unwrap_err();
    assert_eq!(refused.code, NOT_PERMITTED);
    account.take_changes().unwrap();
    account.detach_network_interface(&CALLER, &attachment_id(&source)).unwrap();
    let records = account.unpersisted_records().unwrap();
    assert!(records[0].text.as_ref().unwrap().contains("\"is_detached\":true"), "{records:?}");
    let refused = account.owned_instance(&CALLER, &instance_id(&source)).unwrap_err();
    assert_eq!(refused.code, "InvalidInstanceID.NotFound");
    assert!(account.owned_instance(&CALLER, &instance_id(&receiver)).is_ok());
    let target = Target::at(TargetId::new("t").unwrap(), ([192, 0, 2, 9], 4789).into());
    account.registry_mut().add_target(target).unwrap();
    let filter = FilterId::new("f").unwrap();
    account.registry_mut().add_filter(Filter::accept_all(filter.clone())).unwrap();
    let session = |source| {
        Session::new(source, SessionNumber::MIN, filter.clone(), TargetId::new("t").unwrap())
    };
    let refused = account.check_session(&session(source.clone())).unwrap_err();
    assert_eq!(refused.code, "NetworkInterfaceNotSupported");
    assert!(account.check_session(&session(receiver)).is_ok());
    let log = account.take_undo_log();
    account.undo(log);
    assert!(account.check_session(&session(source)).is_ok());
}
