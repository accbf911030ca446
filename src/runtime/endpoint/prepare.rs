//! What the endpoint starts with: resources of files, options, devices, state.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::access::{AccessOptions, EndpointAccess};
use super::account::{SharedAccount, SharedLinks, random, report_inactive};
use super::devices::{list_devices, update_devices};
use super::state::EndpointState;
use crate::control::account::{Account, NamedBy, Quotas, TargetResolver};
use crate::control::{Registry, with_network_ids};
use crate::ec2::Persist;
use crate::http::{Certificate, HostNames};
use crate::io::links::Link;
use crate::runtime::error::Error;
use crate::runtime::event::{Event, EventSink};
use crate::runtime::live_tables::LiveTables;

/// How the endpoint is served, and what it accepts.
#[derive(Debug)]
pub struct EndpointOptions {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The account that owns the network interfaces and the resources of files: twelve digits.
    pub account_id: String,
    /// The quotas of the account.
    pub quotas: Quotas,
    /// The addresses of load balancers, and where copies may go.
    pub targets: TargetResolver,
    /// The file that keeps the resources over restarts; without it they are kept in memory.
    pub state: Option<PathBuf>,
    /// Whose requests are accepted.
    pub access: AccessOptions,
    /// The names that clients may use for this host.
    pub hosts: HostNames,
    /// The certificate to serve https with.
    pub certificate: Option<Certificate>,
}

/// The endpoint before it is served: its account, and where its changes are kept.
pub struct PreparedEndpoint {
    pub(super) account: SharedAccount,
    pub(super) state: EndpointState,
    pub(super) links: SharedLinks,
    pub(super) access: EndpointAccess,
    pub(super) address: SocketAddr,
}

impl PreparedEndpoint {
    /// Reads the state file and adds the devices of this host to the resources of `registry`. From
    /// then on no file is opened but the state file. `seed` draws the network identifiers of
    /// sessions that name none.
    ///
    /// # Errors
    /// The state file cannot be read or is exposed to other users, or a resource of the registry
    /// breaks a rule of the account.
    pub fn new(
        options: EndpointOptions,
        mut registry: Registry,
        links: &[Link],
        seed: u64,
        events: &EventSink,
    ) -> Result<Self, Error> {
        let EndpointOptions { address, account_id, quotas, mut targets, .. } = options;
        let EndpointOptions { state, access, hosts, certificate, .. } = options;
        let access = EndpointAccess::new(access, &account_id, hosts, certificate)?;
        list_devices(&mut registry, links);
        targets.set_broadcasts(links.iter().flat_map(|link| link.broadcasts.clone()).collect());
        check_targets(&registry, &targets)?;
        // Network identifiers that files leave open are drawn once.
        let registry = with_network_ids(registry, seed);
        let named = Account::new(registry, quotas, targets.clone(), random).registry().clone();
        let links: SharedLinks = Arc::new(Mutex::new(links.to_vec()));
        let latest = Arc::clone(&links);
        let rebuild = move |records| {
            let links = latest.lock().unwrap_or_else(PoisonError::into_inner);
            let (named, targets) = (named.clone(), targets.clone());
            let mut account = Account::with_owner(&account_id, named, quotas, targets, random);
            // Targets of the state may need the addresses of devices.
            update_devices(&mut account, &links);
            account.restore(records)?;
            update_devices(&mut account, &links);
            Ok(account)
        };
        let mut state = EndpointState::open(state.as_deref(), Box::new(rebuild), events.clone())?;
        let account = state.restore().map_err(|error| Error::state_failed(None, &error))?;
        check_sessions(&account, events)?;
        report_inactive(&account.inactive(), events);
        Ok(Self { account: Arc::new(RwLock::new(account)), state, links, access, address })
    }

    /// The directory of the file with the generated key, if there is one: the file is removed at
    /// the end, so a sandbox has to permit that.
    #[must_use]
    pub fn credentials_directory(&self) -> Option<&Path> {
        self.access.credentials_directory()
    }

    /// Puts the resources that are there at the start in force.
    pub(in crate::runtime) fn publish(&self, tables: &LiveTables) {
        let mut account = self.account.write().unwrap_or_else(PoisonError::into_inner);
        account.registry_mut().take_touched();
        tables.replace(account.registry());
    }
}

/// Refuses sessions of files whose copies would come back to their source, and warns of those of
/// the state, which were accepted before.
fn check_sessions(account: &Account, events: &EventSink) -> Result<(), Error> {
    for session in account.registry().sessions() {
        let Err(why) = account.check_copies_leave(session) else { continue };
        let id = session.id.as_ref().map(ToString::to_string).unwrap_or_default();
        let sentence = format!("traffic_mirror_session `{id}`: {}", why.message);
        let entry = session.id.as_ref().and_then(|id| account.sessions().get(id));
        if entry.is_some_and(|entry| entry.is_from_file) {
            return Err(Error::InvalidValue(sentence));
        }
        events.send(Event::SessionComesBack(sentence));
    }
    Ok(())
}

/// Targets of files go where targets of clients may go.
fn check_targets(registry: &Registry, places: &TargetResolver) -> Result<(), Error> {
    for target in registry.targets() {
        for address in registry.target_addresses(target) {
            places.check_target(address.ip(), NamedBy::User).map_err(|refused| {
                let (id, why) = (target.id(), refused.message);
                Error::InvalidValue(format!("traffic_mirror_target `{id}`: {why}"))
            })?;
        }
    }
    Ok(())
}
