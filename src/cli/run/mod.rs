//! `run`: live interfaces in, copies out over UDP, until a signal.
//!
//! What belongs here: threads, letters between them, reloads, links that come and go. What does
//! not: what becomes of a frame (`dataplane`), how it is captured and sent (`io`).
//!
//! ```text
//! main thread (tokio): signals, links, reload, live line
//!   | letters: table, source, end            ^ boards: counters
//!   v                                        |
//! a worker thread for each ring: RingSource -> Worker::step -> UdpSink
//! ```

mod attach;
mod conflicts;
mod crew;
mod descriptors;
mod endpoint;
mod flags;
mod gauge;
mod hand;
mod herald;
mod live_line;
mod mailbox;
mod namespace;
mod on_this_host;
mod plan;
mod post;
mod rights;
mod ring_budget;
mod roster;
mod routes;
mod source_ledger;
mod state;
mod storm;
mod sync;
mod watch;

use flags::Log;
pub(super) use flags::RunFlags;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc::unbounded_channel;

use super::clock::Stopwatch;
use super::exit::{Exit, Failure};
use super::metrics::{self, Server};
use super::replay::print_report;
use super::report::Report;
use super::sandbox::{RunFiles, report as report_sandbox};
use super::{signals, terminal};
use crate::control::Registry;
use crate::io::StopFlag;
use crate::io::links::links;
use crate::io::sys::capability;

/// Shows what the crew does, from before the first frame on.
fn serve_metrics(address: SocketAddr, crew: &crew::Crew) -> Result<Server, Failure> {
    let roster = crew.roster().clone();
    let server = metrics::serve(address, Arc::new(move || roster.snapshot()));
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
fn enter_sandbox(flags: &RunFlags) -> Result<(), Failure> {
    let ports = [flags.metrics, flags.endpoint.ec2_endpoint];
    let sandbox = flags.sandbox.sandbox_for_run(&RunFiles {
        configs: flags.sessions.files(),
        state: flags.endpoint.state.as_deref(),
        ports: ports.into_iter().flatten().map(|address| address.port()).collect(),
    });
    let Some(sandbox) = sandbox else { return Ok(()) };
    namespace::enter_sandbox(sandbox.clone()).map_err(Failure::failed)?;
    report_sandbox(&sandbox.enter());
    Ok(())
}

/// What the run begins with: by files or the command line, or by what the endpoint makes of these.
fn begin(flags: &RunFlags) -> Result<(plan::Plan, Option<endpoint::Begun>), Failure> {
    if flags.endpoint.ec2_endpoint.is_none() {
        return Ok((plan::plan(flags, None)?, None));
    }
    let registry = match flags.sessions.are_given() {
        true => plan::registry(flags)?,
        false => Registry::default(),
    };
    let links = plan::in_namespace(flags.netns.as_deref(), links).map_err(Failure::failed)?;
    let options = flags.sessions.options();
    let begun = endpoint::begin(&flags.endpoint, registry, &links, options.seed)?;
    let plan = begun.plan(&options);
    Ok((plan, Some(begun)))
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
    let posture = endpoint.map(|address| endpoint::Posture::read(address, &flags.endpoint));
    let door = endpoint.zip(posture.transpose()?);
    let (plan, begun) = begin(flags)?;
    rights::drop_to_what_is_needed(flags.mark());
    enter_sandbox(flags)?;
    let stopwatch = Stopwatch::start();
    let stop = StopFlag::new();
    signals::stop_on_signals(&stop)?;
    let mut crew = crew::Crew::muster(flags, plan, stop.clone())?;
    let metrics = flags.metrics.map(|address| serve_metrics(address, &crew)).transpose()?;
    let (changes, changed) = unbounded_channel();
    let served = match begun.zip(door) {
        Some((begun, door)) => {
            let (options, roster) = (flags.sessions.options(), crew.roster().clone());
            Some(endpoint::serve(door, begun, options, roster, changes)?)
        }
        None => None,
    };
    let watched = watch::watch(flags, &mut crew, served.as_ref(), changed, &stop);
    drop(served);
    drop(metrics);
    let done = crew.dismiss();
    let mut report = Report::new(&done.table, &done.counters, stopwatch.elapsed());
    report.set_unaccounted(done.unaccounted);
    report.add_sent(&done.targets);
    print_report(&report, flags.report)?;
    watched?;
    let is_sound = done.is_whole && done.unaccounted == 0;
    Ok(if is_sound { Exit::Done } else { Exit::Failed })
}
