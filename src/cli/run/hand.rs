//! One worker thread: drives the loop, opens its letters between bursts, keeps its board.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::gauge::Gauge;
use super::post::{Letter, Post};
use super::source_ledger::SourceLedger;
use super::storm::{Advice, Seen, StormDetector};
use crate::cli::clock::Stopwatch;
use crate::dataplane::{Counters, MirrorTable, Sink, StepError, Worker};
use crate::io::live::LiveSource;
use crate::io::udp::{Egress, TargetReport, UdpSink};
use crate::model::Direction;

/// After so many bursts the board is written even where nobody asked.
const BURSTS_A_BOARD: u32 = 4_096;

/// How long after the end was asked for frames may still come out of the kernel.
const DRAINED_AFTER: Duration = Duration::from_millis(10);

/// How long frames that the kernel has announced are waited for at the end: those behind an empty
/// slot of an open block, which the kernel closes within two of its time-outs of two seconds.
const ANNOUNCED_WITHIN: Duration = Duration::from_millis(4_500);

/// What is left of a worker at its end.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) counters: Counters,
    pub(super) targets: Vec<TargetReport>,
    pub(super) warnings: Vec<String>,
    /// How many frames are not accounted for; see [`SourceLedger::unaccounted`].
    pub(super) unaccounted: u64,
    /// Whether it ended because it was asked to.
    pub(super) is_whole: bool,
}

/// A worker thread's own things.
pub(super) struct Hand {
    worker: Worker,
    /// The index of its interface in the worker's table.
    interface: u32,
    gauge: Gauge,
    sink: UdpSink,
    source: Option<Box<dyn LiveSource>>,
    post: Post,
    ledger: SourceLedger,
    /// Whether it was reported that frames are not accounted for.
    has_reported: bool,
    /// Why the source was left, until that is on the board.
    failure: Option<String>,
    is_ending: bool,
    bursts: u32,
    storm: StormDetector,
    running: Stopwatch,
    /// What the user should be told about this worker.
    warnings: Vec<String>,
}

impl Hand {
    pub(super) fn new(
        table: Arc<MirrorTable>,
        interface: u32,
        egress: Arc<Egress>,
        post: Post,
    ) -> Self {
        Self {
            worker: Worker::new(table).of_interface(interface),
            interface,
            gauge: Gauge::start(),
            sink: UdpSink::sharing(egress),
            source: None,
            post,
            ledger: SourceLedger::default(),
            has_reported: false,
            failure: None,
            is_ending: false,
            bursts: 0,
            storm: StormDetector::new(),
            running: Stopwatch::start(),
            warnings: Vec::new(),
        }
    }

    /// Works until it is told to end.
    pub(super) fn work(mut self) -> Done {
        // Naps are short; a clock that rounds them up would make them long.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1_000));
        while !self.is_ending {
            let letters = self.post.open();
            letters.into_iter().for_each(|letter| self.obey(letter));
            let came = self.step();
            self.weigh();
            if self.storm.is_due(self.running.elapsed()) {
                self.watch_for_storm();
            }
            self.bursts += 1;
            if !came || self.bursts >= BURSTS_A_BOARD || self.post.is_asked() {
                self.write_board();
            }
        }
        self.drain();
        // Where nobody answers any more there is nothing to hear.
        let _ = self.sink.flush();
        self.write_board();
        Done {
            counters: self.worker.counters().clone(),
            targets: self.sink.target_reports(),
            warnings: self.sink.take_warnings(),
            unaccounted: self.ledger.unaccounted(self.worker.counters()),
            is_whole: true,
        }
    }

    fn obey(&mut self, letter: Letter) {
        match letter {
            Letter::Table(table, interface) => {
                self.interface = interface;
                // The filter first: it must not keep back what the new table wants.
                self.filter_for(&table);
                self.worker.change_table(table, Some(interface));
            }
            Letter::Source(source) => {
                self.drain();
                self.source = Some(source);
                self.filter_for(&Arc::clone(self.worker.table()));
            }
            Letter::NoSource => self.drain(),
            Letter::End => self.is_ending = true,
        }
        self.post.is_obeyed();
    }

    /// Has the kernel let through what the table wants. A source of which that cannot be said is
    /// none.
    fn filter_for(&mut self, table: &MirrorTable) {
        let Some(source) = &mut self.source else { return };
        if let Err(error) = source.follow_table(table, self.interface) {
            self.fail(&error);
        }
    }

    /// Tells the source now and then what came of its frames.
    fn weigh(&mut self) {
        let Some(load) = self.gauge.read(self.worker.counters()) else { return };
        if let Some(Err(error)) = self.source.as_mut().map(|source| source.weigh(&load)) {
            self.fail(&error);
        }
    }

    /// Stops sending where copies come back to the interface without end.
    fn watch_for_storm(&mut self) {
        let seen = self.seen();
        let Advice::Pause(half) = self.storm.observe(seen) else { return };
        pause(half);
        let middle = self.seen();
        pause(half);
        let end = self.seen();
        if let Some(length) = self.storm.end_pause(middle, end) {
            let targets = self.sink.suspend(length).join(", ");
            self.warnings.push(format!(
                "copies to {targets} come back to this interface and are mirrored again and again: \
                 none are sent there for {} s",
                length.as_secs()
            ));
            self.write_board();
        }
    }

    fn seen(&mut self) -> Seen {
        self.count_lost();
        let counters = self.worker.counters();
        Seen {
            at: self.running.elapsed(),
            frames: self.ledger.total().frames,
            copies: counters.mirrored(),
            egress_copies: counters.direction(Direction::Egress).mirrored,
            is_tunnelled: self.sink.is_tunnelled(),
        }
    }

    /// One burst; says whether there was one.
    fn step(&mut self) -> bool {
        let Some(source) = &mut self.source else {
            thread::park_timeout(Duration::from_millis(20));
            return false;
        };
        match self.worker.step(&mut **source, &mut self.sink) {
            Ok(came) => came,
            Err(StepError::Source(error) | StepError::Sink(error)) => {
                self.fail(&error);
                false
            }
        }
    }

    /// Leaves a source that does not go on; whoever reads the board sees to another.
    fn fail(&mut self, error: &io::Error) {
        self.leave_source();
        self.failure = Some(error.to_string());
    }

    /// Takes what is still in the ring, and leaves it.
    fn drain(&mut self) {
        if let Some(source) = &mut self.source {
            // Where that fails, what comes is taken for a moment longer.
            let _ = source.close();
        }
        let mut quiet = Stopwatch::start();
        while let Some(source) = &self.source {
            let is_announced = source.has_frames();
            let patience = if is_announced { ANNOUNCED_WITHIN } else { DRAINED_AFTER };
            if quiet.elapsed() >= patience {
                break;
            }
            self.post.waker().wake();
            if self.step() {
                quiet = Stopwatch::start();
            } else if is_announced {
                thread::park_timeout(Duration::from_millis(1));
            } else {
                thread::yield_now();
            }
        }
        self.leave_source();
    }

    fn leave_source(&mut self) {
        if let Some(mut source) = self.source.take() {
            self.ledger.update(source.final_counts(), &mut self.worker);
            self.ledger.close();
        }
    }

    /// Counts what the source lost.
    fn count_lost(&mut self) {
        if let Some(source) = &mut self.source {
            self.ledger.update(source.counts(), &mut self.worker);
        }
    }

    /// Says once that frames are not accounted for.
    fn report_unaccounted(&mut self, unaccounted: u64) -> Option<String> {
        if unaccounted == 0 || std::mem::replace(&mut self.has_reported, true) {
            return None;
        }
        Some(format!(
            "{unaccounted} frames that the kernel delivered are not accounted for: they were lost \
             without a count or mirrored twice; this is a fault of traffic-mirror, please report it"
        ))
    }

    fn write_board(&mut self) {
        self.bursts = 0;
        self.count_lost();
        let warnings = self.source.as_mut().map(|source| source.take_warnings());
        let filter = self.source.as_ref().map(|source| source.filter_state());
        let unaccounted = self.ledger.unaccounted(self.worker.counters());
        let error = self.report_unaccounted(unaccounted);
        let counted = self.ledger.total();
        let ring_len = self.source.as_ref().map_or(0, |source| source.memory_len());
        let Self { worker, sink, post, .. } = self;
        post.show(|shown| {
            shown.counters.clone_from(worker.counters());
            shown.targets = sink.target_reports();
            shown.source = counted;
            shown.unaccounted = unaccounted;
            shown.errors.extend(error);
            shown.ring_len = ring_len.try_into().unwrap_or(u64::MAX);
            shown.has_source = self.source.is_some();
            shown.failure = self.failure.take().or_else(|| shown.failure.take());
            shown.table = worker.table().number();
            shown.warnings.append(&mut sink.take_warnings());
            shown.source_warnings.extend(warnings.unwrap_or_default());
            shown.source_warnings.append(&mut self.warnings);
            shown.filter = filter.unwrap_or_default();
        });
    }
}

/// Waits, whatever wakes the thread meanwhile.
fn pause(length: Duration) {
    let begun = Stopwatch::start();
    while let Some(left) = length.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataplane::{Burst, Frame, Source, TableParts};
    use crate::io::live::{FilterState, Load, SourceCounts, waker};
    use crate::io::udp::UdpOptions;

    /// A ring in which some frames wait when its device is deleted.
    struct Forsaken {
        left: usize,
        lent: u64,
    }

    impl Forsaken {
        fn with(left: usize) -> Self {
            Self { left, lent: 0 }
        }
    }

    impl Source for Forsaken {
        fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
            if self.left > 0 {
                self.left -= 1;
                self.lent += 1;
                burst.push(Frame::new(&[0; 60]));
            }
            Ok(())
        }
    }

    impl LiveSource for Forsaken {
        fn counts(&mut self) -> SourceCounts {
            SourceCounts { lent: self.lent, ..SourceCounts::default() }
        }

        fn memory_len(&self) -> usize {
            0
        }

        fn follow_table(&mut self, _: &MirrorTable, _: u32) -> io::Result<()> {
            Ok(())
        }

        fn weigh(&mut self, _: &Load) -> io::Result<()> {
            Err(io::Error::other("no"))
        }

        fn filter_state(&self) -> FilterState {
            FilterState::default()
        }

        fn take_warnings(&mut self) -> Vec<String> {
            Vec::new()
        }

        fn close(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn hand() -> Hand {
        let post = Post::new(waker().unwrap());
        let egress = Arc::new(Egress::new(UdpOptions::default()));
        Hand::new(Arc::new(MirrorTable::new(TableParts::default())), 0, egress, post)
    }

    #[test]
    fn what_waits_in_a_ring_is_taken_before_it_is_left() {
        let mut hand = hand();
        hand.obey(Letter::Source(Box::new(Forsaken::with(3))));
        hand.obey(Letter::Source(Box::new(Forsaken::with(5))));
        assert_eq!(hand.worker.counters().received, 3);
        hand.obey(Letter::NoSource);
        assert_eq!(hand.worker.counters().received, 8);
    }

    #[test]
    fn a_source_that_fails_is_left_and_its_words_stay_on_the_board() {
        let mut hand = hand();
        hand.obey(Letter::Source(Box::new(Forsaken::with(3))));
        while hand.source.is_some() {
            hand.weigh();
        }
        hand.write_board();
        hand.write_board();
        let shown = hand.post.shown().clone();
        assert_eq!((shown.has_source, shown.failure.as_deref()), (false, Some("no")));
    }
}
