//! The initial account: network interfaces of all kinds, configuration files, quotas.

use std::sync::atomic::{AtomicU64, Ordering};

use traffic_mirror::control::Registry;
use traffic_mirror::control::account::{Account, Quotas, TargetResolver};
use traffic_mirror::model::{
    CidrBlock, Direction, Filter, FilterId, FilterRule, FilterRuleId, NetworkInterface,
    NetworkInterfaceId, RuleAction, RuleNumber, Session, SessionId, SessionNumber, Target,
    TargetId, TargetKind,
};

/// Small quotas, so that they are reached.
pub(crate) const QUOTAS: Quotas = Quotas {
    network_interfaces: 2,
    sessions: 6,
    sessions_per_interface: 2,
    targets: 6,
    filters: 6,
    rules_per_filter: 3,
    sources_per_target: 2,
};

/// At most this many targets and filters are added to files.
pub(crate) const MAX_ADDED_TO_FILES: usize = 3;

pub(crate) const LOAD_BALANCERS: [&str; 3] = [
    "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/known/1",
    "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/unknown/2",
    "arn:aws:elasticloadbalancing",
];
pub(crate) const ENDPOINTS: [&str; 3] = ["vpce-00000001", "vpce-00000002", "vpce-x"];

/// The address of pinned interfaces, load balancers and endpoints.
pub(crate) const PINNED: &str = "192.0.2.200:4789";

/// 0 to 2 have a device and an address, 3 no address, 4 no device, 5 a pinned address; 6 does not
/// exist, 7 is invalid.
pub(crate) fn interface(number: u8) -> String {
    if number == 7 { String::from("eni-x") } else { format!("eni-{number:017x}") }
}

pub(crate) fn has_device(interface: &str) -> bool {
    (0..6).filter(|number| *number != 4).any(|number| self::interface(number) == interface)
}

pub(crate) fn exists(interface: &str) -> bool {
    (0..6).any(|number| self::interface(number) == interface)
}

pub(crate) fn has_address(interface: &str) -> bool {
    [0, 1, 2, 4].iter().any(|number| self::interface(*number) == interface)
}

pub(crate) fn is_pinned(name: &str) -> bool {
    [LOAD_BALANCERS[0], ENDPOINTS[0]].contains(&name) || name == interface(5)
}

pub(crate) fn file_id(prefix: &str, number: usize) -> String {
    format!("{prefix}{:017x}", 0xf00 + number)
}

/// The configuration files: a session, and targets and filters, some of which are added later.
fn files(more: usize) -> Registry {
    let mut registry = Registry::default();
    for number in 0..6 {
        let id = NetworkInterfaceId::new(&interface(number)).unwrap();
        let mut interface_of_file = NetworkInterface::new(id);
        interface_of_file.device = (number != 4).then(|| format!("eth{number}"));
        if has_address(&interface(number)) {
            interface_of_file
                .private_ip_addresses
                .push(format!("10.0.0.{number}").parse().unwrap());
        }
        registry.add_network_interface(interface_of_file).unwrap();
    }
    for number in 0..=more {
        let id = TargetId::new(&file_id("tmt-", number)).unwrap();
        registry.add_target(Target::at(id, "192.0.2.100:4789".parse().unwrap())).unwrap();
        let id = FilterId::new(&file_id("tmf-", number)).unwrap();
        registry.add_filter(Filter::from_rules(id, vec![rule(number)]).0).unwrap();
    }
    registry.add_session(session()).unwrap();
    registry
}

/// The rule of each filter of a file.
pub(crate) fn rule(number: usize) -> FilterRule {
    let any = CidrBlock::new("0.0.0.0".parse().unwrap(), 0).unwrap();
    let first = RuleNumber::new(1).unwrap();
    let rule = FilterRule::new(Direction::Ingress, first, RuleAction::Accept, any, any);
    let mut rule = rule.unwrap();
    rule.id = FilterRuleId::new(&file_id("tmfr-", number)).ok();
    rule
}

/// The session of the file.
pub(crate) fn session() -> Session {
    let mut session = Session::new(
        NetworkInterfaceId::new(&interface(0)).unwrap(),
        SessionNumber::new(3).unwrap(),
        FilterId::new(&file_id("tmf-", 0)).unwrap(),
        TargetId::new(&file_id("tmt-", 0)).unwrap(),
    );
    session.id = SessionId::new(&file_id("tms-", 0)).ok();
    session
}

/// The kind of the targets of files.
pub(crate) const FILE_KIND: TargetKind = TargetKind::Address;

/// An account before any change. Ids do not repeat. There are 32 network identifiers, so that
/// generated ones collide.
pub(crate) fn initial_account(more: usize) -> Account {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let generate = || {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        u128::from(number) << 24 | u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59)
    };
    let kinds = [
        TargetKind::NetworkLoadBalancer(LOAD_BALANCERS[0].to_owned()),
        TargetKind::GatewayLoadBalancerEndpoint(ENDPOINTS[0].to_owned()),
        TargetKind::NetworkInterface(NetworkInterfaceId::new(&interface(5)).unwrap()),
    ];
    let mut pins = TargetResolver::default();
    kinds.into_iter().for_each(|kind| pins.assign(kind, vec![PINNED.parse().unwrap()]));
    Account::new(files(more), QUOTAS, pins, generate)
}
