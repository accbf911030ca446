//! What the endpoint begins with: files, options, devices, state.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::devices::{follow_devices, list_devices, pin_interface};
use super::flags::EndpointFlags;
use super::{SharedAccount, SharedLinks, random, warn_of_inactive};
use crate::cli::exit::Failure;
use crate::cli::run::live_tables::LiveTables;
use crate::cli::run::state::State;
use crate::cli::terminal;
use crate::control::account::{Account, NamedBy, Places, Quotas, check_target_name};
use crate::control::{Registry, with_network_ids};
use crate::ec2::Keep;
use crate::io::links::Link;
use crate::model::{CidrBlock, TargetKind, parse_target_addresses};

/// What the endpoint begins with: the account, and where its changes are kept.
pub(in crate::cli::run) struct Begun {
    pub(super) account: SharedAccount,
    pub(super) state: State,
    pub(super) links: SharedLinks,
}

impl Begun {
    /// Puts what is there at the start in force.
    pub(in crate::cli::run) fn publish(&self, tables: &LiveTables) {
        let mut account = self.account.write().unwrap_or_else(PoisonError::into_inner);
        account.registry_mut().take_touched();
        tables.replace(account.registry());
    }
}

/// Takes everything in that the endpoint begins with: files, options, devices, state.
pub(in crate::cli::run) fn begin(
    flags: &EndpointFlags,
    mut registry: Registry,
    links: &[Link],
    seed: u64,
) -> Result<Begun, Failure> {
    for text in &flags.network_interface {
        pin_interface(&mut registry, text)?;
    }
    list_devices(&mut registry, links);
    let mut places = places(flags)?;
    places.set_broadcasts(links.iter().flat_map(|link| link.broadcasts.clone()).collect());
    are_allowed(&registry, &places)?;
    let quotas = quotas(&flags.quota)?;
    // Names that files leave open are drawn once.
    let registry = with_network_ids(registry, seed);
    let owner = flags.account_id.clone();
    let named = Account::new(registry, quotas, places.clone(), random).registry().clone();
    let links: SharedLinks = Arc::new(Mutex::new(links.to_vec()));
    let latest = Arc::clone(&links);
    let rebuild = move |records| {
        let links = latest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut account = Account::owned_by(&owner, named.clone(), quotas, places.clone(), random);
        // Targets of the state may need the addresses of devices.
        follow_devices(&mut account, &links);
        account.restore(records)?;
        follow_devices(&mut account, &links);
        Ok(account)
    };
    let mut state = State::open(flags.state.as_ref(), Box::new(rebuild))?;
    let account =
        state.restore().map_err(|error| Failure::failed(format_args!("--state: {error}")))?;
    copies_leave(&account)?;
    warn_of_inactive(&account.inactive());
    Ok(Begun { account: Arc::new(RwLock::new(account)), state, links })
}

/// AWS's quotas but for those that were set.
fn quotas(texts: &[String]) -> Result<Quotas, Failure> {
    let mut quotas = Quotas::default();
    let mut names = BTreeSet::new();
    for text in texts {
        let read = text.split_once('=').and_then(|(name, most)| Some((name, most.parse().ok()?)));
        if let Some((name, _)) = read
            && !names.insert(name)
        {
            return Err(Failure::usage(format_args!("--quota `{text}`: expected {name} once")));
        }
        if !read.is_some_and(|(name, most)| quotas.set(name, most)) {
            return Err(Failure::usage(format_args!(
                "--quota `{text}`: expected NAME=N with one of {}",
                Quotas::NAMES.join(", ")
            )));
        }
    }
    Ok(quotas)
}

/// What names of targets stand for, and where copies may go.
fn places(flags: &EndpointFlags) -> Result<Places, Failure> {
    let mut places = Places::default();
    for text in &flags.load_balancer {
        pin(&mut places, ("--load-balancer", text), TargetKind::NetworkLoadBalancer)?;
    }
    for text in &flags.gwlb_endpoint {
        pin(&mut places, ("--gwlb-endpoint", text), TargetKind::GatewayLoadBalancerEndpoint)?;
    }
    for text in &flags.allow_target {
        let (block, has_host_bits) =
            CidrBlock::parse("--allow-target", text).map_err(Failure::usage)?;
        if has_host_bits {
            return Err(Failure::usage(format_args!(
                "--allow-target `{text}`: expected a network without host bits, such as {block}"
            )));
        }
        places.allow(block);
    }
    Ok(places)
}

/// `NAME=ADDRESS,ADDRESS`, where names may have `=` in them.
fn pin(
    places: &mut Places,
    (option, text): (&'static str, &str),
    kind: impl FnOnce(String) -> TargetKind,
) -> Result<(), Failure> {
    let Some((name, addresses)) = text.rsplit_once('=') else {
        return Err(Failure::usage(format_args!(
            "{option} `{text}`: expected NAME=ADDRESS, as in NAME=192.0.2.10"
        )));
    };
    let kind = kind(name.to_owned());
    check_target_name(&kind).map_err(|refused| {
        Failure::usage(format_args!("{option} `{text}`: {}", refused.message))
    })?;
    let addresses = parse_target_addresses(option, addresses, &kind).map_err(Failure::usage)?;
    if places.is_pinned(name) {
        return Err(Failure::usage(format_args!(
            "{option} `{text}`: expected {name} once, with all its addresses behind `=`"
        )));
    }
    places.pin(name.to_owned(), addresses);
    Ok(())
}

/// Refuses sessions of files whose copies would come back to their source, and warns of those of
/// the state, which were accepted before.
fn copies_leave(account: &Account) -> Result<(), Failure> {
    for session in account.registry().sessions() {
        let Err(why) = account.copies_leave(session) else { continue };
        let id = session.id.as_ref().map(ToString::to_string).unwrap_or_default();
        let sentence = format!("traffic_mirror_session `{id}`: {}", why.message);
        let entry = session.id.as_ref().and_then(|id| account.sessions().get(id));
        if entry.is_some_and(|entry| entry.is_of_file) {
            return Err(Failure::usage(sentence));
        }
        terminal::warn(&sentence);
    }
    Ok(())
}

/// Targets of files go where targets of clients may go.
fn are_allowed(registry: &Registry, places: &Places) -> Result<(), Failure> {
    for target in registry.targets() {
        for address in registry.target_addresses(target) {
            places.check_target(address.ip(), NamedBy::User).map_err(|refused| {
                let (id, why) = (target.id(), refused.message);
                Failure::usage(format_args!("traffic_mirror_target `{id}`: {why}"))
            })?;
        }
    }
    Ok(())
}
