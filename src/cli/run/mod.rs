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

mod crew;
mod flags;
mod gauge;
mod hand;
mod plan;
mod post;
mod watch;

pub(super) use flags::RunFlags;

use super::clock::Stopwatch;
use super::exit::{Exit, Failure};
use super::replay::print_report;
use super::report::Report;
use crate::io::sys::capability;

pub(super) fn run(flags: &RunFlags) -> Result<Exit, Failure> {
    if !capability::has_net_raw() {
        return Err(Failure::failed(
            "no right to capture: this needs the capability CAP_NET_RAW, as root has it \
             (`sudo`, or `setcap cap_net_raw+ep` on the program)",
        ));
    }
    let plan = plan::plan(flags)?;
    let stopwatch = Stopwatch::start();
    let mut crew = crew::Crew::muster(flags, plan)?;
    let watched = watch::watch(flags, &mut crew);
    let done = crew.dismiss();
    let mut report = Report::new(&done.table, &done.counters, stopwatch.elapsed());
    report.add_sent(&done.targets);
    print_report(&report, flags.report)?;
    watched?;
    Ok(if done.is_whole { Exit::Done } else { Exit::Failed })
}
