//! The EC2 endpoint of a run: who listens, what stands for real things, and how changes get to the
//! workers.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc::UnboundedSender;

use super::plan::{self, Plan};
use super::post::Post;
use super::roster::Roster;
use super::state::State;
use crate::cli::clock::{Stopwatch, unix_seconds};
use crate::cli::exit::Failure;
use crate::cli::terminal;
use crate::control::account::{Account, Pins, Quotas};
use crate::control::{CompileOptions, Registry};
use crate::dataplane::MirrorTable;
use crate::ec2::{self, Endpoint, Keep, Publish};
use crate::io::links::Link;
use crate::model::{NetworkInterface, NetworkInterfaceId, parse_target_address};

/// How long a change may take to be in force everywhere.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(5);

/// What is typed about the endpoint.
#[derive(Debug, Args)]
pub(super) struct EndpointFlags {
    /// Serve the EC2 API of traffic mirroring at http://ADDR:PORT, for unmodified clients of AWS.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) ec2_endpoint: Option<SocketAddr>,

    /// With --ec2-endpoint: keep what clients made in this file, over restarts; without it, in memory.
    #[arg(long, value_name = "FILE", requires = "ec2_endpoint")]
    state: Option<PathBuf>,

    /// With --ec2-endpoint: another quota than AWS's: sessions, sessions-per-interface, targets,
    /// filters, rules-per-filter or sources-per-target, as in rules-per-filter=100.
    #[arg(long, value_name = "NAME=N", requires = "ec2_endpoint")]
    quota: Vec<String>,

    /// With --ec2-endpoint: a network interface id, and the device or the address (udp:ADDR) that it
    /// stands for, as in eni-0a1b2c3d4e5f60718=eth0.
    #[arg(long, value_name = "ENI=DEVICE", requires = "ec2_endpoint")]
    network_interface: Vec<String>,

    /// With --ec2-endpoint: the ARN of a network load balancer, and the address that it stands for.
    #[arg(long, value_name = "ARN=ADDR", requires = "ec2_endpoint")]
    load_balancer: Vec<String>,

    /// With --ec2-endpoint: the id of a gateway load balancer endpoint, and its address.
    #[arg(long, value_name = "VPCE=ADDR", requires = "ec2_endpoint")]
    gwlb_endpoint: Vec<String>,
}

/// A plan that came over the API; who is told when it is on its way to the workers.
pub(super) struct Change {
    plan: Plan,
    /// How many devices were known when it was made.
    devices: usize,
    pub(super) on_its_way: SyncSender<Vec<Post>>,
}

/// The account of the endpoint, which its writer changes and others look at.
pub(super) type SharedAccount = Arc<RwLock<Account>>;

/// The devices that were there at some time of the run.
type Devices = Arc<Mutex<BTreeSet<String>>>;

/// The endpoint, as long as it is served.
pub(super) struct Served {
    account: SharedAccount,
    options: CompileOptions,
    devices: Devices,
    _server: ec2::Server,
}

impl Served {
    /// Lists the devices of this host as network interfaces. Where a new one is the source of a
    /// session: what is to be done now.
    pub(super) fn follow(&self, links: &[Link], earlier: &MirrorTable) -> Option<Plan> {
        let mut account = self.account.write().unwrap_or_else(PoisonError::into_inner);
        list_devices(account.registry_mut(), links);
        drop(account);
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let known = devices.len();
        devices.extend(links.iter().map(|link| link.name.clone()));
        (devices.len() > known).then(|| self.plan(&devices, earlier))
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

/// What the endpoint begins with: the account, and where its changes are kept.
pub(super) struct Begun {
    account: SharedAccount,
    state: State,
    devices: BTreeSet<String>,
}

impl Begun {
    /// The first plan.
    pub(super) fn plan(&self, options: &CompileOptions) -> Plan {
        let account = self.account.read().unwrap_or_else(PoisonError::into_inner);
        plan::managed(account.registry(), options, None, &self.devices)
    }
}

/// Takes everything in that the endpoint begins with: files, options, devices, state.
pub(super) fn begin(
    flags: &EndpointFlags,
    mut registry: Registry,
    links: &[Link],
) -> Result<Begun, Failure> {
    for text in &flags.network_interface {
        pin_interface(&mut registry, text)?;
    }
    list_devices(&mut registry, links);
    let mut pins = Pins::new();
    for (option, texts) in
        [("--load-balancer", &flags.load_balancer), ("--gwlb-endpoint", &flags.gwlb_endpoint)]
    {
        pins.extend(pinned(option, texts)?);
    }
    let quotas = quotas(&flags.quota)?;
    // Names that files leave open are drawn once.
    let named = Account::new(registry, quotas, pins.clone(), random).registry().clone();
    let beginning = move || Account::new(named.clone(), quotas, pins.clone(), random);
    let mut state = State::open(flags.state.as_ref(), Box::new(beginning))?;
    let account =
        state.restore().map_err(|error| Failure::failed(format_args!("--state: {error}")))?;
    let devices = links.iter().map(|link| link.name.clone()).collect();
    Ok(Begun { account: Arc::new(RwLock::new(account)), state, devices })
}

/// Serves it; changes go to `changes` and are in force when they are answered.
pub(super) fn serve(
    address: SocketAddr,
    begun: Begun,
    options: CompileOptions,
    roster: Roster,
    changes: UnboundedSender<Change>,
) -> Result<Served, Failure> {
    if !address.ip().is_loopback() {
        return Err(Failure::usage(format_args!(
            "--ec2-endpoint `{address}`: expected a loopback address such as 127.0.0.1:4566: \
             signatures are not verified yet, so nobody else may come in"
        )));
    }
    let failed =
        |error: io::Error| Failure::failed(format_args!("--ec2-endpoint `{address}`: {error}"));
    let Begun { account, state, devices } = begun;
    let devices: Devices = Arc::new(Mutex::new(devices));
    let publisher = Publisher { options, roster, changes, devices: Arc::clone(&devices) };
    let is_lasting = state.is_lasting();
    let endpoint = Endpoint::new(Arc::clone(&account), publisher, state, unix_seconds, random);
    let server = ec2::serve(address, endpoint.map_err(failed)?).map_err(failed)?;
    terminal::note(&format!("EC2 endpoint on http://{}", server.address()));
    terminal::note("without credentials any signature is accepted");
    if !is_lasting {
        terminal::warn("without --state what clients make is kept in memory, and gone at the end");
    }
    Ok(Served { account, options, devices, _server: server })
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
        let posts = posts.recv().map_err(|_| gone())?;
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

/// AWS's quotas but for those that were set.
fn quotas(texts: &[String]) -> Result<Quotas, Failure> {
    let mut quotas = Quotas::default();
    for text in texts {
        let read = text.split_once('=').and_then(|(name, most)| Some((name, most.parse().ok()?)));
        if !read.is_some_and(|(name, most)| quotas.set(name, most)) {
            return Err(Failure::usage(format_args!(
                "--quota `{text}`: expected NAME=N with one of {}",
                Quotas::NAMES.join(", ")
            )));
        }
    }
    Ok(quotas)
}

/// `eni-...=eth0` or `eni-...=udp:192.0.2.10`.
fn pin_interface(registry: &mut Registry, text: &str) -> Result<(), Failure> {
    let wrong = |expected: &str| {
        Failure::usage(format_args!("--network-interface `{text}`: expected {expected}"))
    };
    let (id, what) = text
        .split_once('=')
        .ok_or_else(|| wrong("an id and a device, as in eni-0a1b2c3d4e5f60718=eth0"))?;
    let id = NetworkInterfaceId::new(id).map_err(Failure::usage)?;
    let mut interface = NetworkInterface::new(id);
    match what.strip_prefix("udp:") {
        Some(address) => {
            let address =
                parse_target_address("--network-interface", address).map_err(Failure::usage)?;
            interface.private_ip_addresses.push(address.ip());
        }
        None => interface.device = Some(what.to_owned()),
    }
    registry.add_network_interface(interface).map_err(Failure::usage)
}

/// `NAME=ADDRESS`, where names may have `=` in them.
fn pinned(option: &'static str, texts: &[String]) -> Result<HashMap<String, SocketAddr>, Failure> {
    let pairs = texts.iter().map(|text| {
        let Some((name, address)) = text.rsplit_once('=') else {
            return Err(Failure::usage(format_args!(
                "{option} `{text}`: expected NAME=ADDRESS, as in NAME=192.0.2.10"
            )));
        };
        let address = parse_target_address(option, address).map_err(Failure::usage)?;
        Ok((name.to_owned(), address))
    });
    pairs.collect()
}

/// Every device but loopback is a network interface. What is known of one already stays as it is,
/// but for its Ethernet address, and its IP addresses where nobody gave any.
fn list_devices(registry: &mut Registry, links: &[Link]) {
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let known: HashMap<String, NetworkInterfaceId> = registry
        .network_interfaces()
        .iter()
        .filter_map(|one| Some((one.device.clone()?, one.id().clone())))
        .collect();
    for link in links.iter().filter(|link| !link.is_loopback && link.is_ethernet) {
        let id = known.get(&link.name).cloned().unwrap_or_else(|| {
            let id = device_id(machine.trim(), link);
            let mut interface = NetworkInterface::new(id.clone());
            interface.device = Some(link.name.clone());
            // It may be there under another name: then it keeps that until it is gone.
            let _ = registry.add_network_interface(interface);
            id
        });
        let Some(interface) = registry.network_interface_mut(&id) else { continue };
        interface.mac_address = link.mac;
        let is_listed = id == device_id(machine.trim(), link);
        if is_listed || interface.private_ip_addresses.is_empty() {
            interface.private_ip_addresses.clone_from(&link.addresses);
        }
    }
}

/// `eni-` and 17 hex digits of a hash of machine, name and Ethernet address: the same over restarts.
fn device_id(machine: &str, link: &Link) -> NetworkInterfaceId {
    let mac = link.mac.map(|mac| mac.octets()).unwrap_or_default();
    let bytes = machine.bytes().chain([0]).chain(link.name.bytes()).chain([0]).chain(mac);
    // FNV-1a with 128 bits (draft-eastlake-fnv), which is promised to stay.
    let hash = bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    NetworkInterfaceId::from_seed(hash ^ hash >> 68)
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
