//! What the endpoint begins with: files, options, devices, state.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use super::devices::{list_devices, pin_interface};
use super::flags::EndpointFlags;
use super::{SharedAccount, random};
use crate::cli::exit::Failure;
use crate::cli::run::plan::{self, Plan};
use crate::cli::run::state::State;
use crate::control::account::{Account, Places, Quotas, check_target_name};
use crate::control::{CompileOptions, Registry, with_network_ids};
use crate::ec2::Keep;
use crate::io::links::Link;
use crate::model::{CidrBlock, TargetKind, parse_target_addresses};

/// What the endpoint begins with: the account, and where its changes are kept.
pub(in crate::cli::run) struct Begun {
    pub(super) account: SharedAccount,
    pub(super) state: State,
    pub(super) devices: BTreeSet<String>,
}

impl Begun {
    /// The first plan.
    pub(in crate::cli::run) fn plan(&self, options: &CompileOptions) -> Plan {
        let account = self.account.read().unwrap_or_else(PoisonError::into_inner);
        plan::managed(account.registry(), options, None, &self.devices)
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
    let places = places(flags)?;
    are_allowed(&registry, &places)?;
    let quotas = quotas(&flags.quota)?;
    // Names that files leave open are drawn once.
    let registry = with_network_ids(registry, seed);
    let named = Account::new(registry, quotas, places.clone(), random).registry().clone();
    let beginning = move || Account::new(named.clone(), quotas, places.clone(), random);
    let mut state = State::open(flags.state.as_ref(), Box::new(beginning))?;
    let account =
        state.restore().map_err(|error| Failure::failed(format_args!("--state: {error}")))?;
    let devices = links.iter().map(|link| link.name.clone()).collect();
    Ok(Begun { account: Arc::new(RwLock::new(account)), state, devices })
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

/// Targets of files go where targets of clients may go.
fn are_allowed(registry: &Registry, places: &Places) -> Result<(), Failure> {
    for target in registry.targets() {
        for address in registry.target_addresses(target) {
            places.may_take(address.ip()).map_err(|refused| {
                let (id, why) = (target.id(), refused.message);
                Failure::usage(format_args!("traffic_mirror_target `{id}`: {why}"))
            })?;
        }
    }
    Ok(())
}
