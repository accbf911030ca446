//! Consistent and inconsistent resources.

use super::*;
use crate::model::FilterRuleId;

fn eni(name: &str) -> NetworkInterfaceId {
    NetworkInterfaceId::new(name).unwrap()
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.add_network_interface(NetworkInterface::new(eni("web"))).unwrap();
    let mut collector = NetworkInterface::new(eni("collector"));
    collector.private_ip_addresses.push("192.0.2.10".parse().unwrap());
    registry.add_network_interface(collector).unwrap();
    let kind = TargetKind::NetworkInterface(eni("collector"));
    registry.add_target(Target::new(TargetId::new("t").unwrap(), kind)).unwrap();
    registry.add_filter(Filter::accept_all(FilterId::new("f").unwrap())).unwrap();
    registry
}

fn session(interface: &str, number: i64, filter: &str, target: &str) -> Session {
    Session::new(
        eni(interface),
        SessionNumber::new(number).unwrap(),
        FilterId::new(filter).unwrap(),
        TargetId::new(target).unwrap(),
    )
}

#[test]
fn a_rule_id_is_unique_in_all_filters() {
    let filter = |name: &str, ids: &[&str]| {
        let mut filter = Filter::accept_all(FilterId::new(name).unwrap());
        let rules = filter.all_rules().to_vec().into_iter().zip(ids).map(|(mut rule, id)| {
            rule.id = Some(FilterRuleId::new(id).unwrap());
            rule
        });
        (filter, _) = Filter::from_rules(filter.id().clone(), rules.collect());
        filter
    };
    let mut registry = Registry::default();
    registry.add_filter(filter("a", &["r", "s"])).unwrap();
    for ids in [["s", "t"], ["t", "t"]] {
        let refused = registry.add_filter(filter("b", &ids)).unwrap_err();
        assert_eq!((refused.field, &*refused.value), ("traffic_mirror_filter_rule_id", ids[0]));
    }
    registry.remove_filter(&FilterId::new("a").unwrap()).unwrap();
    registry.add_filter(filter("b", &["s", "t"])).unwrap();
}

#[test]
fn a_target_may_take_its_address_from_its_interface() {
    let registry = registry();
    let address = registry.target_address(&registry.targets()[0]).unwrap();
    assert_eq!(address.to_string(), "192.0.2.10:4789");
}

#[test]
fn only_a_target_that_names_a_resource_may_have_no_address() {
    let mut registry = registry();
    let id = |number: usize| TargetId::new(&format!("u{number}")).unwrap();
    let refused = registry.add_target(Target::new(id(0), TargetKind::Address)).unwrap_err();
    assert_eq!(refused.field, "address");
    let kinds = [
        TargetKind::NetworkInterface(eni("web")),
        TargetKind::NetworkInterface(eni("x")),
        TargetKind::NetworkLoadBalancer("arn".into()),
        TargetKind::GatewayLoadBalancerEndpoint("vpce-1".into()),
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        registry.add_target(Target::new(id(number), kind)).unwrap();
        assert_eq!(registry.target_address(registry.target(&id(number)).unwrap()), None);
    }
    let mut forbidden = Target::at(id(9), ([192, 0, 2, 1], 4789).into());
    forbidden.is_forbidden = true;
    registry.add_target(forbidden).unwrap();
    let without: Vec<&TargetId> = registry.targets_without_address().map(Target::id).collect();
    assert_eq!(without, [&id(0), &id(1), &id(2), &id(3)]);
}

#[test]
fn a_session_with_an_unknown_reference_is_refused() {
    let mut registry = registry();
    for (wrong, message) in [
        (
            session("wbe", 1, "f", "t"),
            "network_interface_id `wbe`: expected the id of a network interface: \
             `web` or `collector`",
        ),
        (
            session("web", 1, "g", "t"),
            "traffic_mirror_filter_id `g`: expected the id of a filter: `f`",
        ),
        (
            session("web", 1, "f", "u"),
            "traffic_mirror_target_id `u`: expected the id of a target: `t`",
        ),
    ] {
        assert_eq!(registry.add_session(wrong).unwrap_err().to_string(), message);
    }
    assert!(registry.sessions().is_empty());
}

#[test]
fn a_session_number_is_unique_on_each_interface() {
    let mut registry = registry();
    registry.add_network_interface(NetworkInterface::new(eni("db"))).unwrap();
    registry.add_session(session("web", 1, "f", "t")).unwrap();
    registry.add_session(session("db", 1, "f", "t")).unwrap();
    registry.add_session(session("web", 2, "f", "t")).unwrap();
    assert_eq!(
        registry.add_session(session("web", 1, "f", "t")).unwrap_err().to_string(),
        "session_number `1`: expected a number that no other session of `web` has, \
         but session 1 of `web` has it"
    );
}

#[test]
fn an_interface_cannot_be_source_and_target_of_a_session() {
    let mut registry = registry();
    let refused = registry.add_session(session("collector", 1, "f", "t")).unwrap_err();
    assert!(refused.expected.contains("target `t` uses it"), "{refused}");
    registry.add_session(session("web", 1, "f", "t")).unwrap();
    let kind = TargetKind::NetworkInterface(eni("web"));
    let mut target = Target::new(TargetId::new("u").unwrap(), kind);
    target.address = "192.0.2.11:4789".parse().ok();
    let refused = registry.add_target(target).unwrap_err();
    assert!(refused.expected.contains("session 1 of `web`"), "{refused}");
}

#[test]
fn duplicate_ids_are_refused() {
    let mut registry = registry();
    assert!(registry.add_network_interface(NetworkInterface::new(eni("web"))).is_err());
    assert!(registry.add_filter(Filter::new(FilterId::new("f").unwrap())).is_err());
    let address = "192.0.2.10:4789".parse().unwrap();
    assert!(registry.add_target(Target::at(TargetId::new("t").unwrap(), address)).is_err());
    let named = |number| Session {
        id: Some(SessionId::new("s").unwrap()),
        ..session("web", number, "f", "t")
    };
    registry.add_session(named(1)).unwrap();
    assert_eq!(registry.add_session(named(2)).unwrap_err().field, "traffic_mirror_session_id");
    assert_eq!(registry.session(&SessionId::new("s").unwrap()).unwrap().number.value(), 1);
}

#[test]
fn accept_all_makes_one_session() {
    let length = PacketLength::new(100).unwrap();
    let registry = Registry::accept_all("192.0.2.1:4789".parse().unwrap(), None, Some(length));
    assert_eq!(registry.sessions().len(), 1);
    assert_eq!(registry.sessions()[0].packet_length, Some(length));
    assert_eq!(registry.filters()[0].all_rules().len(), 4);
}
