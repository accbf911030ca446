//! The EC2 endpoint of a run: how it is served, and how changes get to the workers.

mod begin;
mod credentials_file;
mod devices;
mod flags;
mod posture;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub(super) use self::begin::{Begun, begin};
use self::devices::follow_devices;
pub(super) use self::flags::EndpointFlags;
pub(super) use self::posture::Posture;
use self::posture::Serving;
use super::event::Waiting;
use super::live_tables::LiveTables;
use super::receipt::Receipt;
use crate::cli::clock::unix_seconds;
use crate::cli::exit::Failure;
use crate::cli::terminal;
use crate::control::Registry;
use crate::control::account::{Account, Inactive};
use crate::ec2::{Endpoint, Publish, PublishedChange};
use crate::io::links::Link;

/// The account of the endpoint, which its writer changes and others look at.
pub(super) type SharedAccount = Arc<RwLock<Account>>;

/// The links of this host when they were looked at last.
type SharedLinks = Arc<Mutex<Vec<Link>>>;

/// The endpoint, as long as it is served.
pub(super) struct Served {
    account: SharedAccount,
    tables: LiveTables,
    links: SharedLinks,
    _serving: Serving,
}

impl Served {
    /// Lists the devices of this host as network interfaces. Outer sources, and targets that are
    /// network interfaces, have the new addresses then.
    pub(super) fn follow(&self, links: &[Link]) {
        *self.links.lock().unwrap_or_else(PoisonError::into_inner) = links.to_vec();
        let mut account = self.account.write().unwrap_or_else(PoisonError::into_inner);
        let followed = follow_devices(&mut account, links);
        let touched = account.registry_mut().take_touched();
        if !touched.is_empty() || !followed.notes.is_empty() {
            self.tables.follow(account.registry(), touched, followed.notes);
        }
        drop(account);
        warn_of_inactive(&followed.inactive);
    }
}

/// Serves it; changes are in force when they are answered.
pub(super) fn serve(
    (address, posture): (SocketAddr, Posture),
    begun: Begun,
    tables: LiveTables,
) -> Result<Served, Failure> {
    let failed =
        |error: io::Error| Failure::failed(format_args!("--ec2-endpoint `{address}`: {error}"));
    let Begun { account, state, links } = begun;
    let publisher = Publisher { tables: tables.clone() };
    let is_lasting = state.is_lasting();
    let endpoint = Endpoint::new(Arc::clone(&account), publisher, state, unix_seconds, random);
    let serving = posture.serve(address, endpoint.map_err(failed)?).map_err(failed)?;
    if !is_lasting {
        terminal::warn("without --state what clients make is kept in memory, and gone at the end");
    }
    Ok(Served { account, tables, links, _serving: serving })
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
            Waiting { touched, needs_capture, receipt }
        });
        let waiting = waiting.collect();
        self.tables.update(registry, touched, waiting);
    }
}

/// Says which sessions are inactive because of their targets.
fn warn_of_inactive(inactive: &[Inactive]) {
    for Inactive { target, sessions, why } in inactive {
        let sessions: Vec<String> = sessions.iter().map(ToString::to_string).collect();
        let sessions = match &*sessions {
            [] => "it has no session".to_owned(),
            some => format!("inactive until it has another address: {}", some.join(", ")),
        };
        terminal::warn(&format!("target {target}: {why} {sessions}"));
    }
}

/// From the kernel. Where it has none, which is never so once a host has started, the time: what is
/// drawn twice is refused then.
fn random() -> u128 {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u128::from_ne_bytes(bytes),
        Err(_) => {
            u128::from(unix_seconds()).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        }
    }
}
