//! The main thread of a run: waits for signals and for changes of the links.

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

use super::crew::{self, Crew};
use super::endpoint::{Change, Served};
use super::flags::RunFlags;
use super::herald;
use super::live_line::LiveLine;
use super::plan::{self, in_namespace};
use crate::cli::clock::Stopwatch;
use crate::cli::exit::Failure;
use crate::cli::metrics::Snapshot;
use crate::cli::terminal;
use crate::dataplane::MirrorTable;
use crate::io::StopFlag;
use crate::io::links::{LinkWatch, links};
use crate::io::udp::TargetHealth;

/// How long the thread that hears of links listens before it looks whether anybody wants to know.
const LISTEN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Returns at the first SIGINT or SIGTERM, also one that came before: `stop` is set by it.
pub(super) fn watch(
    flags: &RunFlags,
    crew: &mut Crew,
    served: Option<&Served>,
    changes: UnboundedReceiver<Change>,
    stop: &StopFlag,
) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.map_err(Failure::failed)?;
    let ended =
        runtime.block_on(until_signal(flags, crew, served, changes, stop)).map_err(Failure::failed);
    // Tables that are being made are not waited for.
    runtime.shutdown_background();
    ended
}

async fn until_signal(
    flags: &RunFlags,
    crew: &mut Crew,
    served: Option<&Served>,
    mut changes: UnboundedReceiver<Change>,
    stop: &StopFlag,
) -> io::Result<()> {
    // These streams wake the loop. What a signal means is decided by the handlers that set `stop`.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let news = hear_links(flags)?;
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    follow(flags, crew, served);
    herald::ready();
    let mut line = LiveLine::new();
    let mut health = TargetHealth::default();
    let running = Stopwatch::start();
    let mut tunnels = Tunnels::default();
    tunnels.report(crew);
    let mut settling = Settling::default();
    while !stop.is_set() {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hang_up.recv() => {
                reload(flags, crew, served);
                settling.begin(crew.table());
            }
            table = settling.done() => settling.end(crew, table),
            () = news.notified() => follow(flags, crew, served),
            Some(change) = changes.recv() => {
                take(flags, crew, served, change);
                settling.begin(crew.table());
            }
            _ = second.tick() => {
                tell(crew);
                if crew.forget_failed() | crew.try_again() {
                    follow(flags, crew, served);
                }
                let snapshot = crew.roster().snapshot();
                report_targets(&mut health, &snapshot, running);
                tunnels.report(crew);
                herald::alive(&line.show(snapshot.total(), &health));
                if crew.has_lost_a_hand() {
                    return Err(io::Error::other("a worker thread ended early; this is a fault of ours"));
                }
            }
        }
    }
    herald::stopping();
    Ok(())
}

/// New tables in the making, for rules that stand beside the tables in force.
#[derive(Default)]
struct Settling {
    /// The number of the table that is settled, and the one that comes of it.
    making: Option<(u64, JoinHandle<Option<MirrorTable>>)>,
}

impl Settling {
    /// One at a time; the next begins where one ends too late.
    fn begin(&mut self, table: &Arc<MirrorTable>) {
        if self.making.is_some() || table.is_settled() {
            return;
        }
        let (number, table) = (table.number(), Arc::clone(table));
        self.making = Some((number, spawn_blocking(move || table.settled())));
    }

    /// Waits for it; for ever where there is none.
    async fn done(&mut self) -> Option<MirrorTable> {
        match &mut self.making {
            Some((_, making)) => making.await.unwrap_or_default(),
            None => pending().await,
        }
    }

    /// Puts it in force; what changed meanwhile stands beside it, and the next is begun.
    fn end(&mut self, crew: &mut Crew, table: Option<MirrorTable>) {
        let (Some((number, _)), Some(table)) = (self.making.take(), table) else { return };
        let is_last = crew.table().number() == number;
        let table = if is_last { table } else { crew.table().rebased(&table) };
        crew.change_table(Arc::new(table));
        self.begin(crew.table());
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

fn follow(flags: &RunFlags, crew: &mut Crew, served: Option<&Served>) {
    match in_namespace(flags.netns.as_deref(), links) {
        Ok(links) => {
            let plan = served.and_then(|served| served.follow(&links, crew.table()));
            if let Some(Err(failure)) = plan.map(|plan| crew.change(plan)) {
                terminal::complain(&failure.to_string());
            }
            crew.follow(flags, &links);
        }
        Err(error) => terminal::warn(&error.to_string()),
    }
}

/// Puts what came over the API in force, and tells whom to wait for.
fn take(flags: &RunFlags, crew: &mut Crew, served: Option<&Served>, change: Change) {
    let Some(served) = served else { return };
    let before = crew.stations();
    let on_its_way = change.on_its_way.clone();
    let plan = served.plan_of(change, crew.table());
    if let Err(failure) = crew.change(plan) {
        terminal::complain(&failure.to_string());
    }
    if crew.stations() != before {
        follow(flags, crew, Some(served));
    }
    let posts = match crew.trouble() {
        None => Ok(crew.posts().map(|(_, post)| post.clone()).collect()),
        Some(trouble) => Err(io::Error::other(trouble)),
    };
    // Whoever does not wait any more does not want to know.
    let _ = on_its_way.send(posts);
}

/// Reads the configuration again; where it is wrong the old one stays in force.
fn reload(flags: &RunFlags, crew: &mut Crew, served: Option<&Served>) {
    if served.is_some() {
        return terminal::note("SIGHUP: with --ec2-endpoint files are read at the start only");
    }
    if !flags.sessions.are_of_files() {
        return terminal::note("SIGHUP: there is no configuration file to read again");
    }
    herald::reloading();
    let changed = plan::plan(flags, Some(crew.table())).and_then(|plan| crew.change(plan));
    match changed {
        Ok(()) => {
            crew.roster().accept();
            terminal::note("the configuration was read again");
            follow(flags, crew, served);
        }
        Err(failure) => {
            crew.roster().refuse();
            terminal::complain(&failure.to_string());
            terminal::warn("the configuration is wrong: going on with the one before");
        }
    }
    herald::ready();
}

/// The tunnels that copies leave through, as far as they were reported.
#[derive(Default)]
struct Tunnels {
    /// The number of the table whose targets were looked up.
    table: Option<u64>,
    known: BTreeSet<(SocketAddr, String)>,
}

impl Tunnels {
    /// Warns where a target has come to be reached through a tunnel, whose packets may leave by an
    /// interface that is mirrored.
    fn report(&mut self, crew: &Crew) {
        if self.table.replace(crew.table().number()) != Some(crew.table().number()) {
            crew.egress().prepare(crew.table());
        }
        let now: BTreeSet<_> = crew.egress().tunnels().into_iter().collect();
        for (address, device) in now.difference(&self.known) {
            let mirrored: Vec<String> = crew.stations().into_iter().map(|one| one.device).collect();
            terminal::warn(&format!(
                "copies to {address} leave through the tunnel {device}: if its packets leave by a \
                 mirrored interface ({}), every copy is mirrored again",
                mirrored.join(", ")
            ));
        }
        self.known = now;
    }
}

/// Says which targets began to refuse copies, and which accept them again.
fn report_targets(health: &mut TargetHealth, snapshot: &Snapshot, running: Stopwatch) {
    let reports = snapshot.workers.iter().flat_map(|worker| &worker.targets);
    let reports: Vec<_> = reports.copied().collect();
    let now_ns = u64::try_from(running.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let changes = health.observe(&reports, now_ns);
    changes.iter().for_each(|change| terminal::warn(change));
}

/// What the workers want to be heard.
fn tell(crew: &Crew) {
    for (mirrored, post) in crew.posts() {
        crew::tell(&mirrored.device, post);
        post.ask();
    }
}
