//! The EC2 endpoint of live mirroring: how it is served, and how changes reach the workers.
//!
//! What belongs here: the account with the devices of this host, its state file, and the answer to
//! a change when it is in force. What does not: the protocol (`ec2`) and AWS's rules
//! (`control::account`).

mod access;
mod account;
mod credentials_file;
mod devices;
mod prepare;
mod state;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, PoisonError};

pub use self::access::AccessOptions;
use self::access::EndpointServer;
use self::account::{SharedAccount, SharedLinks, random, report_inactive};
use self::devices::update_devices;
pub use self::prepare::{EndpointOptions, PreparedEndpoint};
use super::error::Error;
use super::event::{Event, EventSink};
use super::live_tables::{LiveTables, WaitingChange};
use super::receipt::Receipt;
use crate::control::Registry;
use crate::ec2::{Endpoint, Publish, PublishedChange};
use crate::io::clock::unix_seconds;
use crate::io::links::Link;

/// The endpoint, as long as it is served.
pub(super) struct ServedEndpoint {
    account: SharedAccount,
    tables: LiveTables,
    links: SharedLinks,
    events: EventSink,
    _server: EndpointServer,
}

impl ServedEndpoint {
    /// Lists the devices of this host as network interfaces. Outer sources, and targets that are
    /// network interfaces, have the new addresses then.
    pub(super) fn update_devices(&self, links: &[Link]) {
        *self.links.lock().unwrap_or_else(PoisonError::into_inner) = links.to_vec();
        let mut account = self.account.write().unwrap_or_else(PoisonError::into_inner);
        let changes = update_devices(&mut account, links);
        let touched = account.registry_mut().take_touched();
        if !touched.is_empty() || !changes.notes.is_empty() {
            self.tables.update_for_devices(account.registry(), touched, changes.notes);
        }
        drop(account);
        report_inactive(&changes.inactive, &self.events);
    }
}

/// Serves the endpoint; changes are in force when they are answered.
pub(super) fn serve(
    prepared: PreparedEndpoint,
    tables: LiveTables,
    events: EventSink,
) -> Result<ServedEndpoint, Error> {
    let PreparedEndpoint { account, state, links, access, address } = prepared;
    let failed = |error: io::Error| Error::Endpoint(error.to_string());
    let publisher = Publisher { tables: tables.clone() };
    let is_kept = state.is_kept();
    let endpoint = Endpoint::new(Arc::clone(&account), publisher, state, unix_seconds, random);
    let server = access.serve(address, endpoint.map_err(failed)?, &events).map_err(failed)?;
    if !is_kept {
        events.send(Event::StateNotKept);
    }
    Ok(ServedEndpoint { account, tables, links, events, _server: server })
}

/// Compiles the tables that a change touches, on the thread that makes changes.
struct Publisher {
    tables: LiveTables,
}

impl Publish for Publisher {
    fn publish(&mut self, registry: &Registry, changes: Vec<PublishedChange>) {
        let mut touched = BTreeSet::new();
        let waiting = changes.into_iter().map(|change| {
            touched.extend(change.touched.iter().cloned());
            let PublishedChange { touched, needs_capture, done } = change;
            let receipt = Receipt::new(move |result| done(result.map_err(io::Error::other)));
            WaitingChange { touched, needs_capture, receipt }
        });
        let waiting = waiting.collect();
        self.tables.update(registry, touched, waiting);
    }
}
