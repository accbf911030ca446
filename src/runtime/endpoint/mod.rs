//! The EC2 endpoint of live mirroring: serves an account whose changes reach the running workers.
//!
//! What belongs here: the account with the devices of this host, its state file, and the
//! acknowledgement of a change after the workers have applied it. What does not belong here: the
//! EC2 protocol (`ec2`) and the rules of AWS (`control::account`).

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
use self::account::{SharedAccount, report_inactive};
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
use crate::io::random::system_bits;
use crate::model::NetworkInterfaceId;

/// The endpoint while it is served. It stops when this is dropped.
pub(super) struct ServedEndpoint {
    account: SharedAccount,
    tables: LiveTables,
    events: EventSink,
    _server: EndpointServer,
}

impl ServedEndpoint {
    /// Updates the network interfaces of the account from the devices of this host. Outer source
    /// addresses, and targets that are network interfaces, follow their addresses.
    pub(super) fn update_devices(&self, links: &[Link]) {
        let mut account = self.account.write().unwrap_or_else(PoisonError::into_inner);
        let changes = update_devices(&mut account, links);
        let touched = account.registry_mut().take_touched();
        if !touched.is_empty() || !changes.notes.is_empty() {
            let waiting = self.report_when_in_force(touched.clone(), changes.notes);
            self.tables.update(account.registry(), touched, vec![waiting]);
        }
        drop(account);
        report_inactive(&changes.inactive, &self.events);
    }

    /// Reports new addresses when the tables of the interfaces are in force.
    fn report_when_in_force(
        &self,
        touched: BTreeSet<NetworkInterfaceId>,
        sentences: Vec<String>,
    ) -> WaitingChange {
        let events = self.events.clone();
        let report = move |_| {
            sentences.into_iter().map(Event::AddressesChanged).for_each(|event| events.send(event));
        };
        WaitingChange { touched, needs_capture: false, receipt: Receipt::new(report) }
    }
}

/// Serves the endpoint. A change is answered after the workers have applied it.
pub(super) fn serve(
    prepared: PreparedEndpoint,
    tables: LiveTables,
    events: EventSink,
) -> Result<ServedEndpoint, Error> {
    let PreparedEndpoint { account, state, access, address } = prepared;
    let failed = |error: io::Error| Error::Endpoint(error.to_string());
    let publisher = Publisher { tables: tables.clone() };
    let is_kept = state.is_kept();
    let endpoint = Endpoint::new(Arc::clone(&account), publisher, state, unix_seconds, system_bits);
    let server = access.serve(address, endpoint.map_err(failed)?, &events).map_err(failed)?;
    if !is_kept {
        events.send(Event::StateNotKept);
    }
    Ok(ServedEndpoint { account, tables, events, _server: server })
}

/// Compiles the tables that a change touches, on the endpoint's writer thread.
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
