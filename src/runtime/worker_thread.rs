//! One worker thread: runs the data-plane loop, applies commands between two bursts and publishes
//! its status.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::command::{Command, WorkerPort};
use super::kernel_programs::{AttachReport, AttachedPrograms, TierRefusal};
use super::load_sampler::LoadSampler;
use super::receipt::Receipt;
use super::shared_guard::SharedGuard;
use super::source_accounting::SourceAccounting;
use super::storm_detector::StormDetector;
use crate::dataplane::{Counters, InterfaceIndex, MirrorTable, Sink, StepError, Worker};
use crate::io::clock::Stopwatch;
use crate::io::impair::{ImpairmentCounts, OptionallyImpaired};
use crate::io::live::LiveSource;
use crate::io::udp::{TargetReport, UdpSink};

/// The status is published after this number of bursts, even without a request.
const BURSTS_PER_STATUS: u32 = 4_096;

/// How long a worker without a source waits for a command; also the age at which the status of an
/// idle worker is published again.
const IDLE_WAIT: Duration = Duration::from_secs(2);

/// How long a closed source is polled for frames that the kernel still delivers.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(10);

/// How long a source that cannot be closed is drained: frames may arrive without end.
const OPEN_DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a closed source is polled for frames that the kernel has announced: frames after an
/// empty slot of an open block. The kernel closes the block within two time-outs of two seconds.
const ANNOUNCED_FRAME_TIMEOUT: Duration = Duration::from_millis(4_500);

/// The final counts of a worker.
#[derive(Debug, Default)]
pub(super) struct WorkerResult {
    pub(super) counters: Counters,
    pub(super) targets: Vec<TargetReport>,
    /// What fault injection did; none without faults.
    pub(super) impaired: Option<ImpairmentCounts>,
    pub(super) warnings: Vec<String>,
    /// The number of frames that are not accounted for; see [`SourceAccounting::unaccounted`].
    pub(super) unaccounted: u64,
    /// Whether it ended on [`Command::End`].
    pub(super) ended_as_requested: bool,
}

/// The index of the worker's interface in its table.
const INTERFACE: InterfaceIndex = InterfaceIndex::FIRST;

/// The state of a worker thread.
pub(super) struct WorkerThread {
    worker: Worker,
    guard: SharedGuard,
    /// The generation of the loop guard in the table.
    guard_generation: u64,
    load: LoadSampler,
    sink: OptionallyImpaired<UdpSink>,
    source: Option<Box<dyn LiveSource>>,
    /// The programs in the kernel that mirror the interface in place of a source.
    programs: Option<AttachedPrograms>,
    /// Why programs could not be attached, and how to report it, until the source is closed.
    refused: Option<(AttachReport, TierRefusal)>,
    /// The segments of super-frames that detached programs received.
    detached_segments: u64,
    /// The copies of programs that were detached, by target.
    detached_targets: Vec<TargetReport>,
    port: WorkerPort,
    accounting: SourceAccounting,
    /// Whether unaccounted frames were reported.
    has_reported: bool,
    /// Why the source was closed, until it is published.
    failure: Option<String>,
    is_ending: bool,
    bursts: u32,
    /// Whether the published status is complete.
    is_status_current: bool,
    published: Stopwatch,
    storm: StormDetector,
    running: Stopwatch,
    /// Warnings that are not published yet.
    warnings: Vec<String>,
}

mod programs;
mod storm;

impl WorkerThread {
    /// A worker for the only interface of the table.
    pub(super) fn new(
        table: Arc<MirrorTable>,
        guard: SharedGuard,
        sink: OptionallyImpaired<UdpSink>,
        port: WorkerPort,
    ) -> Self {
        Self {
            worker: Worker::new(table).with_interface(INTERFACE),
            guard,
            guard_generation: 0,
            load: LoadSampler::start(),
            sink,
            source: None,
            programs: None,
            refused: None,
            detached_segments: 0,
            detached_targets: Vec::new(),
            port,
            accounting: SourceAccounting::default(),
            has_reported: false,
            failure: None,
            is_ending: false,
            bursts: 0,
            is_status_current: false,
            published: Stopwatch::start(),
            storm: StormDetector::new(),
            running: Stopwatch::start(),
            warnings: Vec::new(),
        }
    }

    /// Runs until [`Command::End`].
    pub(super) fn work(mut self) -> WorkerResult {
        // A timer slack of 1 µs: the default of 50 µs would lengthen the short sleeps of an idle
        // worker.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1_000));
        loop {
            self.carry_out_commands();
            if self.is_ending {
                break;
            }
            if self.guard_generation != self.guard.generation() {
                self.refresh_guard();
            }
            let has_frames = self.step();
            self.report_load();
            if self.storm.is_due(self.running.elapsed()) {
                self.watch_for_storm();
            }
            self.bursts += 1;
            let is_due = self.bursts >= BURSTS_PER_STATUS || self.port.is_status_requested();
            let is_idle = !has_frames && self.is_status_old();
            if is_idle {
                self.sink.release_delayed().unwrap_or_else(|error| self.fail(&error));
            }
            if is_due || is_idle || !has_frames && !self.is_status_current {
                self.publish_status();
            }
            // The published status of an idle worker is complete until the next frame or command.
            self.set_status_current(!has_frames);
        }
        self.drain();
        // An error here concerns only the last answers of targets, which the run no longer needs.
        let _ = self.sink.flush();
        self.publish_status();
        WorkerResult {
            counters: self.worker.counters().clone(),
            targets: self.target_reports(),
            impaired: self.sink.final_counts(),
            warnings: self.sink.inner_mut().take_warnings(),
            unaccounted: self.accounting.unaccounted(self.worker.counters()),
            ended_as_requested: true,
        }
    }

    /// Applies all commands. Of consecutive tables only the newest is applied, because loading
    /// programs for a table takes longer than a client needs to send the next one.
    fn carry_out_commands(&mut self) {
        let mut receipts = Vec::new();
        let mut next = self.port.next_command();
        while let Some(command) = next {
            next = self.port.next_command();
            match command {
                Command::Table(table, receipt) => {
                    receipts.push(receipt);
                    if !matches!(next, Some(Command::Table(..))) {
                        let all = Receipt::all(std::mem::take(&mut receipts));
                        self.apply(Command::Table(table, all));
                    }
                }
                // Readers reorder counters for the newest table themselves. Every other command
                // changes the status, which must be marked incomplete before the receipt is dropped.
                command => {
                    self.set_status_current(false);
                    self.apply(command);
                }
            }
        }
    }

    /// Whether the status is older than [`IDLE_WAIT`]: the counts of the kernel may have changed
    /// although no frame arrived.
    fn is_status_old(&self) -> bool {
        self.published.elapsed() >= IDLE_WAIT
    }

    /// Stores only changes, because other threads read the shared flag.
    #[inline]
    fn set_status_current(&mut self, is_current: bool) {
        if std::mem::replace(&mut self.is_status_current, is_current) != is_current {
            self.port.set_status_current(is_current);
        }
    }

    /// Applies a command, then drops its receipt.
    fn apply(&mut self, command: Command) {
        match command {
            Command::Table(table, receipt) => {
                let table = self.guarded(&table).unwrap_or(table);
                if let Err(reason) = self.change_table(table) {
                    receipt.fail(&reason);
                }
            }
            Command::Source(source, receipt) => {
                self.drain_source();
                self.suspend_programs();
                self.source = Some(source);
                self.filter_for(&Arc::clone(self.worker.table()));
                self.end_programs();
                if let (None, Some(failure)) = (&self.source, &self.failure) {
                    receipt.fail(failure);
                }
            }
            Command::Programs(command) => self.attach_programs(command),
            Command::StartPrograms => self.start_programs(),
            Command::SuspendPrograms(_receipt) => self.suspend_until_queues_are_empty(),
            Command::NoSource(_receipt) => self.drain(),
            Command::End => self.is_ending = true,
        }
    }

    /// Replaces the table. The kernel filter is replaced first, because it must not drop frames
    /// that the new table accepts. Returns why the old table stays in force, if it does.
    fn change_table(&mut self, table: Arc<MirrorTable>) -> Result<(), String> {
        self.sink.release_delayed().unwrap_or_else(|error| self.fail(&error));
        self.set_programs_table(&table)?;
        self.filter_for(&table);
        self.worker.change_table(table, Some(INTERFACE));
        Ok(())
    }

    /// Replaces the loop guard, because the targets have changed.
    #[cold]
    fn refresh_guard(&mut self) {
        let table = Arc::clone(self.worker.table());
        if let Some(table) = self.guarded(&table) {
            // If the old table stays in force, this is a warning.
            let _ = self.change_table(table);
        }
    }

    /// The table with the newest loop guard; none if it already has that guard. A table that was
    /// compiled in the background has the guard of the time when its compilation began.
    fn guarded(&mut self, table: &MirrorTable) -> Option<Arc<MirrorTable>> {
        self.guard_generation = self.guard.generation();
        table.with_loop_guard(&self.guard.guard()).map(Arc::new)
    }

    /// Sets the kernel filter for the table. A source that cannot do this is closed.
    fn filter_for(&mut self, table: &MirrorTable) {
        let Some(source) = &mut self.source else { return };
        if let Err(error) = source.set_table(table, INTERFACE) {
            self.fail(&error);
        }
    }

    /// Reports the load about ten times a second to the source, which decides on the kernel filter.
    fn report_load(&mut self) {
        let Some(load) = self.load.sample(self.worker.counters()) else { return };
        if let Some(Err(error)) = self.source.as_mut().map(|source| source.observe_traffic(&load)) {
            self.fail(&error);
        }
    }

    /// Processes one burst. Returns whether it had frames.
    fn step(&mut self) -> bool {
        let Some(source) = &mut self.source else { return self.wait_without_source() };
        match self.worker.step(&mut **source, &mut self.sink) {
            Ok(has_frames) => has_frames,
            Err(StepError::Source(error) | StepError::Sink(error)) => {
                self.fail(&error);
                false
            }
        }
    }

    /// Closes a failed source, or detaches failed programs. The supervisor reads the failure in the status and opens the device
    /// again.
    fn fail(&mut self, error: &io::Error) {
        self.detach_source();
        self.detach_programs();
        self.set_status_current(false);
        self.failure = Some(error.to_string());
    }

    /// Mirrors the frames that are still in the ring, and closes the source. Detaches programs.
    fn drain(&mut self) {
        self.detach_programs();
        self.drain_source();
    }

    /// Mirrors the frames that are still in the ring, and closes the source.
    fn drain_source(&mut self) {
        // If this fails, frames that arrive during the drain are mirrored too, for a limited time.
        let is_closed = self.source.as_mut().is_none_or(|source| source.close().is_ok());
        let (draining, mut quiet) = (Stopwatch::start(), Stopwatch::start());
        while let Some(source) = &self.source {
            let is_announced = source.has_frames();
            let patience = if is_announced { ANNOUNCED_FRAME_TIMEOUT } else { DRAIN_TIMEOUT };
            let is_late = !is_closed && draining.elapsed() >= OPEN_DRAIN_TIMEOUT;
            if is_late || quiet.elapsed() >= patience {
                break;
            }
            self.port.waker().wake();
            if self.step() {
                quiet = Stopwatch::start();
            } else if is_announced {
                thread::park_timeout(Duration::from_millis(1));
            } else {
                thread::yield_now();
            }
        }
        self.detach_source();
    }

    fn detach_source(&mut self) {
        if let Some(mut source) = self.source.take() {
            self.accounting.update(source.final_counts(), &mut self.worker);
            self.accounting.close();
        }
    }

    /// Counts the losses of the source, and what the programs counted.
    fn count_lost(&mut self) {
        self.count_programs();
        if let Some(source) = &mut self.source {
            self.accounting.update(source.counts(), &mut self.worker);
        }
    }

    /// The error that frames are not accounted for, once.
    fn report_unaccounted(&mut self, unaccounted: u64) -> Option<String> {
        if unaccounted == 0 || std::mem::replace(&mut self.has_reported, true) {
            return None;
        }
        Some(format!(
            "{unaccounted} frames that the kernel delivered are not accounted for: they were lost \
             without a count or mirrored twice; this is a defect of traffic-mirror, please report \
             it"
        ))
    }

    fn publish_status(&mut self) {
        self.bursts = 0;
        self.published = Stopwatch::start();
        self.count_lost();
        let warnings = self.source.as_mut().map(|source| source.take_warnings());
        let filter = self.source.as_ref().map(|source| source.filter_state());
        let unaccounted = self.accounting.unaccounted(self.worker.counters());
        let error = self.report_unaccounted(unaccounted);
        let counted = self.accounting.total();
        let ring_len = self.source.as_ref().map_or(0, |source| source.memory_len());
        let targets = self.target_reports();
        let super_frame_segments = counted.super_frame_segments + self.program_segments();
        let Self { worker, sink, port, .. } = self;
        port.publish_status(|status| {
            status.table = Some(Arc::clone(worker.table()));
            status.counters.clone_from(worker.counters());
            status.targets = targets;
            status.impaired = sink.counts();
            status.source = counted;
            status.unaccounted = unaccounted;
            status.super_frame_segments = super_frame_segments;
            status.errors.extend(error);
            status.ring_len = ring_len.try_into().unwrap_or(u64::MAX);
            status.has_source = self.source.is_some() || self.programs.is_some();
            status.failure = self.failure.take().or_else(|| status.failure.take());
            status.warnings.append(&mut sink.inner_mut().take_warnings());
            status.source_warnings.extend(warnings.unwrap_or_default());
            status.source_warnings.append(&mut self.warnings);
            status.filter = filter.unwrap_or_default();
            port.set_has_report(status);
        });
    }
}

#[cfg(test)]
mod tests;
