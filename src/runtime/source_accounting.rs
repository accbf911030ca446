//! Adds up the counts of a worker's sources and compares them with the counts of the worker.

use crate::dataplane::{Counters, DropCause, Worker};
use crate::io::live::SourceCounts;

/// The counts of all sources that a worker has had.
#[derive(Debug, Default)]
pub(super) struct SourceAccounting {
    /// Counts of the closed sources.
    previous: SourceCounts,
    /// Counts of the current source.
    current: SourceCounts,
    /// Frames that programs in the kernel evaluated and counted.
    in_kernel: u64,
    /// Frames that they did not count exactly once.
    miscounted_in_kernel: u64,
}

impl SourceAccounting {
    /// Stores the counts of the current source and adds its new losses to the worker's counters.
    pub(super) fn update(&mut self, counts: SourceCounts, worker: &mut Worker) {
        let new = counts.since(&self.current);
        worker.count_dropped(DropCause::Ring, new.ring_full);
        worker.count_dropped(DropCause::UnsupportedOffload, new.unsupported_offload);
        worker.count_dropped(DropCause::TooManySegments, new.too_many_segments);
        self.current = counts;
    }

    /// The worker has closed its source.
    pub(super) fn close(&mut self) {
        self.previous.add(&std::mem::take(&mut self.current));
    }

    /// Adds frames that programs in the kernel evaluated and counted.
    pub(super) const fn add_in_kernel(&mut self, frames: u64) {
        self.in_kernel += frames;
    }

    /// The sum over all sources.
    pub(super) fn total(&self) -> SourceCounts {
        let mut total = self.previous;
        total.add(&self.current);
        total
    }

    /// Adds frames that detached programs did not count exactly once.
    pub(super) const fn add_miscounted(&mut self, frames: u64) {
        self.miscounted_in_kernel += frames;
    }

    /// The number of frames that are not accounted for. It adds up four differences:
    ///
    /// - frames that the kernel delivered and the source neither delivered nor counted;
    /// - frames that the source delivered and the worker did not count, or the reverse;
    /// - frames and losses of the source that are missing in `received`;
    /// - received frames that are in no counter.
    ///
    /// Frames that programs in the kernel miscounted are added.
    ///
    /// A value other than 0 is a defect of this program.
    pub(super) fn unaccounted(&self, counters: &Counters) -> u64 {
        let total = self.total();
        let uncounted = (total.delivered + self.in_kernel).abs_diff(counters.frames);
        let unreceived = (counters.frames + total.lost()).saturating_sub(counters.received);
        let miscounted = total.unaccounted + self.miscounted_in_kernel;
        miscounted + uncounted + unreceived + counters.unaccounted()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;
    use crate::dataplane::{
        Burst, Copies, Drops, Frame, InterfaceIndex, MirrorTable, Sink, Source, TableParts,
    };

    struct OneFrame;

    impl Source for OneFrame {
        fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
            burst.push(Frame::new(&[0; 60]));
            Ok(())
        }
    }

    struct NullSink;

    impl Sink for NullSink {
        fn send(&mut self, _: &Copies<'_>, _: &mut Drops) -> io::Result<()> {
            Ok(())
        }
    }

    fn worker() -> Worker {
        Worker::new(Arc::new(MirrorTable::new(TableParts::default())))
            .with_interface(InterfaceIndex::FIRST)
    }

    #[test]
    fn losses_are_counted_once_across_sources() {
        let (mut worker, mut accounting) = (worker(), SourceAccounting::default());
        let counts = SourceCounts {
            frames: 9,
            ring_full: 2,
            unsupported_offload: 3,
            too_many_segments: 4,
            ..SourceCounts::default()
        };
        accounting.update(counts, &mut worker);
        accounting.update(counts, &mut worker);
        accounting.close();
        accounting.update(SourceCounts { ring_full: 1, ..SourceCounts::default() }, &mut worker);
        let counters = worker.counters();
        let causes = [DropCause::Ring, DropCause::UnsupportedOffload, DropCause::TooManySegments];
        assert_eq!(causes.map(|cause| counters.dropped(cause)), [3, 3, 4]);
        assert_eq!((counters.received, accounting.total().frames), (10, 9));
        assert_eq!(accounting.unaccounted(counters), 0);
    }

    #[test]
    fn a_difference_between_delivered_and_counted_frames_is_unaccounted() {
        let (mut worker, mut accounting) = (worker(), SourceAccounting::default());
        worker.step(&mut OneFrame, &mut NullSink).unwrap();
        assert_eq!(accounting.unaccounted(worker.counters()), 1);
        accounting.update(SourceCounts { delivered: 1, ..SourceCounts::default() }, &mut worker);
        assert_eq!(accounting.unaccounted(worker.counters()), 0);
        accounting.update(SourceCounts { delivered: 3, ..SourceCounts::default() }, &mut worker);
        assert_eq!(accounting.unaccounted(worker.counters()), 2);
        let counts = SourceCounts { delivered: 1, unaccounted: 5, ..SourceCounts::default() };
        accounting.update(counts, &mut worker);
        assert_eq!(accounting.unaccounted(worker.counters()), 5);
    }
}
