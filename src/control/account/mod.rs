//! The account: AWS's rules for creating, changing and deleting resources of the registry.
//!
//! What belongs here: owners, quotas, random ids and network identifiers, idempotent requests, and
//! AWS's order of checks: parameters, existence, state, quota, and DryRun last. What does not: the
//! format of requests and responses (`ec2`), packets (`dataplane`).

mod api_error;
mod assigned_addresses;
mod caller;
mod devices;
mod emulator;
mod filters;
mod interface_pins;
mod interfaces;
mod learned;
mod ownership;
mod quotas;
mod record_key;
mod records;
mod reset;
mod resources;
mod rules;
mod sessions;
mod tags;
mod target_addresses;
mod target_resolver;
mod targets;
mod token_store;
mod tokens;
mod undo;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

pub use api_error::{ApiError, interface_not_found, not_found};
pub use caller::Caller;
pub use devices::{HostDevices, InactiveTarget, returns_to_device};
pub use filters::CreateFilter;
pub use interfaces::CreateNetworkInterface;
pub use ownership::{Ownership, OwnershipIndex};
pub use quotas::Quotas;
pub use records::Record;
pub use resources::{CreatedResource, Resource};
pub use rules::{CreateRule, ModifyRule, Ports, RuleField};
pub use sessions::{CreateSession, ModifySession, SessionField};
pub use tags::{TagToDelete, tags};
pub use target_resolver::{NamedBy, TargetResolver};
pub use targets::{CreateTarget, check_target_name};
pub use token_store::ClientToken;
pub use undo::UndoLog;

use self::emulator::Emulator;
use self::record_key::RecordKey;
use self::token_store::TokenStore;
use super::Registry;
use super::derived_ids::{derived_rule_id, derived_session_id};
use crate::model::{
    Filter, FilterId, FilterRule, FilterRuleId, InvalidValue, NetworkInterfaceId, SessionId,
    TargetId,
};

/// The default owner of resources from configuration files: the account id that local emulators of
/// AWS use by convention.
pub const DEFAULT_OWNER: &str = "000000000000";

/// Whether a text is an account id: twelve digits.
#[must_use]
pub fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The sequence number of the first resource that a client creates. It leaves room for resources
/// that a configuration file adds before a restart, so that sequence numbers stay unique.
const FIRST_CLIENT_SEQUENCE: u64 = 1 << 32;

/// All resources with their owners, quotas and client tokens.
pub struct Account {
    /// The account that owns the resources of configuration files.
    owner: Arc<str>,
    registry: Registry,
    quotas: Quotas,
    target_resolver: TargetResolver,
    devices: HostDevices,
    /// Whether clients create and delete network interfaces.
    has_virtual_interfaces: bool,
    /// The network interfaces that clients created.
    network_interfaces: OwnershipIndex<NetworkInterfaceId>,
    emulator: Emulator,
    sessions: OwnershipIndex<SessionId>,
    targets: OwnershipIndex<TargetId>,
    filters: OwnershipIndex<FilterId>,
    rules: OwnershipIndex<FilterRuleId>,
    /// The filter of each rule.
    filter_of: HashMap<FilterRuleId, FilterId>,
    tokens: TokenStore,
    /// The records to persist.
    changed: BTreeSet<RecordKey>,
    /// What undoes the changes since [`Account::take_undo_log`] was called.
    undo_log: UndoLog,
    /// The resource of the last Create request, until [`Account::take_created`] takes it.
    created: Option<CreatedResource>,
    next_sequence: u64,
    draw: Box<dyn FnMut() -> u128 + Send + Sync>,
}

impl Account {
    /// An account over the resources of configuration files. `draw` returns random numbers for ids
    /// and network identifiers.
    pub fn new(
        registry: Registry,
        quotas: Quotas,
        target_resolver: TargetResolver,
        draw: impl FnMut() -> u128 + Send + Sync + 'static,
    ) -> Self {
        Self::with_owner(DEFAULT_OWNER, registry, quotas, target_resolver, draw)
    }

    /// The same, with `owner` as the owner of the resources of configuration files.
    pub fn with_owner(
        owner: &str,
        registry: Registry,
        quotas: Quotas,
        target_resolver: TargetResolver,
        draw: impl FnMut() -> u128 + Send + Sync + 'static,
    ) -> Self {
        let mut account = Self {
            owner: Arc::from(owner),
            registry,
            quotas,
            target_resolver,
            devices: HostDevices::default(),
            has_virtual_interfaces: false,
            network_interfaces: OwnershipIndex::default(),
            emulator: Emulator::default(),
            sessions: OwnershipIndex::default(),
            targets: OwnershipIndex::default(),
            filters: OwnershipIndex::default(),
            rules: OwnershipIndex::default(),
            filter_of: HashMap::new(),
            tokens: TokenStore::default(),
            changed: BTreeSet::new(),
            undo_log: UndoLog::default(),
            created: None,
            next_sequence: 1,
            draw: Box::new(draw),
        };
        account.register_file_resources();
        account
    }

    /// All resources, without their owners.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All resources, to add and remove network interfaces.
    pub const fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// The sessions, in the order of their creation.
    #[must_use]
    pub const fn sessions(&self) -> &OwnershipIndex<SessionId> {
        &self.sessions
    }

    /// The targets, in the order of their creation.
    #[must_use]
    pub const fn targets(&self) -> &OwnershipIndex<TargetId> {
        &self.targets
    }

    /// The filters, in the order of their creation.
    #[must_use]
    pub const fn filters(&self) -> &OwnershipIndex<FilterId> {
        &self.filters
    }

    /// The rules of all filters, in the order of their creation.
    #[must_use]
    pub const fn rules(&self) -> &OwnershipIndex<FilterRuleId> {
        &self.rules
    }

    /// A rule and its filter.
    #[must_use]
    pub fn rule(&self, id: &FilterRuleId) -> Option<(&Arc<Filter>, &FilterRule)> {
        let filter = self.registry.filter(self.filter_of.get(id)?)?;
        let rule = filter.all_rules().iter().find(|rule| rule.id.as_ref() == Some(id))?;
        Some((filter, rule))
    }

    /// Registers the resources of configuration files, which `self.owner` owns.
    fn register_file_resources(&mut self) {
        self.assign_missing_ids();
        let registry = std::mem::take(&mut self.registry);
        let owner = Arc::clone(&self.owner);
        for target in registry.targets() {
            let ownership = self.new_ownership(&owner, true);
            self.targets.insert(target.id().clone(), ownership);
        }
        for filter in registry.filters() {
            let ownership = self.new_ownership(&owner, true);
            self.filters.insert(filter.id().clone(), ownership);
            for id in filter.all_rules().iter().filter_map(|rule| rule.id.clone()) {
                let ownership = self.new_ownership(&owner, true);
                self.filter_of.insert(id.clone(), filter.id().clone());
                self.rules.insert(id, ownership);
            }
        }
        for id in registry.sessions().iter().filter_map(|session| session.id.clone()) {
            let ownership = self.new_ownership(&owner, true);
            self.sessions.insert(id, ownership);
        }
        self.registry = registry;
        self.resolve_file_targets();
        self.next_sequence = self.next_sequence.max(FIRST_CLIENT_SEQUENCE);
    }

    /// The addresses of files are one source of the addresses of their targets.
    fn resolve_file_targets(&mut self) {
        let ids: Vec<TargetId> =
            self.registry.targets().iter().map(|one| one.id().clone()).collect();
        for id in ids {
            if let Some(target) = self.registry.target_mut(&id) {
                let addresses = target.address.into_iter().chain(target.further_addresses.clone());
                target.sources.configured = addresses.collect();
            }
            self.recheck_target(&id);
        }
    }

    /// Assigns ids to sessions and rules that have none in a file, because the API returns ids. The
    /// ids are derived from names, so clients find the same ids after a restart.
    fn assign_missing_ids(&mut self) {
        let mut named = Registry::new(self.registry.settings().clone());
        let registry = std::mem::take(&mut self.registry);
        let fits = (|| -> Result<(), InvalidValue> {
            let interfaces = registry.network_interfaces().iter().cloned();
            interfaces.into_iter().try_for_each(|one| named.add_network_interface(one))?;
            registry.targets().iter().cloned().try_for_each(|one| named.add_target(one))?;
            for filter in registry.filters() {
                let mut rules = filter.all_rules().to_vec();
                for rule in &mut rules {
                    let derived = derived_rule_id(filter.id(), rule);
                    rule.id.get_or_insert(derived);
                }
                let (mut known, _) = Filter::from_rules(filter.id().clone(), rules);
                known.amazon_dns = filter.amazon_dns;
                known.description.clone_from(&filter.description);
                known.tags.clone_from(&filter.tags);
                named.add_filter(known)?;
            }
            for mut session in registry.sessions().iter().cloned() {
                let derived = derived_session_id(&session);
                session.id.get_or_insert(derived);
                named.add_session(session)?;
            }
            Ok(())
        })();
        // Resources that were consistent stay consistent with new ids, so this does not fail.
        self.registry = if fits.is_ok() { named } else { registry };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Session, SessionNumber, Target};

    /// The ids of the rules and sessions of an account whose random numbers start at `seed`.
    fn ids(registry: &Registry, seed: u128) -> (Vec<String>, Vec<String>) {
        let mut drawn = seed;
        let draw = move || {
            drawn += 1;
            drawn
        };
        let account =
            Account::new(registry.clone(), Quotas::default(), TargetResolver::default(), draw);
        let rules = account.rules().after(0).map(|(_, id, _)| id.to_string()).collect();
        (rules, account.sessions().after(0).map(|(_, id, _)| id.to_string()).collect())
    }

    #[test]
    fn resources_without_ids_have_the_same_ids_after_a_restart() {
        let mut registry = Registry::accept_all("192.0.2.9:4789".parse().unwrap(), None, None);
        let mut session = registry.sessions()[0].clone();
        registry.remove_session(session.id.as_ref().unwrap());
        session.id = None;
        registry.add_session(session).unwrap();
        let (rules, sessions) = ids(&registry, 0);
        assert_eq!((rules.len(), sessions.len()), (4, 1));
        assert!(rules.iter().all(|id| id.starts_with(FilterRuleId::PREFIX)), "{rules:?}");
        let different: BTreeSet<&String> = rules.iter().collect();
        assert_eq!(different.len(), rules.len());
        assert_eq!(ids(&registry, 1000), (rules, sessions));
    }

    #[test]
    fn tags_of_file_resources_cannot_be_changed_whatever_their_ids_are() {
        let registry = Registry::accept_all("192.0.2.9:4789".parse().unwrap(), None, None);
        let mut named = Registry::default();
        let interface = registry.network_interfaces()[0].clone();
        named.add_network_interface(interface.clone()).unwrap();
        let target = Target::at(TargetId::new("collector").unwrap(), ([192, 0, 2, 9], 4789).into());
        named.add_target(target.clone()).unwrap();
        let mut rules = registry.filters()[0].all_rules().to_vec();
        rules[0].id = FilterRuleId::new("first").ok();
        let (filter, _) = Filter::from_rules(FilterId::new("all").unwrap(), rules);
        named.add_filter(filter.clone()).unwrap();
        let (filter, target) = (filter.id().clone(), target.id().clone());
        let mut session = Session::new(interface.id().clone(), SessionNumber::MIN, filter, target);
        session.id = SessionId::new("web").ok();
        named.add_session(session).unwrap();
        let account = Account::new(named, Quotas::default(), TargetResolver::default(), || 0);
        let caller = Caller { owner: DEFAULT_OWNER, is_dry_run: false, now_s: 0 };
        let code = |id: &str| account.resource(&caller, id).unwrap_err().code;
        for id in ["collector", "first", "all", "web"] {
            assert_eq!(code(id), "OperationNotPermitted", "{id}");
        }
        assert_eq!(code("other"), "InvalidID");
        assert_eq!(code("tmf-00000000000000000"), "InvalidTrafficMirrorFilterId.NotFound");
    }
}
