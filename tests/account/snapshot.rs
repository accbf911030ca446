//! The resources of an account as plain values that can be compared, for the account and the model.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use traffic_mirror::control::account::{Account, Ownership};
use traffic_mirror::control::{CompileOptions, Registry, compile};
use traffic_mirror::model::{Filter, FilterRule, Session, Tags, TargetKind};

/// The owner of a resource, and whether it comes from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlainOwnership {
    pub(crate) owner: String,
    pub(crate) is_from_file: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlainTarget {
    pub(crate) ownership: PlainOwnership,
    pub(crate) kind: TargetKind,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlainFilter {
    pub(crate) ownership: PlainOwnership,
    pub(crate) amazon_dns: bool,
    pub(crate) description: Option<String>,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlainRule {
    pub(crate) ownership: PlainOwnership,
    pub(crate) filter: String,
    pub(crate) rule: FilterRule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlainSession {
    pub(crate) ownership: PlainOwnership,
    pub(crate) session: Session,
}

/// All resources, and the order in which they are listed: sessions, targets, filters, rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) targets: BTreeMap<String, PlainTarget>,
    pub(crate) filters: BTreeMap<String, PlainFilter>,
    pub(crate) rules: BTreeMap<String, PlainRule>,
    pub(crate) sessions: BTreeMap<String, PlainSession>,
    pub(crate) order: [Vec<String>; 4],
}

impl Snapshot {
    pub(crate) fn of(account: &Account) -> Self {
        let mut snapshot = Self::default();
        let registry = account.registry();
        for (_, id, entry) in account.sessions().after(0) {
            let session = registry.session(id).unwrap().clone();
            snapshot.order[0].push(id.to_string());
            snapshot
                .sessions
                .insert(id.to_string(), PlainSession { ownership: ownership(entry), session });
        }
        for (_, id, entry) in account.targets().after(0) {
            let target = registry.target(id).unwrap().clone();
            let plain = PlainTarget {
                ownership: ownership(entry),
                kind: target.kind,
                address: target.address,
                description: target.description,
                tags: target.tags,
            };
            snapshot.order[1].push(id.to_string());
            snapshot.targets.insert(id.to_string(), plain);
        }
        for (_, id, entry) in account.filters().after(0) {
            let filter = Filter::clone(registry.filter(id).unwrap());
            let plain = PlainFilter {
                ownership: ownership(entry),
                amazon_dns: filter.amazon_dns,
                description: filter.description,
                tags: filter.tags,
            };
            snapshot.order[2].push(id.to_string());
            snapshot.filters.insert(id.to_string(), plain);
        }
        for (_, id, entry) in account.rules().after(0) {
            let (filter, rule) = account.rule(id).unwrap();
            let (filter, rule) = (filter.id().to_string(), rule.clone());
            snapshot.order[3].push(id.to_string());
            snapshot
                .rules
                .insert(id.to_string(), PlainRule { ownership: ownership(entry), filter, rule });
        }
        snapshot
    }
}

fn ownership(entry: &Ownership) -> PlainOwnership {
    PlainOwnership { owner: entry.owner.to_string(), is_from_file: entry.is_from_file }
}

/// Asserts that a new registry with the same resources is equal, that the account has all of
/// them, and that all sessions are in the table.
pub(crate) fn assert_consistent(account: &Account, snapshot: &Snapshot) {
    let registry = account.registry();
    let mut rebuilt = Registry::new(registry.settings().clone());
    let interfaces = registry.network_interfaces().iter().cloned();
    interfaces.for_each(|one| rebuilt.add_network_interface(one).unwrap());
    registry.targets().iter().cloned().for_each(|one| rebuilt.add_target(one).unwrap());
    registry.filters().iter().for_each(|one| rebuilt.add_filter(Filter::clone(one)).unwrap());
    registry.sessions().iter().cloned().for_each(|one| rebuilt.add_session(one).unwrap());
    assert!(*registry == rebuilt, "an index of the registry is wrong");
    let rules = registry.filters().iter().map(|one| one.all_rules().len()).sum::<usize>();
    let counts = [registry.sessions().len(), registry.targets().len(), registry.filters().len()];
    let known = [snapshot.sessions.len(), snapshot.targets.len(), snapshot.filters.len()];
    assert_eq!((counts, rules), (known, snapshot.rules.len()));
    let table = compile(registry, &CompileOptions::default());
    assert_eq!(table.sessions().len(), registry.sessions().len());
}
