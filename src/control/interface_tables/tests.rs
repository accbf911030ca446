//! Tables of single interfaces against the table of all interfaces.

use proptest::prelude::*;

use super::*;
use crate::control::{compile, with_network_ids};
use crate::dataplane::{FlowKey, InterfaceIndex};
use crate::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, NetworkInterface, RuleAction, RuleNumber,
    Session, SessionId, SessionNumber, Target, TargetId,
};

/// A TCP packet over IPv4.
const KEY: FlowKey = FlowKey {
    addresses: [10; 32],
    source_port: 1,
    destination_port: 2,
    protocol: 6,
    has_ports: true,
    is_ipv4: true,
};

const INTERFACES: u8 = 4;
const FILTERS: u8 = 3;
const TARGETS: u8 = 3;

fn eni(number: u8) -> NetworkInterfaceId {
    NetworkInterfaceId::new(&format!("eni-{number}")).unwrap()
}

/// A filter with one rule, which accepts if `variant` is even and rejects if it is odd.
fn filter(number: u8, variant: u16) -> Filter {
    let id = FilterId::new(&format!("tmf-{number}")).unwrap();
    let action = if variant.is_multiple_of(2) { RuleAction::Accept } else { RuleAction::Reject };
    let (number, any) = (RuleNumber::new(1).unwrap(), CidrBlock::any_ipv4());
    let rule = FilterRule::new(Direction::Ingress, number, action, any, any).unwrap();
    Filter::from_rules(id, vec![rule]).0
}

fn target(number: u8, port: u16) -> Target {
    let address = std::net::SocketAddr::from(([192, 0, 2, number], port));
    Target::at(TargetId::new(&format!("tmt-{number}")).unwrap(), address)
}

fn session_id(interface: u8, number: u8) -> SessionId {
    SessionId::new(&format!("tms-{interface}-{number}")).unwrap()
}

fn session(interface: u8, number: u8, filter: u8, target: u8) -> Session {
    let mut session = Session::new(
        eni(interface),
        SessionNumber::new(i64::from(number)).unwrap(),
        FilterId::new(&format!("tmf-{filter}")).unwrap(),
        TargetId::new(&format!("tmt-{target}")).unwrap(),
    );
    session.id = Some(session_id(interface, number));
    session
}

fn live() -> CompileOptions {
    CompileOptions { is_live: true, ..CompileOptions::default() }
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    for number in 0..INTERFACES {
        let mut interface = NetworkInterface::new(eni(number));
        interface.device = Some(format!("eth{number}"));
        registry.add_network_interface(interface).unwrap();
    }
    (0..TARGETS).for_each(|number| registry.add_target(target(number, 4789)).unwrap());
    (0..FILTERS).for_each(|number| registry.add_filter(filter(number, 0)).unwrap());
    registry
}

/// A change of a registry.
#[derive(Debug, Clone)]
enum Change {
    /// Interface, SessionNumber, filter, target.
    Create(u8, u8, u8, u8),
    /// Interface, SessionNumber.
    Delete(u8, u8),
    /// Interface, SessionNumber, new filter, new target.
    Replace(u8, u8, u8, u8),
    /// Filter, variant of its rule.
    Filter(u8, u16),
    /// Target, UDP port.
    Target(u8, u16),
}

fn change() -> impl Strategy<Value = Change> {
    let session = || (0..INTERFACES, 1_u8..4);
    let resources = || (0..FILTERS, 0..TARGETS);
    prop_oneof![
        4 => (session(), resources()).prop_map(|((i, n), (f, t))| Change::Create(i, n, f, t)),
        2 => session().prop_map(|(i, n)| Change::Delete(i, n)),
        2 => (session(), resources()).prop_map(|((i, n), (f, t))| Change::Replace(i, n, f, t)),
        1 => (0..FILTERS, any::<u16>()).prop_map(|(f, variant)| Change::Filter(f, variant)),
        1 => (0..TARGETS, 4_789..4_791_u16).prop_map(|(t, port)| Change::Target(t, port)),
    ]
}

/// An inconsistent change is refused and changes nothing.
fn apply(registry: &mut Registry, change: &Change) {
    match *change {
        Change::Create(i, n, f, t) => drop(registry.add_session(session(i, n, f, t))),
        Change::Delete(i, n) => drop(registry.remove_session(&session_id(i, n))),
        Change::Replace(i, n, f, t) => drop(registry.replace_session(session(i, n, f, t))),
        Change::Filter(f, variant) => drop(registry.replace_filter(filter(f, variant))),
        Change::Target(t, port) => {
            let id = TargetId::new(&format!("tmt-{t}")).unwrap();
            registry.target_mut(&id).unwrap().address = target(t, port).address;
        }
    }
    registry.assign_network_ids(|session| {
        let number = u32::from(session.number.value());
        crate::model::VirtualNetworkId::new(number).unwrap()
    });
}

/// The sessions of an interface in a table: everything that reports and copies depend on.
fn sessions(table: &MirrorTable, interface: InterfaceIndex) -> Vec<String> {
    let own = table.sessions().iter().filter(|session| session.interface == interface);
    own.map(|session| {
        let target = table.target(session.target).unwrap();
        let rules = session.filter.all_rules();
        format!("{} {} {:?} {rules:?}", session.id, target.id, target.address)
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Tables updated for affected interfaces equal tables that are compiled from scratch.
    #[test]
    fn updated_tables_equal_tables_compiled_from_the_registry(
        batches in prop::collection::vec(prop::collection::vec(change(), 1..4), 1..12),
    ) {
        let mut registry = registry();
        let mut tables = InterfaceTables::new(live());
        for batch in &batches {
            batch.iter().for_each(|change| apply(&mut registry, change));
            let touched = registry.take_touched();
            let updates = tables.update(&registry, touched.clone());
            prop_assert_eq!(updates.len(), touched.len());
            let whole = compile(&registry, &live());
            let with_sessions: Vec<_> = registry.sources().map(|one| one.id().clone()).collect();
            let known: Vec<_> = tables.in_order().iter().map(|(id, _)| (*id).clone()).collect();
            prop_assert_eq!(&known, &with_sessions);
            for (id, one) in tables.in_order() {
                let position = registry.position_of_interface(id).unwrap();
                let position = InterfaceIndex::from_usize(position);
                let first = InterfaceIndex::FIRST;
                prop_assert_eq!(sessions(&one.table, first), sessions(&whole, position));
                let decided = one.table.decide(first, Direction::Ingress, &KEY);
                let expected = whole.decide(position, Direction::Ingress, &KEY);
                prop_assert_eq!(
                    matches!(decided, crate::dataplane::MirrorOutcome::Mirrored(_)),
                    matches!(expected, crate::dataplane::MirrorOutcome::Mirrored(_))
                );
            }
            let used = registry.sessions().iter().map(|one| one.target_id.clone());
            let used: std::collections::BTreeSet<_> = used.collect();
            let mut ports: Vec<u16> = tables.guard().target_ports().collect();
            ports.sort_unstable();
            let targets = registry.targets().iter().filter(|one| used.contains(one.id()));
            let mut expected: Vec<u16> = targets.map(|one| one.address.unwrap().port()).collect();
            expected.sort_unstable();
            prop_assert_eq!(ports, expected);
        }
    }
}

#[test]
fn changes_of_unused_resources_update_no_table() {
    let mut registry = registry();
    registry.add_session(session(0, 1, 0, 0)).unwrap();
    registry.take_touched();
    registry.replace_filter(filter(1, 1)).unwrap();
    registry.add_target(target(9, 4789)).unwrap();
    registry.target_mut(&TargetId::new("tmt-1").unwrap()).unwrap();
    registry.touch_network_interface(&eni(2));
    assert_eq!(registry.take_touched().len(), 0);
    registry.touch_network_interface(&eni(0));
    registry.replace_filter(filter(0, 1)).unwrap();
    assert_eq!(registry.take_touched().into_iter().collect::<Vec<_>>(), [eni(0)]);
}

#[test]
fn the_guard_is_kept_when_no_target_changes() {
    let mut registry = registry();
    let mut tables = InterfaceTables::new(live());
    let mut guard_after = |registry: &mut Registry, change: &Change| {
        apply(registry, change);
        tables.update(registry, registry.clone().take_touched());
        Arc::clone(tables.guard())
    };
    let first = guard_after(&mut registry, &Change::Create(0, 1, 0, 0));
    let second = guard_after(&mut registry, &Change::Create(1, 1, 0, 0));
    let third = guard_after(&mut registry, &Change::Create(2, 1, 0, 1));
    assert!(Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&second, &third));
}

#[test]
fn interfaces_with_the_same_filters_share_their_rules_after_a_change_too() {
    let mut registry = registry();
    (0..INTERFACES).for_each(|i| registry.add_session(session(i, 1, 0, 0)).unwrap());
    let mut registry = with_network_ids(registry, 1);
    let mut tables = InterfaceTables::new(live());
    tables.replace(&registry);
    assert_eq!(tables.rules.len(), 1);
    registry.take_touched();
    registry.replace_filter(filter(0, 1)).unwrap();
    tables.update(&registry, registry.clone().take_touched());
    let in_order = tables.in_order();
    assert!(in_order.iter().all(|(_, one)| one.table.shares_rules_with(&in_order[0].1.table)));
}
