//! `run`: live interfaces in, copies out over UDP, until a signal.
//!
//! What belongs here: threads, commands to them, reloads, devices that come and go. What does not:
//! the processing of a frame (`dataplane`), and how it is captured and sent (`io`).
//!
//! ```text
//! endpoint's writer, reload, background compilation
//!   | LiveTables: compiles the tables of the interfaces that a change touches
//!   v events
//! main thread (tokio), Supervisor: signals, devices, reload, live line
//!   | commands: table, source, end           ^ status: counters
//!   v                                        |
//! a worker thread for each ring: RingSource -> Worker::step -> UdpSink
//! ```

mod attach;
mod command;
mod conflicts;
mod descriptors;
mod endpoint;
mod event;
mod flags;
mod gauge;
mod herald;
mod interface_workers;
mod live_line;
mod live_tables;
mod mailbox;
mod namespace;
mod on_this_host;
mod plan;
mod receipt;
mod rights;
mod ring_budget;
mod routes;
mod shared_guard;
mod source_ledger;
mod state;
mod storm;
mod supervisor;
mod sync;
mod task_pool;
mod totals;
mod watch;
mod worker_registry;
mod worker_starter;
mod worker_thread;

use endpoint::Posture;
use flags::Log;
pub(super) use flags::RunFlags;
use live_tables::LiveTables;
use supervisor::Supervisor;
use watch::Run;
use worker_registry::WorkerRegistry;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc::unbounded_channel;

use super::clock::Stopwatch;
use super::exit::{Exit, Failure};
use super::metrics;
use super::replay::print_report;
use super::report::Report;
use super::sandbox::{RunFiles, report as report_sandbox};
use super::{signals, terminal};
use crate::control::Registry;
use crate::http::{HostNames, Server};
use crate::io::StopFlag;
use crate::io::links::{Link, links};
use crate::io::sys::capability;

/// Serves the metrics, from before the first frame on.
fn serve_metrics(
    address: SocketAddr,
    registry: WorkerRegistry,
    hosts: HostNames,
) -> Result<Server, Failure> {
    let server = metrics::serve(address, Arc::new(move || registry.snapshot()), hosts);
    let server =
        server.map_err(|error| Failure::failed(format_args!("--metrics `{address}`: {error}")))?;
    terminal::note(&format!("metrics on http://{}/metrics", server.address()));
    if !server.address().ip().to_canonical().is_loopback() {
        terminal::warn(&format!(
            "--metrics `{address}`: this is not a loopback address: every host that reaches it can \
             read the names of interfaces, sessions and targets and their counters"
        ));
    }
    Ok(server)
}

/// Leaves this thread, and those that start from now on, only what the run needs.
fn enter_sandbox(flags: &RunFlags, credentials_directory: Option<&Path>) -> Result<(), Failure> {
    let ports = [flags.metrics, flags.endpoint.ec2_endpoint];
    let sandbox = flags.sandbox.sandbox_for_run(&RunFiles {
        configs: flags.sessions.files(),
        state: flags.endpoint.state.as_deref(),
        credentials_directory,
        ports: ports.into_iter().flatten().map(|address| address.port()).collect(),
    });
    let Some(sandbox) = sandbox else { return Ok(()) };
    namespace::enter_sandbox(sandbox.clone()).map_err(Failure::failed)?;
    report_sandbox(&sandbox.enter());
    Ok(())
}

/// What the run begins with.
enum Begun {
    /// The resources of files or the command line.
    Files(Box<Registry>),
    /// What the endpoint makes of these.
    Endpoint(endpoint::Begun),
}

fn begin(flags: &RunFlags, links: &[Link]) -> Result<Begun, Failure> {
    if flags.endpoint.ec2_endpoint.is_none() {
        return plan::read(flags).map(Box::new).map(Begun::Files);
    }
    let registry = match flags.sessions.are_given() {
        true => plan::registry(flags)?,
        false => Registry::default(),
    };
    let seed = flags.sessions.options().seed;
    endpoint::begin(&flags.endpoint, registry, links, seed).map(Begun::Endpoint)
}

pub(super) fn run(flags: &RunFlags) -> Result<Exit, Failure> {
    if flags.log == Log::Json {
        terminal::speak_json();
    }
    if !capability::has_net_raw() {
        return Err(Failure::failed(
            "no right to capture: this needs the capability CAP_NET_RAW, as root has it \
             (`sudo`, or `setcap cap_net_raw+ep` on the program)",
        ));
    }
    on_this_host::check(flags)?;
    flags.is_complete()?;
    conflicts::check(flags)?;
    let endpoint = flags.endpoint.ec2_endpoint;
    let hosts = flags.host_names()?;
    let posture = endpoint.map(|address| Posture::read(address, &flags.endpoint, hosts.clone()));
    let door = endpoint.zip(posture.transpose()?);
    let links = plan::in_namespace(flags.netns.as_deref(), links).map_err(Failure::failed)?;
    let begun = begin(flags, &links)?;
    rights::drop_to_what_is_needed(flags.mark());
    let posture = door.as_ref().map(|(_, posture)| posture);
    enter_sandbox(flags, posture.and_then(Posture::credentials_directory))?;
    let stopwatch = Stopwatch::start();
    let stop = StopFlag::new();
    signals::stop_on_signals(&stop)?;
    let (sender, mut events) = unbounded_channel();
    let tables = LiveTables::new(flags.sessions.options(), sender.clone());
    let mut supervisor = Supervisor::new(flags, tables.clone(), sender, stop.clone())?;
    let registry = supervisor.registry().clone();
    let metrics =
        flags.metrics.map(|address| serve_metrics(address, registry, hosts)).transpose()?;
    match &begun {
        Begun::Files(registry) => tables.replace(registry),
        Begun::Endpoint(begun) => begun.publish(&tables),
    }
    supervisor.start(&links, &mut events)?;
    let served = match (begun, door) {
        (Begun::Endpoint(begun), Some(door)) => Some(endpoint::serve(door, begun, tables.clone())?),
        _ => None,
    };
    let run = Run { flags, served: served.as_ref(), tables: &tables, stop: &stop };
    let watched = watch::watch(&run, &mut supervisor, &mut events);
    drop(served);
    drop(metrics);
    let results = supervisor.shut_down(&mut events);
    let interfaces = results.interfaces.iter().map(|(table, counters)| (&**table, counters));
    let mut report = Report::of_interfaces(interfaces, &results.retired, stopwatch.elapsed());
    report.set_unaccounted(results.unaccounted);
    report.add_sent(&results.targets);
    print_report(&report, flags.report)?;
    watched?;
    let is_sound = results.is_whole && results.unaccounted == 0;
    Ok(if is_sound { Exit::Done } else { Exit::Failed })
}
