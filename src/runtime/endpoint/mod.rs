//! The EC2 endpoint of live mirroring: how it is served, and how changes reach the workers.
//!
//! What belongs here: the account with the devices of this host, its state file, and the answer to
//! a change when it is in force. What does not: the protocol (`ec2`) and AWS's rules
//! (`control::account`).

mod access;
mod credentials_file;
mod devices;
mod prepare;
mod state;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub use self::access::AccessOptions;
use self::access::EndpointServer;
use self::devices::update_devices;
pub use self::prepare::{EndpointOptions, PreparedEndpoint};
use super::error::Error;
use super::event::{Event, EventSink};
use super::live_tables::{LiveTables, WaitingChange};
use super::receipt::Receipt;
use crate::control::Registry;
use crate::control::account::{Account, InactiveTarget};
use crate::ec2::{Endpoint, Publish, PublishedChange};
use crate::io::clock::unix_seconds;
use crate::io::links::Link;
use crate::model::NetworkInterfaceId;

/// The account of the endpoint: its writer changes it, others read it.
type SharedAccount = Arc<RwLock<Account>>;

/// The links of this host when they were read last.
type SharedLinks = Arc<Mutex<Vec<Link>>>;

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

/// Reports which sessions are inactive because of their targets.
fn report_inactive(inactive: &[InactiveTarget], events: &EventSink) {
    for InactiveTarget { target, sessions, why } in inactive {
        events.send(Event::TargetInactive {
            target: target.to_string(),
            reason: why.to_string(),
            sessions: sessions.iter().map(ToString::to_string).collect(),
        });
    }
}

/// Random bits from the kernel. Where it has none, which does not happen once a host has started,
/// the time: an id that is drawn twice is refused then.
fn random() -> u128 {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u128::from_ne_bytes(bytes),
        Err(_) => {
            u128::from(unix_seconds()).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        }
    }
}
