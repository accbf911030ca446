//! A thread that updates the routes to targets and reads the ICMP errors of sent copies.

use std::io;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::event::{Event, EventSink};
use crate::io::clock::Stopwatch;
use crate::io::links::RouteWatch;
use crate::io::udp::Egress;

/// How long the thread sleeps if no route changes; also the interval of reading errors.
const POLL_TIMEOUT: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

/// The longest time between two refreshes, even if the kernel reports no change.
const REFRESH: Duration = Duration::from_secs(1);

/// The shortest time between two refreshes while routes change continuously.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_millis(20);

/// The pause after a refresh is at least this multiple of its duration, so that refreshes use at
/// most a tenth of a processor.
const IDLE_FACTOR: u32 = 9;

/// Starts the thread. It ends within about a second after all other owners have dropped `egress`.
pub(super) fn spawn_refresher(egress: &Arc<Egress>, events: EventSink) -> io::Result<()> {
    // The watch is opened before the routes are read, so that no change between them is missed.
    let mut watch = RouteWatch::open()?;
    egress.use_external_refresh();
    let egress = Arc::downgrade(egress);
    let work = move || {
        if let Err(error) = refresh_until_dropped(&mut watch, &egress) {
            let sentence = format!("{error}; routes are refreshed once a second instead");
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
            let stopwatch = Stopwatch::start();
            egress.refresh();
            since = Stopwatch::start();
            egress.read_errors();
            thread::park_timeout(MIN_REFRESH_INTERVAL.max(stopwatch.elapsed() * IDLE_FACTOR));
        }
        egress.read_errors();
        drop(egress);
        // The result is not needed: the next loop reads the watch in any case.
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
