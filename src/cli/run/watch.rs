//! The main thread of a run: waits for signals and for changes of the links.

use std::io;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::crew::Crew;
use super::flags::RunFlags;
use super::plan::{self, in_namespace};
use crate::cli::exit::Failure;
use crate::cli::terminal;
use crate::io::links::{LinkEvent, LinkWatch, links};
use crate::io::stop;

/// Returns at the first SIGINT or SIGTERM; the second one ends the program at once.
pub(super) fn watch(flags: &RunFlags, crew: &mut Crew) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.map_err(Failure::failed)?;
    runtime.block_on(until_signal(flags, crew)).map_err(Failure::failed)
}

async fn until_signal(flags: &RunFlags, crew: &mut Crew) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    // The watch first: no change between it and the list is missed.
    let watch = in_namespace(flags.netns.as_deref(), LinkWatch::open)?;
    let mut watch = AsyncFd::register_with_interest(watch, Interest::READABLE).map_err(io::Error::from)?;
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    follow(flags, crew);
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hang_up.recv() => reload(flags, crew),
            ready = watch.readable_mut() => {
                let mut ready = ready?;
                if has_news(ready.get_inner_mut())? {
                    follow(flags, crew);
                }
                ready.clear_ready();
            }
            _ = second.tick() => {
                tell(crew);
            }
        }
    }
    stop::restore_default_signals()
}

/// Whether anything happened; reads all that was said.
fn has_news(watch: &mut LinkWatch) -> io::Result<bool> {
    let mut news = false;
    while let Some(event) = watch.next()? {
        news |= !matches!(event, LinkEvent::AddressesChanged { .. });
    }
    Ok(news)
}

fn follow(flags: &RunFlags, crew: &mut Crew) {
    match in_namespace(flags.netns.as_deref(), links) {
        Ok(links) => crew.follow(flags, &links),
        Err(error) => terminal::warn(&error.to_string()),
    }
}

/// Reads the configuration again; where it is wrong the old one stays in force.
fn reload(flags: &RunFlags, crew: &mut Crew) {
    if !flags.sessions.are_of_files() {
        return terminal::note("SIGHUP: there is no configuration file to read again");
    }
    let changed = plan::plan(flags).and_then(|plan| crew.change(plan));
    match changed {
        Ok(()) => {
            terminal::note("the configuration was read again");
            follow(flags, crew);
        }
        Err(failure) => {
            terminal::complain(&failure.to_string());
            terminal::warn("the configuration is wrong: going on with the one before");
        }
    }
}

/// What the workers want to be heard.
fn tell(crew: &Crew) {
    for (_, post) in crew.posts() {
        let warnings = std::mem::take(&mut post.shown().warnings);
        warnings.iter().for_each(|warning| terminal::warn(warning));
        post.ask();
    }
}
