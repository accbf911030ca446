//! Tests of a worker whose source is not a kernel ring.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::receipt::Receipt;
use super::*;
use crate::dataplane::{Burst, Frame, LoopGuard, Source, TableParts};
use crate::io::live::{FilterState, SourceCounts, TrafficSample, Waker};
use crate::io::udp::{Egress, UdpOptions};

/// A source in which `left` frames wait when its device is deleted.
#[derive(Default)]
struct RingWithWaitingFrames {
    left: usize,
    delivered: u64,
    is_closed: bool,
    is_half_full: bool,
    /// Whether the kernel rejects every filter.
    rejects_filters: bool,
    /// The number of calls of `fill` before it was closed.
    fills_while_open: Arc<AtomicUsize>,
}

impl RingWithWaitingFrames {
    fn with(left: usize) -> Self {
        Self { left, ..Self::default() }
    }
}

impl RingWithWaitingFrames {
    fn check_filter(&self) -> io::Result<()> {
        if self.rejects_filters { Err(io::Error::other("no filter")) } else { Ok(()) }
    }
}

impl Source for RingWithWaitingFrames {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        if !self.is_closed {
            self.fills_while_open.fetch_add(1, Ordering::Relaxed);
        }
        if self.left > 0 {
            self.left -= 1;
            self.delivered += 1;
            burst.push(Frame::new(&[0; 60]));
        }
        Ok(())
    }
}

impl LiveSource for RingWithWaitingFrames {
    fn counts(&mut self) -> SourceCounts {
        SourceCounts { delivered: self.delivered, ..SourceCounts::default() }
    }

    fn is_half_full(&mut self) -> bool {
        self.is_half_full
    }

    fn memory_len(&self) -> usize {
        0
    }

    fn set_table(&mut self, _: &MirrorTable, _: InterfaceIndex) -> io::Result<()> {
        self.check_filter()
    }

    fn observe_traffic(&mut self, _: &TrafficSample) -> io::Result<()> {
        Err(io::Error::other("no"))
    }

    fn filter_state(&self) -> FilterState {
        FilterState::default()
    }

    fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn close(&mut self) -> io::Result<()> {
        self.check_filter()?;
        self.is_closed = true;
        Ok(())
    }
}

pub(super) fn worker() -> WorkerThread {
    let port = WorkerPort::new(Waker::new().unwrap());
    let egress = Arc::new(Egress::new(UdpOptions::default()));
    let table = Arc::new(MirrorTable::new(TableParts::default()));
    let sink = OptionallyImpaired::new(UdpSink::with_egress(egress), None, 0);
    WorkerThread::new(table, SharedGuard::new(guard()), sink, port)
}

fn guard() -> Arc<LoopGuard> {
    Arc::new(LoopGuard::new([].iter()))
}

pub(super) fn source(frames: usize) -> Command {
    Command::Source(Box::new(RingWithWaitingFrames::with(frames)), Receipt::none())
}

#[test]
fn waiting_frames_are_read_before_a_source_is_closed() {
    let mut worker = worker();
    worker.apply(source(3));
    worker.apply(source(5));
    assert_eq!(worker.worker.counters().received, 3);
    worker.apply(Command::NoSource(Receipt::none()));
    assert_eq!(worker.worker.counters().received, 8);
}

#[test]
fn a_failed_source_is_closed_and_its_error_stays_in_the_status() {
    let mut worker = worker();
    worker.apply(source(3));
    while worker.source.is_some() {
        worker.report_load();
    }
    worker.publish_status();
    worker.publish_status();
    let status = worker.port.status().clone();
    assert_eq!((status.has_source, status.failure.as_deref()), (false, Some("no")));
}

#[test]
fn a_source_whose_filter_is_rejected_fails_its_receipt() {
    let mut worker = worker();
    let (sender, receiver) = std::sync::mpsc::channel();
    let receipt = Receipt::new(move |result| sender.send(result).unwrap());
    let source = RingWithWaitingFrames { rejects_filters: true, ..RingWithWaitingFrames::with(3) };
    worker.apply(Command::Source(Box::new(source), receipt));
    assert_eq!(receiver.try_recv(), Ok(Err("no filter".to_owned())));
    assert!(worker.source.is_none());
}

/// The filter that closes a source may be rejected while frames arrive without end.
#[test]
fn the_drain_of_a_source_that_cannot_be_closed_ends() {
    let mut worker = worker();
    let source =
        RingWithWaitingFrames { rejects_filters: true, ..RingWithWaitingFrames::with(usize::MAX) };
    worker.source = Some(Box::new(source));
    worker.drain();
    assert!(worker.source.is_none() && worker.worker.counters().received > 0);
}

/// A source waits up to two seconds for frames, and one wake-up may bring all commands.
#[test]
fn a_worker_that_must_stop_does_not_wait_for_frames() {
    let worker = worker();
    let source = RingWithWaitingFrames::default();
    let fills_while_open = Arc::clone(&source.fills_while_open);
    worker.port.send(Command::Source(Box::new(source), Receipt::none()));
    worker.port.send(Command::End);
    assert!(worker.work().ended_as_requested);
    assert_eq!(fills_while_open.load(Ordering::Relaxed), 0);
}

/// Frames that arrive during a pause stay in the ring, which would overflow.
#[test]
fn a_pause_ends_when_the_ring_is_half_full() {
    let mut worker = worker();
    for is_half_full in [false, true] {
        let source = RingWithWaitingFrames { is_half_full, ..RingWithWaitingFrames::default() };
        worker.apply(Command::Source(Box::new(source), Receipt::none()));
        assert_eq!(worker.pause(Duration::from_millis(3)).is_break(), is_half_full);
    }
}

/// Otherwise the failure would not be published before the status is old.
#[test]
fn a_failure_is_published_at_once() {
    let mut worker = worker();
    worker.set_status_current(true);
    worker.fail(&io::Error::other("no"));
    assert!(!worker.is_status_current);
}

#[test]
fn a_receipt_is_dropped_when_the_table_is_in_force() {
    let mut worker = worker();
    let loop_guard = Some(worker.guard.guard());
    let table = Arc::new(MirrorTable::new(TableParts { loop_guard, ..TableParts::default() }));
    let number = table.number();
    let (sender, receiver) = std::sync::mpsc::channel();
    let receipt = Receipt::new(move |result| sender.send(result).unwrap());
    worker.apply(Command::Table(table, receipt));
    assert_eq!(receiver.try_recv(), Ok(Ok(())));
    assert_eq!(worker.worker.table().number(), number);
}

/// A table that was compiled in the background has the guard of that time.
#[test]
fn a_table_with_an_earlier_guard_gets_the_newest_one() {
    let mut worker = worker();
    let newest = guard();
    worker.guard.replace(&newest);
    worker.refresh_guard();
    let loop_guard = Some(guard());
    let table = MirrorTable::new(TableParts { loop_guard, ..TableParts::default() });
    worker.apply(Command::Table(Arc::new(table), Receipt::none()));
    assert!(worker.worker.table().with_loop_guard(&newest).is_none());
}

#[test]
fn a_new_guard_makes_a_new_table_and_the_same_guard_does_not() {
    let mut worker = worker();
    worker.refresh_guard();
    let number = worker.worker.table().number();
    worker.guard.replace(&guard());
    assert_ne!(worker.guard_generation, worker.guard.generation());
    worker.refresh_guard();
    assert_eq!(worker.guard_generation, worker.guard.generation());
    assert_ne!(worker.worker.table().number(), number);
    let number = worker.worker.table().number();
    worker.refresh_guard();
    assert_eq!(worker.worker.table().number(), number);
}
