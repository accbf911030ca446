//! The commands to a worker thread and the status that it publishes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::kernel_programs::AttachCommand;
use super::receipt::Receipt;
use super::status::Status;
use crate::dataplane::{Counters, MirrorTable};
use crate::io::impair::ImpairmentCounts;
use crate::io::live::{FilterState, LiveSource, SourceCounts, Waker};
use crate::io::udp::TargetReport;

/// A command, which a worker applies between two bursts.
pub(super) enum Command {
    /// Use this table, in which the worker's interface has index 0. The worker drops the receipt
    /// when it has applied the table.
    Table(Arc<MirrorTable>, Receipt),
    /// Read frames from this source. The worker drops the receipt when it has the source.
    Source(Box<dyn LiveSource>, Receipt),
    /// Attach programs in the kernel, which mirror nothing yet.
    Programs(AttachCommand),
    /// Mirror the frames in the ring, close the source, and mirror with the programs.
    StartPrograms,
    /// Count the copies of the programs as dropped from now on. The worker drops the receipt when
    /// this is done.
    SuspendPrograms(Receipt),
    /// Mirror the frames in the ring and close the source, or detach the programs. The worker drops
    /// the receipt when this is done.
    NoSource(Receipt),
    /// Mirror the frames in the ring and end the thread.
    End,
}

/// The published status of a worker.
#[derive(Debug, Clone, Default)]
pub(super) struct WorkerStatus {
    /// The table whose sessions index the counters; none before the first status.
    pub(super) table: Option<Arc<MirrorTable>>,
    pub(super) counters: Counters,
    pub(super) targets: Vec<TargetReport>,
    /// What fault injection did; none without faults.
    pub(super) impaired: Option<ImpairmentCounts>,
    /// The sum of the counts of all sources of the worker.
    pub(super) source: SourceCounts,
    /// The segments of super-frames that the source and the programs received.
    pub(super) super_frame_segments: u64,
    /// The number of frames that are not accounted for.
    pub(super) unaccounted: u64,
    /// The memory of the ring, in bytes.
    pub(super) ring_len: u64,
    pub(super) has_source: bool,
    /// Why the worker closed its source. The supervisor takes it.
    pub(super) failure: Option<String>,
    /// Defects of this program.
    pub(super) errors: Vec<String>,
    /// Warnings about the targets.
    pub(super) warnings: Vec<String>,
    /// Warnings about the source.
    pub(super) source_warnings: Vec<String>,
    /// The state of the filter in the kernel.
    pub(super) filter: FilterState,
}

/// The mailbox and the status of a worker.
#[derive(Clone)]
pub(super) struct WorkerPort {
    sender: Sender<Command>,
    mailbox: Receiver<Command>,
    status: Status<WorkerStatus>,
    /// Whether the status has a failure, an error or a warning that was not reported.
    has_report: Arc<AtomicBool>,
    waker: Waker,
}

impl WorkerPort {
    pub(super) fn new(waker: Waker) -> Self {
        let (sender, mailbox) = unbounded();
        let has_report = Arc::new(AtomicBool::new(false));
        Self { sender, mailbox, status: Status::new(), has_report, waker }
    }

    pub(super) const fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Sends a command and wakes the worker.
    pub(super) fn send(&self, command: Command) {
        // Sending cannot fail, because the port holds both ends of the mailbox.
        let _ = self.sender.send(command);
        self.waker.wake();
    }

    /// The next command, if there is one. An empty mailbox costs two atomic loads.
    #[inline]
    pub(super) fn next_command(&self) -> Option<Command> {
        if self.mailbox.is_empty() { None } else { self.mailbox.try_recv().ok() }
    }

    /// Requests a new status.
    pub(super) fn request_status(&self) {
        self.status.request();
    }

    /// Whether a new status was requested.
    #[inline]
    pub(super) fn is_status_requested(&self) -> bool {
        self.status.is_requested()
    }

    /// Publishes the status.
    pub(super) fn publish_status(&self, write: impl FnOnce(&mut WorkerStatus)) {
        self.status.publish(write);
    }

    /// Sets the report flag if the status has a failure, an error or a warning.
    pub(super) fn set_has_report(&self, status: &WorkerStatus) {
        let is_silent = status.failure.is_none()
            && status.errors.is_empty()
            && status.warnings.is_empty()
            && status.source_warnings.is_empty();
        if !is_silent {
            self.has_report.store(true, Ordering::Release);
        }
    }

    /// Returns and clears the report flag, so that a status without a report need not be read.
    pub(super) fn take_has_report(&self) -> bool {
        self.has_report.load(Ordering::Acquire) && self.has_report.swap(false, Ordering::AcqRel)
    }

    /// Whether the worker is idle and its published status is complete.
    pub(super) fn is_status_current(&self) -> bool {
        self.status.is_current()
    }

    /// Sets whether the worker is idle and its published status is complete.
    pub(super) fn set_status_current(&self, is_current: bool) {
        self.status.set_current(is_current);
    }

    /// The status that was published last.
    pub(super) fn status(&self) -> MutexGuard<'_, WorkerStatus> {
        self.status.read()
    }
}
