//! The main thread of a run: waits for signals, events, and changes of the devices.

use std::collections::BTreeSet;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

use super::endpoint::Served;
use super::event::Event;
use super::flags::RunFlags;
use super::herald;
use super::live_line::LiveLine;
use super::live_tables::LiveTables;
use super::plan::{self, in_namespace};
use super::supervisor::Supervisor;
use crate::cli::clock::Stopwatch;
use crate::cli::exit::Failure;
use crate::cli::metrics::Snapshot;
use crate::cli::terminal;
use crate::io::StopFlag;
use crate::io::links::{LinkWatch, links};
use crate::io::udp::{Egress, TargetHealth};

/// How long the thread that hears of links listens before it looks whether anybody wants to know.
const LISTEN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Time between two compilations of all rules in the background. Each of them sends tables to workers
/// once more, so a series of changes is compiled together.
const SETTLE_INTERVAL: Duration = Duration::from_millis(250);

/// What the main thread works with besides the supervisor.
pub(super) struct Run<'a> {
    pub(super) flags: &'a RunFlags,
    pub(super) served: Option<&'a Served>,
    pub(super) tables: &'a LiveTables,
    pub(super) stop: &'a StopFlag,
}

/// Returns at the first SIGINT or SIGTERM, also one that came before: the stop flag is set by it.
pub(super) fn watch(
    run: &Run<'_>,
    supervisor: &mut Supervisor,
    events: &mut UnboundedReceiver<Event>,
) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.map_err(Failure::failed)?;
    let ended = runtime.block_on(until_signal(run, supervisor, events)).map_err(Failure::failed);
    // Tables that are being compiled are not waited for.
    runtime.shutdown_background();
    ended
}

async fn until_signal(
    run: &Run<'_>,
    supervisor: &mut Supervisor,
    events: &mut UnboundedReceiver<Event>,
) -> io::Result<()> {
    // These streams wake the loop. What a signal means is decided by the handlers that set `stop`.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let news = hear_links(run.flags)?;
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    follow(run, supervisor);
    herald::ready();
    let mut settling = Background::default();
    let mut settled = Stopwatch::start();
    let mut look = Background::default();
    let mut status = StatusLine::new(supervisor);
    while !run.stop.is_set() {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hang_up.recv() => reload(run, supervisor),
            Some(event) = events.recv() => {
                supervisor.apply(event);
                if settled.elapsed() >= SETTLE_INTERVAL {
                    settling.begin(|| run.tables.settle());
                }
            }
            tables = settling.done() => {
                if let Some(tables) = tables {
                    run.tables.adopt(tables);
                }
                settled = Stopwatch::start();
            }
            () = news.notified() => follow(run, supervisor),
            _ = second.tick() => {
                settling.begin(|| run.tables.settle());
                supervisor.check();
                if supervisor.has_lost_a_worker() {
                    return Err(io::Error::other("a worker thread ended early; this is a fault of ours"));
                }
                look.begin(|| Some(look_at(supervisor, run.tables)));
            }
            seen = look.done() => {
                if let Some(seen) = seen {
                    status.show(&seen, supervisor);
                }
            }
        }
    }
    herald::stopping();
    Ok(())
}

/// Work on another thread, one at a time.
struct Background<T> {
    work: Option<JoinHandle<T>>,
}

impl<T> Default for Background<T> {
    fn default() -> Self {
        Self { work: None }
    }
}

impl<T: Send + 'static> Background<T> {
    /// Begins what `work` returns, unless some is going on.
    fn begin<F: FnOnce() -> T + Send + 'static>(&mut self, work: impl FnOnce() -> Option<F>) {
        if self.work.is_none() {
            self.work = work().map(spawn_blocking);
        }
    }

    /// Waits for it; for ever where there is none.
    async fn done(&mut self) -> Option<T> {
        let Some(work) = &mut self.work else { return pending().await };
        let result = work.await;
        self.work = None;
        result.ok()
    }
}

/// What is read of the run once a second.
struct Seen {
    snapshot: Snapshot,
    tunnels: BTreeSet<(SocketAddr, String)>,
}

/// Reads the status of all workers and resolves the routes to new targets.
fn look_at(supervisor: &Supervisor, tables: &LiveTables) -> impl FnOnce() -> Seen + use<> {
    let (registry, egress) = (supervisor.registry().clone(), Arc::clone(supervisor.egress()));
    let tables = tables.clone();
    move || {
        egress.prepare(tables.in_order().iter().map(|(_, one)| &*one.table));
        let tunnels = tunnels(&egress);
        Seen { snapshot: registry.snapshot(), tunnels }
    }
}

fn tunnels(egress: &Egress) -> BTreeSet<(SocketAddr, String)> {
    egress.tunnels().into_iter().collect()
}

/// What is shown of the run once a second.
struct StatusLine {
    line: LiveLine,
    health: TargetHealth,
    running: Stopwatch,
    /// The tunnels that copies leave through, as far as they were reported.
    tunnels: BTreeSet<(SocketAddr, String)>,
}

impl StatusLine {
    fn new(supervisor: &Supervisor) -> Self {
        let mut status = Self {
            line: LiveLine::new(),
            health: TargetHealth::default(),
            running: Stopwatch::start(),
            tunnels: BTreeSet::new(),
        };
        status.report_tunnels(tunnels(supervisor.egress()), supervisor);
        status
    }

    fn show(&mut self, seen: &Seen, supervisor: &Supervisor) {
        self.report_targets(&seen.snapshot);
        self.report_tunnels(seen.tunnels.clone(), supervisor);
        herald::alive(&self.line.show(seen.snapshot.sum(), &self.health));
    }

    /// Warns where a target has come to be reached through a tunnel, whose packets may leave by an
    /// interface that is mirrored.
    fn report_tunnels(&mut self, now: BTreeSet<(SocketAddr, String)>, supervisor: &Supervisor) {
        for (address, device) in now.difference(&self.tunnels) {
            terminal::warn(&format!(
                "copies to {address} leave through the tunnel {device}: if its packets leave by a \
                 mirrored interface ({}), every copy is mirrored again",
                supervisor.devices().join(", ")
            ));
        }
        self.tunnels = now;
    }

    /// Says which targets began to refuse copies, and which accept them again.
    fn report_targets(&mut self, snapshot: &Snapshot) {
        let reports = snapshot.workers.iter().flat_map(|worker| &worker.targets);
        let reports: Vec<_> = reports.copied().collect();
        let now_ns = u64::try_from(self.running.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let changes = self.health.observe(&reports, now_ns);
        changes.iter().for_each(|change| terminal::warn(change));
    }
}

/// A thread that hears of links that come, go or change, and says that there is news.
fn hear_links(flags: &RunFlags) -> io::Result<Arc<Notify>> {
    // The watch first, and the list of links then: no change between them is missed.
    let mut watch = in_namespace(flags.netns.as_deref(), LinkWatch::open)?;
    let news = Arc::new(Notify::new());
    let told = Arc::downgrade(&news);
    let hear = move || {
        while let Some(news) = told.upgrade() {
            match has_news(&mut watch) {
                Ok(true) => news.notify_one(),
                Ok(false) => {}
                Err(error) => return terminal::warn(&error.to_string()),
            }
            drop(news);
            // Whatever woke it, the watch says what happened.
            let _ = poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&LISTEN));
        }
    };
    thread::Builder::new().name("links".to_owned()).spawn(hear)?;
    Ok(news)
}

/// Whether anything happened; reads all that was said.
fn has_news(watch: &mut LinkWatch) -> io::Result<bool> {
    let mut news = false;
    while watch.next()?.is_some() {
        news = true;
    }
    Ok(news)
}

fn follow(run: &Run<'_>, supervisor: &mut Supervisor) {
    match in_namespace(run.flags.netns.as_deref(), links) {
        Ok(links) => {
            if let Some(served) = run.served {
                served.follow(&links);
            }
            supervisor.follow(&links);
        }
        Err(error) => terminal::warn(&error.to_string()),
    }
}

/// Reads the configuration again; where it is wrong the old one stays in force.
fn reload(run: &Run<'_>, supervisor: &Supervisor) {
    if run.served.is_some() {
        return terminal::note("SIGHUP: with --ec2-endpoint files are read at the start only");
    }
    if !run.flags.sessions.are_of_files() {
        return terminal::note("SIGHUP: there is no configuration file to read again");
    }
    herald::reloading();
    match plan::read(run.flags) {
        Ok(registry) => {
            run.tables.replace(&registry);
            supervisor.registry().count_reload();
            terminal::note("the configuration was read again");
        }
        Err(failure) => {
            supervisor.registry().count_failed_reload();
            terminal::complain(&failure.to_string());
            terminal::warn("the configuration is wrong: going on with the one before");
        }
    }
    herald::ready();
}
