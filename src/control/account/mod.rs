//! The account: resources as the EC2 API has them, over the registry.
//!
//! What belongs here: who owns what, quotas, ids and network identifiers that are drawn, idempotent
//! requests, and AWS's order of checks: parameters, existence, state, quota, and DryRun last. What
//! does not: how a request is written and an answer read (that is `ec2`), packets.

mod devices;
mod filters;
mod places;
mod quotas;
mod records;
mod refused;
mod rules;
mod sessions;
mod shelf;
mod tags;
mod targets;
mod tokens;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

pub use devices::{Devices, Inactive, comes_back};
pub use filters::{CreateFilter, no_such};
pub use places::{NamedBy, Places};
pub use quotas::Quotas;
pub use records::Record;
pub use refused::Refused;
pub use rules::{CreateRule, ModifyRule, Ports, RuleField};
pub use sessions::{CreateSession, ModifySession, SessionField};
pub use shelf::{Entry, Shelf};
pub use tags::{TagToDelete, tags};
pub use targets::{CreateTarget, check_target_name};
pub use tokens::Once;

use self::records::Key;
use self::tokens::Tokens;
use super::Registry;
use crate::model::{Filter, FilterId, FilterRule, FilterRuleId, InvalidValue, SessionId, TargetId};

/// The account that owns what comes from configuration files, where the user names no other: the
/// convention of local emulators.
pub const DEFAULT_OWNER: &str = "000000000000";

/// Whether a text is the id of an account: twelve digits.
#[must_use]
pub fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The place of the first resource that a client makes, behind all that files can hold: files may
/// say more after a restart, and no two resources have one place.
const FIRST_OF_CLIENTS: u64 = 1 << 32;

/// Who asks, and how.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The account, twelve digits.
    pub owner: &'a str,
    /// Whether everything is to be checked and nothing done.
    pub is_dry_run: bool,
    /// The time, in seconds since 1970.
    pub now_s: u64,
}

impl Caller<'_> {
    /// The last check.
    fn may_change(&self) -> Result<(), Refused> {
        if self.is_dry_run { Err(Refused::dry_run()) } else { Ok(()) }
    }
}

/// A resource that has tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// `tms-`
    Session(SessionId),
    /// `tmt-`
    Target(TargetId),
    /// `tmf-`
    Filter(FilterId),
    /// `tmfr-`
    Rule(FilterRuleId),
}

/// All resources.
pub struct Account {
    /// The account that owns the resources of files.
    owner: Arc<str>,
    registry: Registry,
    quotas: Quotas,
    places: Places,
    devices: Devices,
    sessions: Shelf<SessionId>,
    targets: Shelf<TargetId>,
    filters: Shelf<FilterId>,
    /// The filter of each rule.
    rules: Shelf<FilterRuleId>,
    filter_of: HashMap<FilterRuleId, FilterId>,
    tokens: Tokens,
    /// What has to be written.
    changed: BTreeSet<Key>,
    /// The session that was made last, until somebody takes note.
    created_session: Option<SessionId>,
    next: u64,
    draw: Box<dyn FnMut() -> u128 + Send + Sync>,
}

impl Account {
    /// An account over what configuration files say. `draw` gives random numbers, for ids and
    /// network identifiers.
    pub fn new(
        registry: Registry,
        quotas: Quotas,
        places: Places,
        draw: impl FnMut() -> u128 + Send + Sync + 'static,
    ) -> Self {
        Self::owned_by(DEFAULT_OWNER, registry, quotas, places, draw)
    }

    /// The same, where the resources of files are of that account.
    pub fn owned_by(
        owner: &str,
        registry: Registry,
        quotas: Quotas,
        places: Places,
        draw: impl FnMut() -> u128 + Send + Sync + 'static,
    ) -> Self {
        let mut account = Self {
            owner: Arc::from(owner),
            registry,
            quotas,
            places,
            devices: Devices::default(),
            sessions: Shelf::default(),
            targets: Shelf::default(),
            filters: Shelf::default(),
            rules: Shelf::default(),
            filter_of: HashMap::new(),
            tokens: Tokens::default(),
            changed: BTreeSet::new(),
            created_session: None,
            next: 1,
            draw: Box::new(draw),
        };
        account.take_in_files();
        account
    }

    /// All resources, as the data plane wants them.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All resources, for network interfaces that come and go.
    pub const fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// The sessions, in the order of their creation.
    #[must_use]
    pub const fn sessions(&self) -> &Shelf<SessionId> {
        &self.sessions
    }

    /// The targets, in the order of their creation.
    #[must_use]
    pub const fn targets(&self) -> &Shelf<TargetId> {
        &self.targets
    }

    /// The filters, in the order of their creation.
    #[must_use]
    pub const fn filters(&self) -> &Shelf<FilterId> {
        &self.filters
    }

    /// The rules of all filters, in the order of their creation.
    #[must_use]
    pub const fn rules(&self) -> &Shelf<FilterRuleId> {
        &self.rules
    }

    /// A rule, and the filter that it is of.
    #[must_use]
    pub fn rule(&self, id: &FilterRuleId) -> Option<(&Arc<Filter>, &FilterRule)> {
        let filter = self.registry.filter(self.filter_of.get(id)?)?;
        let rule = filter.all_rules().iter().find(|rule| rule.id.as_ref() == Some(id))?;
        Some((filter, rule))
    }

    /// The resource of an id of any kind, which the caller wants to change.
    ///
    /// # Errors
    /// [`Refused`] where there is none, or it is of a configuration file.
    pub fn resource(&self, caller: &Caller<'_>, id: &str) -> Result<Resource, Refused> {
        if let Ok(id) = self.own_session(caller, id) {
            return Ok(Resource::Session(id));
        }
        if let Ok(id) = self.own_target(caller, id) {
            return Ok(Resource::Target(id));
        }
        if let Ok(id) = self.own_filter(caller, id) {
            return Ok(Resource::Filter(id));
        }
        // The refusal of the kind that it looks like.
        if id.starts_with(SessionId::PREFIX) {
            return self.own_session(caller, id).map(Resource::Session);
        }
        if id.starts_with(TargetId::PREFIX) {
            return self.own_target(caller, id).map(Resource::Target);
        }
        if id.starts_with(FilterId::PREFIX) {
            return self.own_filter(caller, id).map(Resource::Filter);
        }
        match self.own_rule(caller, id) {
            Err(_) if !id.starts_with(FilterRuleId::PREFIX) => {
                let message = format!("The ID '{id}' is not valid");
                Err(Refused::new("InvalidID", message))
            }
            rule => rule.map(Resource::Rule),
        }
    }

    fn entry(&mut self, owner: &str, is_of_file: bool) -> Entry {
        let sequence = self.next;
        self.next += 1;
        Entry { sequence, owner: Arc::from(owner), is_of_file }
    }

    /// Resources of configuration files are there from the start, and belong to nobody else.
    fn take_in_files(&mut self) {
        self.name_what_has_no_id();
        let registry = std::mem::take(&mut self.registry);
        let owner = Arc::clone(&self.owner);
        for target in registry.targets() {
            let entry = self.entry(&owner, true);
            self.targets.put(target.id().clone(), entry);
        }
        for filter in registry.filters() {
            let entry = self.entry(&owner, true);
            self.filters.put(filter.id().clone(), entry);
            for id in filter.all_rules().iter().filter_map(|rule| rule.id.clone()) {
                let entry = self.entry(&owner, true);
                self.filter_of.insert(id.clone(), filter.id().clone());
                self.rules.put(id, entry);
            }
        }
        for id in registry.sessions().iter().filter_map(|session| session.id.clone()) {
            let entry = self.entry(&owner, true);
            self.sessions.put(id, entry);
        }
        self.registry = registry;
        self.next = self.next.max(FIRST_OF_CLIENTS);
    }

    /// What has no id or network identifier in a file gets one here: the API tells everything.
    fn name_what_has_no_id(&mut self) {
        let mut named = Registry::new(self.registry.settings().clone());
        let registry = std::mem::take(&mut self.registry);
        let fits = (|| -> Result<(), InvalidValue> {
            let interfaces = registry.network_interfaces().iter().cloned();
            interfaces.into_iter().try_for_each(|one| named.add_network_interface(one))?;
            registry.targets().iter().cloned().try_for_each(|one| named.add_target(one))?;
            for filter in registry.filters() {
                let mut rules = filter.all_rules().to_vec();
                for rule in &mut rules {
                    rule.id.get_or_insert_with(|| FilterRuleId::from_seed((self.draw)()));
                }
                let (mut known, _) = Filter::from_rules(filter.id().clone(), rules);
                known.amazon_dns = filter.amazon_dns;
                known.description.clone_from(&filter.description);
                known.tags.clone_from(&filter.tags);
                named.add_filter(known)?;
            }
            for mut session in registry.sessions().iter().cloned() {
                session.id.get_or_insert_with(|| SessionId::from_seed((self.draw)()));
                named.add_session(session)?;
            }
            Ok(())
        })();
        // What went together goes together with ids.
        self.registry = if fits.is_ok() { named } else { registry };
    }
}
