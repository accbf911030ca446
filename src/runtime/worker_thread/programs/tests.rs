//! Tests of a worker whose programs are not in the kernel.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use super::super::tests::{source, worker};
use super::*;
use crate::dataplane::{Counters, NotMirrored, TableParts};
use crate::io::kernel::KernelTierError;
use crate::runtime::command::Command;
use crate::runtime::kernel_programs::KernelPrograms;
use crate::runtime::receipt::Receipt;

/// Programs that count two frames between two calls, and one more when they are detached.
struct FakePrograms {
    new_frames: u64,
    /// Whether the next table fits.
    fits: Arc<AtomicBool>,
    is_detached: Arc<AtomicBool>,
    /// The states in their order.
    states: States,
    /// How many tables the programs were loaded for.
    tables: Arc<AtomicUsize>,
}

type States = Arc<Mutex<Vec<MirrorState>>>;

impl KernelPrograms for FakePrograms {
    fn set_table(&mut self, _: &Arc<MirrorTable>) -> Result<(), KernelTierError> {
        self.tables.fetch_add(1, Ordering::Relaxed);
        self.fits.load(Ordering::Relaxed).then_some(()).ok_or(KernelTierError::Unsupported)
    }

    fn set_state(&mut self, state: MirrorState) -> io::Result<()> {
        self.states.lock().unwrap().push(state);
        Ok(())
    }

    fn suspend(&mut self, _: &Arc<MirrorTable>) -> io::Result<()> {
        self.set_state(MirrorState::Dropping)
    }

    fn super_frame_segments(&self) -> u64 {
        7
    }

    fn unaccounted(&self) -> u64 {
        0
    }

    fn detach(&mut self) {
        self.new_frames += 1;
        self.is_detached.store(true, Ordering::Relaxed);
    }

    fn add_counts(&mut self, counters: &mut Counters) -> io::Result<()> {
        let frames = std::mem::take(&mut self.new_frames);
        counters.frames += frames;
        counters.count_not_mirrored(NotMirrored::ALL[0], frames);
        Ok(())
    }

    fn refresh(&mut self) -> Result<(), KernelTierError> {
        self.new_frames += 2;
        Ok(())
    }

    fn target_reports(&self) -> Vec<TargetReport> {
        let destination = ([192, 0, 2, 10], 4789).into();
        let target = crate::dataplane::TargetIndex::new(0);
        let (sent, sent_bytes, no_route, refused, unreachable) = (5, 300, 0, 0, 0);
        let (device_index, is_tunnelled) = (Some(2), false);
        vec![TargetReport {
            target,
            destination,
            sent,
            sent_bytes,
            no_route,
            refused,
            unreachable,
            device_index,
            is_tunnelled,
        }]
    }
}

/// The state of the fake, and the reports of the worker.
struct Attached {
    worker: WorkerThread,
    fits: Arc<AtomicBool>,
    is_detached: Arc<AtomicBool>,
    states: States,
    tables: Arc<AtomicUsize>,
    reports: Receiver<ProgramsReport>,
}

fn attached(keeps_table: bool) -> Attached {
    let mut worker = worker();
    let (fits, is_detached) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let tables = Arc::new(AtomicUsize::new(0));
    let (sender, reports) = channel();
    let states = States::default();
    let fake = FakePrograms {
        states: Arc::clone(&states),
        new_frames: 0,
        fits: Arc::clone(&fits),
        is_detached: Arc::clone(&is_detached),
        tables: Arc::clone(&tables),
    };
    worker.apply(Command::Programs(AttachCommand {
        attach: Box::new(|_| Ok(Box::new(fake))),
        keeps_table,
        report: Box::new(move |report| drop(sender.send(report))),
        attached: Receipt::none(),
    }));
    assert!(reports.try_recv().is_err(), "the source is still open");
    worker.apply(Command::StartPrograms);
    assert!(matches!(reports.try_recv(), Ok(ProgramsReport::Attached)));
    Attached { worker, fits, is_detached, states, tables, reports }
}

/// Applies a new table. Returns its number and the result that its receipt has.
fn change_table(worker: &mut WorkerThread) -> (u64, Result<(), String>) {
    let (number, command, receiver) = table_command(worker);
    worker.apply(command);
    (number, receiver.try_recv().unwrap())
}

/// The command to use a new table, its number, and the result that its receipt will have.
fn table_command(worker: &WorkerThread) -> (u64, Command, Receiver<Result<(), String>>) {
    let loop_guard = Some(worker.guard.guard());
    let table = Arc::new(MirrorTable::new(TableParts { loop_guard, ..TableParts::default() }));
    let number = table.number();
    let (sender, receiver) = channel();
    let receipt = Receipt::new(move |result| sender.send(result).unwrap());
    (number, Command::Table(table, receipt), receiver)
}

/// A client may send tables faster than the kernel verifies their programs.
#[test]
fn of_several_tables_only_the_newest_is_loaded() {
    for (fits_now, expected) in [(true, 3), (false, 0)] {
        let Attached { mut worker, fits, tables, .. } = attached(true);
        fits.store(fits_now, Ordering::Relaxed);
        let before = worker.worker.table().number();
        let mut numbers = vec![before];
        let mut results = Vec::new();
        for _ in 0..3 {
            let (number, command, result) = table_command(&worker);
            worker.port.send(command);
            numbers.push(number);
            results.push(result);
        }
        worker.port.send(Command::End);
        worker.carry_out_commands();
        assert!(worker.is_ending);
        assert_eq!(tables.load(Ordering::Relaxed), 1);
        assert_eq!(worker.worker.table().number(), numbers[expected]);
        assert!(results.iter().all(|one| one.try_recv().unwrap().is_ok() == fits_now));
    }
}

#[test]
fn frames_of_programs_are_counted_until_they_are_detached() {
    let Attached { mut worker, is_detached, .. } = attached(false);
    assert!(worker.step(), "the counters of programs may change at any time");
    worker.publish_status();
    let status = worker.port.status().clone();
    assert_eq!((status.counters.received, status.unaccounted, status.has_source), (2, 0, true));
    worker.apply(Command::NoSource(Receipt::none()));
    worker.publish_status();
    let status = worker.port.status().clone();
    assert!(is_detached.load(Ordering::Relaxed));
    assert_eq!((status.counters.received, status.unaccounted, status.has_source), (3, 0, false));
}

#[test]
fn copies_of_programs_stay_in_the_reports_after_the_end() {
    let Attached { mut worker, .. } = attached(false);
    for sent in [5, 10] {
        assert_eq!(worker.target_reports().iter().map(|one| one.sent).sum::<u64>(), sent);
        worker.detach_programs();
        let Attached { worker: other, .. } = attached(false);
        worker.programs = other.programs;
    }
}

#[test]
fn programs_that_do_not_fit_drop_copies_until_a_source_is_open() {
    let Attached { mut worker, fits, is_detached, states, reports, .. } = attached(false);
    let (number, result) = change_table(&mut worker);
    assert_eq!((worker.worker.table().number(), result), (number, Ok(())));
    assert!(!is_detached.load(Ordering::Relaxed), "it fits");
    fits.store(false, Ordering::Relaxed);
    let (_, result) = change_table(&mut worker);
    assert_eq!(result, Ok(()), "the ring mirrors it");
    assert!(matches!(reports.try_recv(), Ok(ProgramsReport::Refused(_))));
    assert!(!is_detached.load(Ordering::Relaxed), "they count what they drop");
    worker.apply(Command::StartPrograms);
    assert!(reports.try_recv().is_err(), "they do not fit");
    worker.apply(source(1));
    assert!(is_detached.load(Ordering::Relaxed) && worker.programs.is_none());
    use MirrorState::{Dropping, Sending, Silent};
    let expected = [Dropping, Sending, Dropping, Dropping, Silent];
    assert_eq!(*states.lock().unwrap(), expected);
}

#[test]
fn the_old_table_stays_in_force_if_the_kernel_tier_is_required() {
    let Attached { mut worker, fits, is_detached, reports, .. } = attached(true);
    let (number, _) = change_table(&mut worker);
    fits.store(false, Ordering::Relaxed);
    let (_, result) = change_table(&mut worker);
    assert!(result.unwrap_err().contains("previous sessions stay"));
    assert_eq!(worker.worker.table().number(), number);
    assert!(!is_detached.load(Ordering::Relaxed) && reports.try_recv().is_err());
    let warnings = worker.port.status().source_warnings.clone();
    assert!(warnings[0].contains("not in force"), "{warnings:?}");
}

#[test]
fn a_source_is_mirrored_until_the_programs_start() {
    let mut worker = worker();
    worker.apply(source(3));
    let (sender, reports) = channel();
    worker.apply(Command::Programs(AttachCommand {
        attach: Box::new(|_| Err(KernelTierError::Unsupported)),
        keeps_table: false,
        report: Box::new(move |report| drop(sender.send(report))),
        attached: Receipt::none(),
    }));
    assert!(worker.source.is_some() && reports.try_recv().is_err());
    worker.apply(Command::StartPrograms);
    assert!(worker.source.is_none(), "its frames are mirrored first");
    assert!(worker.worker.counters().received >= 3);
    assert!(matches!(reports.try_recv(), Ok(ProgramsReport::Refused(_))));
}

#[test]
fn segments_of_super_frames_are_published_after_the_programs_end() {
    let Attached { mut worker, .. } = attached(false);
    assert_eq!(worker.program_segments(), 7);
    worker.detach_programs();
    assert_eq!(worker.program_segments(), 7);
}
