//! The EC2 endpoint of a run: how it is served, and how changes get to the workers.

mod begin;
mod credentials_file;
mod devices;
mod flags;
mod posture;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

pub(super) use self::begin::{Begun, begin};
use self::devices::follow_devices;
pub(super) use self::flags::EndpointFlags;
pub(super) use self::posture::Posture;
use self::posture::Serving;
use super::plan::{self, Plan};
use super::post::Post;
use super::roster::Roster;
use crate::cli::clock::{Stopwatch, unix_seconds};
use crate::cli::exit::Failure;
use crate::cli::terminal;
use crate::control::account::{Account, Inactive};
use crate::control::{CompileOptions, Registry};
use crate::dataplane::MirrorTable;
use crate::ec2::{Endpoint, Publish};
use crate::io::links::Link;

/// How long a change may take to be in force everywhere.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(5);

/// A plan that came over the API; who is told when it is on its way to the workers.
pub(super) struct Change {
    plan: Plan,
    /// How many devices were known when it was made.
    devices: usize,
    pub(super) on_its_way: SyncSender<io::Result<Vec<Post>>>,
}

/// The account of the endpoint, which its writer changes and others look at.
pub(super) type SharedAccount = Arc<RwLock<Account>>;

/// The devices that were there at some time of the run.
type Devices = Arc<Mutex<BTreeSet<String>>>;

/// The links of this host when they were looked at last.
type SharedLinks = Arc<Mutex<Vec<Link>>>;

/// The endpoint, as long as it is served.
pub(super) struct Served {
    account: SharedAccount,
    options: CompileOptions,
    devices: Devices,
    links: SharedLinks,
    _serving: Serving,
}

impl Served {
    /// Lists the devices of this host as network interfaces. Where there is a new one, or one has
    /// other addresses: the plan that follows. Outer sources, and targets that are network
    /// interfaces, have the new addresses then.
    pub(super) fn follow(&self, links: &[Link], earlier: &MirrorTable) -> Option<Plan> {
        let mut account = self.account.write().unwrap_or_else(PoisonError::into_inner);
        let followed = follow_devices(&mut account, links);
        *self.links.lock().unwrap_or_else(PoisonError::into_inner) = links.to_vec();
        drop(account);
        followed.notes.iter().for_each(|note| terminal::note(note));
        warn_of_inactive(&followed.inactive);
        let has_changed = !followed.notes.is_empty() || !followed.inactive.is_empty();
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let known = devices.len();
        devices.extend(links.iter().map(|link| link.name.clone()));
        (devices.len() > known || has_changed).then(|| self.plan(&devices, earlier))
    }

    /// What a change comes to: its own plan, or a new one where a device came meanwhile.
    pub(super) fn plan_of(&self, change: Change, earlier: &MirrorTable) -> Plan {
        let devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        if devices.len() == change.devices { change.plan } else { self.plan(&devices, earlier) }
    }

    fn plan(&self, devices: &BTreeSet<String>, earlier: &MirrorTable) -> Plan {
        let account = self.account.read().unwrap_or_else(PoisonError::into_inner);
        plan::managed(account.registry(), &self.options, Some(earlier), devices)
    }
}

/// Serves it; changes go to `changes` and are in force when they are answered.
pub(super) fn serve(
    (address, posture): (SocketAddr, Posture),
    begun: Begun,
    options: CompileOptions,
    roster: Roster,
    changes: UnboundedSender<Change>,
) -> Result<Served, Failure> {
    let failed =
        |error: io::Error| Failure::failed(format_args!("--ec2-endpoint `{address}`: {error}"));
    let Begun { account, state, devices, links } = begun;
    let devices: Devices = Arc::new(Mutex::new(devices));
    let publisher = Publisher { options, roster, changes, devices: Arc::clone(&devices) };
    let is_lasting = state.is_lasting();
    let endpoint = Endpoint::new(Arc::clone(&account), publisher, state, unix_seconds, random);
    let serving = posture.serve(address, endpoint.map_err(failed)?).map_err(failed)?;
    if !is_lasting {
        terminal::warn("without --state what clients make is kept in memory, and gone at the end");
    }
    Ok(Served { account, options, devices, links, _serving: serving })
}

/// Compiles on the thread of the API, and waits until the workers go by the table.
struct Publisher {
    options: CompileOptions,
    roster: Roster,
    changes: UnboundedSender<Change>,
    devices: Devices,
}

impl Publish for Publisher {
    type Compiled = (Plan, usize);

    fn compile(&mut self, registry: &Registry) -> (Plan, usize) {
        let devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let plan = plan::managed(registry, &self.options, Some(&self.roster.table()), &devices);
        (plan, devices.len())
    }

    fn publish(&mut self, (plan, devices): (Plan, usize)) -> io::Result<()> {
        let (on_its_way, posts) = sync_channel(1);
        let gone = || io::Error::other("the run is ending");
        self.changes.send(Change { plan, devices, on_its_way }).map_err(|_| gone())?;
        let posts = posts.recv().map_err(|_| gone())??;
        let patience = Stopwatch::start();
        while !posts.iter().all(Post::is_up_to_date) {
            if patience.elapsed() > IN_FORCE_WITHIN {
                return Err(io::Error::other("a worker has not taken the change"));
            }
            thread::park_timeout(Duration::from_micros(50));
        }
        Ok(())
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
