//! A thread that keeps the routes to targets up to date and reads the errors that come back.

use std::io;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::event::{Event, EventSink};
use crate::io::clock::Stopwatch;
use crate::io::links::RouteWatch;
use crate::io::udp::Egress;

/// How long the thread sleeps where nothing changes; errors are read as often.
const POLL_TIMEOUT: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

/// Routes are resolved at least this often, whatever the kernel reports.
const REFRESH: Duration = Duration::from_secs(1);

/// Time between two refreshes while routes change without end.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_millis(20);

/// With many targets the time between two refreshes is this many times what one takes, so that at
/// most a tenth of a processor goes into them.
const IDLE_FACTOR: u32 = 9;

/// Starts the thread. It ends soon after everything else has dropped `egress`.
pub(super) fn spawn_refresher(egress: &Arc<Egress>, events: EventSink) -> io::Result<()> {
    // The watch first, and the routes then: no change between them is missed.
    let mut watch = RouteWatch::open()?;
    egress.use_external_refresh();
    let egress = Arc::downgrade(egress);
    let work = move || {
        if let Err(error) = refresh_until_dropped(&mut watch, &egress) {
            let sentence = format!("{error}; routes are looked up once a second");
            events.send(Event::WatchFailed(sentence));
            refresh_each_second(&egress);
        }
    };
    thread::Builder::new().name("routes".to_owned()).spawn(work).map(drop)
}

fn refresh_until_dropped(watch: &mut RouteWatch, egress: &Weak<Egress>) -> io::Result<()> {
    let mut since = Stopwatch::start();
    while let Some(egress) = egress.upgrade() {
        if watch.drain_changes()? || since.elapsed() >= REFRESH {
            let begun = Stopwatch::start();
            egress.refresh();
            since = Stopwatch::start();
            egress.read_errors();
            thread::park_timeout(MIN_REFRESH_INTERVAL.max(begun.elapsed() * IDLE_FACTOR));
        }
        egress.read_errors();
        drop(egress);
        // Whatever woke it, the watch says what happened.
        let _ = poll(&mut [PollFd::new(&*watch, PollFlags::IN)], Some(&POLL_TIMEOUT));
    }
    Ok(())
}

fn refresh_each_second(egress: &Weak<Egress>) {
    while let Some(egress) = egress.upgrade() {
        egress.refresh();
        egress.read_errors();
        drop(egress);
        thread::park_timeout(REFRESH);
    }
}
