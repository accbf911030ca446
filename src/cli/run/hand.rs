//! One worker thread: drives the loop, opens its letters between bursts, keeps its board.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::gauge::Gauge;
use super::post::{Letter, Post};
use crate::cli::clock::Stopwatch;
use crate::dataplane::{Counters, DropCause, MirrorTable, Sink, StepError, Worker};
use crate::io::live::LiveSource;
use crate::io::udp::{TargetReport, UdpOptions, UdpSink};

/// After so many bursts the board is written even where nobody asked.
const BURSTS_A_BOARD: u32 = 4_096;

/// How long after the end was asked for frames may still come out of the kernel.
const DRAINED_AFTER: Duration = Duration::from_millis(10);

/// The same where frames wait until the kernel closes their block, which takes two seconds at most.
const PENDING_AFTER: Duration = Duration::from_millis(2_500);

/// What is left of a worker at its end.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) counters: Counters,
    pub(super) targets: Vec<TargetReport>,
    pub(super) warnings: Vec<String>,
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
    ring_frames: u64,
    ring_lost: u64,
    /// Why the source was left, until that is on the board.
    failure: Option<String>,
    is_ending: bool,
    bursts: u32,
}

impl Hand {
    pub(super) fn new(
        table: Arc<MirrorTable>,
        interface: u32,
        options: UdpOptions,
        post: Post,
    ) -> Self {
        Self {
            worker: Worker::new(table).of_interface(interface),
            interface,
            gauge: Gauge::start(),
            sink: UdpSink::with_options(options),
            source: None,
            post,
            ring_frames: 0,
            ring_lost: 0,
            failure: None,
            is_ending: false,
            bursts: 0,
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
            let is_pending = source.has_pending();
            if quiet.elapsed() >= if is_pending { PENDING_AFTER } else { DRAINED_AFTER } {
                break;
            }
            self.post.waker().wake();
            if self.step() {
                quiet = Stopwatch::start();
            } else if is_pending {
                thread::park_timeout(Duration::from_millis(1));
            } else {
                thread::yield_now();
            }
        }
        self.leave_source();
    }

    fn leave_source(&mut self) {
        self.count_lost();
        self.source = None;
    }

    /// Frames that the kernel had no room for were lost by us.
    fn count_lost(&mut self) {
        let Some(source) = &mut self.source else { return };
        let (came, lost) = source.take_counts();
        self.ring_frames += came;
        self.ring_lost += lost;
        if lost > 0 {
            self.worker.count_lost(DropCause::Ring, lost);
        }
    }

    fn write_board(&mut self) {
        self.bursts = 0;
        self.count_lost();
        let warnings = self.source.as_mut().map(|source| source.take_warnings());
        let filter = self.source.as_ref().map(|source| source.filter_state());
        let ring_len = self.source.as_ref().map_or(0, |source| source.memory_len());
        let Self { worker, sink, post, .. } = self;
        post.show(|shown| {
            shown.counters.clone_from(worker.counters());
            shown.targets = sink.target_reports();
            shown.ring_frames = self.ring_frames;
            shown.ring_lost = self.ring_lost;
            shown.ring_len = ring_len.try_into().unwrap_or(u64::MAX);
            shown.has_source = self.source.is_some();
            shown.failure = self.failure.take().or_else(|| shown.failure.take());
            shown.table = worker.table().number();
            shown.warnings.append(&mut sink.take_warnings());
            shown.source_warnings.extend(warnings.unwrap_or_default());
            shown.filter = filter.unwrap_or_default();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataplane::{Burst, Frame, Source, TableParts};
    use crate::io::live::{FilterState, Load, waker};

    /// A ring in which some frames wait when its device is deleted.
    struct Forsaken {
        left: usize,
    }

    impl Source for Forsaken {
        fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
            if self.left > 0 {
                self.left -= 1;
                burst.push(Frame::new(&[0; 60]));
            }
            Ok(())
        }
    }

    impl LiveSource for Forsaken {
        fn take_counts(&mut self) -> (u64, u64) {
            (0, 0)
        }

        fn memory_len(&self) -> usize {
            0
        }

        fn has_pending(&self) -> bool {
            false
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
        Hand::new(Arc::new(MirrorTable::new(TableParts::default())), 0, UdpOptions::default(), post)
    }

    #[test]
    fn what_waits_in_a_ring_is_taken_before_it_is_left() {
        let mut hand = hand();
        hand.obey(Letter::Source(Box::new(Forsaken { left: 3 })));
        hand.obey(Letter::Source(Box::new(Forsaken { left: 5 })));
        assert_eq!(hand.worker.counters().received, 3);
        hand.obey(Letter::NoSource);
        assert_eq!(hand.worker.counters().received, 8);
    }

    #[test]
    fn a_source_that_fails_is_left_and_its_words_stay_on_the_board() {
        let mut hand = hand();
        hand.obey(Letter::Source(Box::new(Forsaken { left: 3 })));
        while hand.source.is_some() {
            hand.weigh();
        }
        hand.write_board();
        hand.write_board();
        let shown = hand.post.shown().clone();
        assert_eq!((shown.has_source, shown.failure.as_deref()), (false, Some("no")));
    }
}
