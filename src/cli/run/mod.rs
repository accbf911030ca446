//! `run`: mirrors live interfaces to UDP targets until a signal.
//!
//! What belongs here: conversion of flags to options and of events to messages, signals, privileges
//! and the sandbox. What does not: live mirroring itself (`runtime`).

mod access;
mod conflicts;
mod endpoint_flags;
mod endpoint_options;
mod events;
mod flags;
mod host_checks;
mod live_line;
mod plan;
mod privileges;
mod signal_loop;
mod systemd;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Notify;

pub(super) use endpoint_flags::parse_account_id;
use endpoint_options::{EndpointSetup, add_network_interface};
use flags::LogFormat;
pub(super) use flags::RunFlags;
use signal_loop::{Mirroring, ReloadSignal};

use super::exit::{Exit, Failure};
use super::replay::print_report;
use super::report_table::delivery_errors;
use super::sandbox::{RunFiles, report_unenforced};
use super::{signals, terminal};
use crate::control::Registry;
use crate::io::StopFlag;
use crate::io::clock::Stopwatch;
use crate::io::links::links;
use crate::io::sandbox::KernelTier;
use crate::io::sys::capability;
use crate::report::MirrorReport;
use crate::runtime::endpoint::PreparedEndpoint;
use crate::runtime::{
    Error, EventSink, InterfaceNamespace, LiveMirror, Options, Resources, Summary,
};

pub(super) fn run(flags: &RunFlags) -> Result<Exit, Failure> {
    if flags.log == LogFormat::Json {
        terminal::log_as_json();
    }
    // A wrong command line is reported first, then missing privileges.
    flags.check_complete()?;
    host_checks::check(flags)?;
    conflicts::check(flags)?;
    let hosts = flags.host_names()?;
    let endpoint = EndpointSetup::new(&flags.endpoint, flags.sessions.targets(), &hosts)?;
    if !capability::has_net_raw() {
        return Err(Failure::failed(
            "missing the capability CAP_NET_RAW, which capturing needs: use `sudo`, or \
             `setcap cap_net_raw+ep` on the program",
        ));
    }
    let reload = ReloadSignal::install()?;
    let namespace = match &flags.netns {
        Some(name) => {
            InterfaceNamespace::enter(name, || privileges::drop_in_namespace(KernelTier::Denied))
        }
        None => Ok(InterfaceNamespace::default()),
    };
    let namespace = namespace.map_err(Failure::failed)?;
    terminal::log_times();
    let broken = Arc::new(Notify::new());
    let events = events::printer(Arc::clone(&broken));
    let resources = match endpoint {
        Some(endpoint) => endpoint_resources(flags, &namespace, endpoint, &events)?,
        None => plan::read_registry(flags, &namespace, &BTreeSet::new())
            .map(|registry| Resources::Registry(Box::new(registry)))?,
    };
    let devices = match &resources {
        Resources::Registry(registry) => plan::devices(registry),
        Resources::Endpoint(_) => BTreeSet::new(),
    };
    let options = flags.options(namespace.clone(), hosts);
    privileges::drop_unneeded(flags.mark(), kernel_tier_of(&options));
    enter_sandbox(flags, &options, &resources)?;
    let stopwatch = Stopwatch::start();
    let stop = StopFlag::new();
    signals::stop_on_signals(&stop)?;
    let started = LiveMirror::start(&options, resources, events, stop.clone());
    let mirror = started.map_err(|error| failure(flags, error))?;
    let mirroring =
        Mirroring { flags, mirror: &mirror, namespace: &namespace, stop: &stop, broken, devices };
    let stopped = reload.until_stopped(mirroring);
    let summary = mirror.stop();
    terminal::clear_updated_line();
    print_report(&report(flags, &summary, stopwatch), flags.report)?;
    let succeeded = stopped? && summary.is_complete && summary.unaccounted == 0;
    Ok(if succeeded { Exit::Done } else { Exit::Failed })
}

/// The endpoint, with the resources of files or the command line.
fn endpoint_resources(
    flags: &RunFlags,
    namespace: &InterfaceNamespace,
    endpoint: EndpointSetup,
    events: &EventSink,
) -> Result<Resources, Failure> {
    let links = namespace.run(links).map_err(Failure::failed)?;
    let mut registry = match flags.sessions.has_sessions() {
        true => plan::registry(flags)?,
        false => Registry::default(),
    };
    for interface in endpoint.network_interfaces {
        add_network_interface(&mut registry, interface)?;
    }
    plan::check_endpoint_devices(&registry, &links)?;
    let seed = flags.sessions.options().seed;
    let prepared = PreparedEndpoint::new(endpoint.options, registry, &links, seed, events);
    let prepared = prepared.map_err(|error| failure(flags, error))?;
    Ok(Resources::Endpoint(Box::new(prepared)))
}

/// Restricts this thread, and threads that start later, to the files and ports that the run needs.
fn enter_sandbox(
    flags: &RunFlags,
    options: &Options,
    resources: &Resources,
) -> Result<(), Failure> {
    let endpoint = match resources {
        Resources::Endpoint(prepared) => Some(prepared),
        Resources::Registry(_) => None,
    };
    let ports = [flags.metrics, flags.endpoint.ec2_endpoint];
    let sandbox = flags.sandbox.sandbox_for_run(&RunFiles {
        configs: &flags.sessions.files(),
        state: flags.endpoint.state.as_deref(),
        credentials_directory: endpoint.and_then(|one| one.credentials_directory()),
        temporary_directory: endpoint.and_then(|one| one.temporary_directory()),
        kernel_tier: kernel_tier_of(options),
        ports: ports.into_iter().flatten().map(|address| address.port()).collect(),
    });
    let Some(sandbox) = sandbox else { return Ok(()) };
    options.namespace.enter_sandbox(sandbox.clone()).map_err(Failure::failed)?;
    report_unenforced(&sandbox.enter());
    Ok(())
}

/// Adds the name of the option to an error of live mirroring.
fn failure(flags: &RunFlags, error: Error) -> Failure {
    match error {
        Error::InvalidValue(sentence) => Failure::usage(sentence),
        Error::RingMemory { sentence, fitting } => {
            let advice = match fitting {
                Some(fitting) => format!("--ring-size {fitting} would fit"),
                None => "mirror fewer interfaces or use fewer --workers".to_owned(),
            };
            Failure::usage(format_args!("--ring-size {}: {sentence}; {advice}", flags.ring_size))
        }
        Error::Tier { sentence, is_invalid: true } => {
            Failure::usage(format_args!("--tier kernel: {sentence}"))
        }
        Error::Tier { sentence, is_invalid: false } => {
            Failure::failed(format_args!("--tier kernel: {sentence}"))
        }
        Error::Metrics(sentence) => match flags.metrics {
            Some(address) => Failure::failed(format_args!("--metrics `{address}`: {sentence}")),
            None => Failure::failed(sentence),
        },
        Error::Endpoint(sentence) => match flags.endpoint.ec2_endpoint {
            Some(address) => {
                Failure::failed(format_args!("--ec2-endpoint `{address}`: {sentence}"))
            }
            None => Failure::failed(sentence),
        },
        Error::State { path, reason, is_invalid } => {
            let path = path.map(|path| format!(" `{}`", path.display())).unwrap_or_default();
            let sentence = format!("--state{path}: {reason}");
            if is_invalid { Failure::usage(sentence) } else { Failure::failed(sentence) }
        }
        Error::Failed(sentence) => Failure::failed(sentence),
    }
}

fn report(flags: &RunFlags, summary: &Summary, stopwatch: Stopwatch) -> MirrorReport {
    let interfaces = summary.interfaces.iter().map(|(table, counters)| (&**table, counters));
    let mut report =
        MirrorReport::from_interfaces(interfaces, &summary.retired, stopwatch.elapsed());
    report.set_unaccounted(summary.unaccounted);
    report.add_delivery_errors(summary.targets.iter().map(delivery_errors));
    report.set_impaired(flags.impair.impairments().map(|_| summary.impaired));
    report
}

/// Whether a run with these options may use the kernel tier.
fn kernel_tier_of(options: &Options) -> KernelTier {
    if options.may_use_kernel_tier() { KernelTier::Allowed } else { KernelTier::Denied }
}
