//! Prepares the endpoint: builds its account from files, options, devices and the state file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::access::{AccessOptions, EndpointAccess};
use super::account::{SharedAccount, report_inactive};
use super::devices::{list_devices, update_devices};
use super::state::EndpointState;
use crate::control::account::{Account, NamedBy, Quotas, TargetResolver};
use crate::control::{Registry, with_network_ids};
use crate::http::{Certificate, HostNames};
use crate::io::links::Link;
use crate::io::random::system_bits;
use crate::model::TargetId;
use crate::runtime::error::Error;
use crate::runtime::event::{Event, EventSink};
use crate::runtime::live_tables::LiveTables;

/// The options of the EC2 endpoint.
#[derive(Debug)]
pub struct EndpointOptions {
    /// The address and TCP port to listen on. The system chooses the port if it is 0.
    pub address: SocketAddr,
    /// The ID of the account that owns the network interfaces and the resources of files, 12
    /// digits.
    pub account_id: String,
    /// The quotas of the account.
    pub quotas: Quotas,
    /// Resolves load balancer targets to addresses, and checks which addresses are permitted.
    pub targets: TargetResolver,
    /// The file that persists the resources. Without it they are kept in memory and lost on exit.
    pub state: Option<PathBuf>,
    /// Which requests are accepted.
    pub access: AccessOptions,
    /// The names for this host that the listener accepts in the Host header.
    pub hosts: HostNames,
    /// The certificate for TLS. Without it the connections are not encrypted.
    pub certificate: Option<Certificate>,
}

/// The endpoint before it is served. Pass it to [`LiveMirror::start`] in [`Resources::Endpoint`].
///
/// [`LiveMirror::start`]: crate::runtime::LiveMirror::start
/// [`Resources::Endpoint`]: crate::runtime::Resources::Endpoint
pub struct PreparedEndpoint {
    pub(super) account: SharedAccount,
    pub(super) state: EndpointState,
    pub(super) access: EndpointAccess,
    pub(super) address: SocketAddr,
}

impl PreparedEndpoint {
    /// Reads the state file and adds the devices of this host, `links`, to the resources of
    /// `registry`. After this call the endpoint opens no file other than the state file. `seed`
    /// determines the virtual network IDs of sessions that have none.
    ///
    /// # Errors
    /// - [`Error::State`]: the state file cannot be read, is damaged, or other users can change it.
    /// - [`Error::InvalidValue`]: a target of `registry` has a forbidden address, or the copies of
    ///   one of its sessions would return to their source.
    /// - [`Error::Failed`]: the credentials file cannot be written.
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
        let is_strict = targets.is_strict();
        let registry = with_network_ids(registry, seed);
        let mut account = Account::with_owner(&account_id, registry, quotas, targets, system_bits);
        // Targets of the state file may need the addresses of devices.
        update_devices(&mut account, links);
        let state = EndpointState::open(state.as_deref(), events.clone())?;
        account
            .restore(state.load()?)
            .map_err(|error| Error::state_failed(None, &std::io::Error::other(error)))?;
        update_devices(&mut account, links);
        check_sessions(&account, events)?;
        if is_strict {
            check_addresses_known(&account)?;
        }
        report_inactive(&account.inactive(), events);
        Ok(Self { account: Arc::new(RwLock::new(account)), state, access, address })
    }

    /// The directory of the file with the generated key, if there is one. A sandbox must permit
    /// removing files there, because the file is removed at the end.
    #[must_use]
    pub fn credentials_directory(&self) -> Option<&Path> {
        self.access.credentials_directory()
    }

    /// The same directory, if it was created for the file. A sandbox must permit removing it,
    /// because it is removed with the file.
    #[must_use]
    pub fn temporary_directory(&self) -> Option<&Path> {
        self.access.temporary_directory()
    }

    /// Compiles the tables of the resources that exist at the start.
    pub(in crate::runtime) fn publish(&self, tables: &LiveTables) {
        let mut account = self.account.write().unwrap_or_else(PoisonError::into_inner);
        account.registry_mut().take_touched();
        tables.replace(account.registry());
    }
}

/// Rejects sessions of files whose copies would return to their source. Sessions of the state file
/// were accepted before, so they only cause a warning.
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

/// Rejects targets of files without an address. Those of the state file were accepted before.
fn check_addresses_known(account: &Account) -> Result<(), Error> {
    let is_from_file =
        |id: &TargetId| account.targets().get(id).is_some_and(|one| one.is_from_file);
    match account.targets_without_address().find(|(id, _)| is_from_file(id)) {
        None => Ok(()),
        Some((id, _)) => Err(Error::InvalidValue(format!(
            "traffic_mirror_target `{id}`: expected an address, which the options require"
        ))),
    }
}

/// Rejects targets of files whose address is forbidden for targets of clients.
fn check_targets(registry: &Registry, resolver: &TargetResolver) -> Result<(), Error> {
    for target in registry.targets() {
        for address in registry.target_addresses(target) {
            resolver.check_target(address.ip(), NamedBy::User).map_err(|refused| {
                let (id, why) = (target.id(), refused.message);
                Error::InvalidValue(format!("traffic_mirror_target `{id}`: {why}"))
            })?;
        }
    }
    Ok(())
}
