//! Commands to a worker thread, and the status that it publishes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::receipt::Receipt;
use super::status::Status;
use crate::dataplane::{Counters, MirrorTable};
use crate::io::live::{FilterState, LiveSource, SourceCounts, Waker};
use crate::io::udp::TargetReport;

/// What a worker is to do between two bursts.
pub(super) enum Command {
    /// Go on with this table, in which the worker's interface has index 0. The receipt is dropped
    /// when the table is in force.
    Table(Arc<MirrorTable>, Receipt),
    /// Frames come from here now. The receipt is dropped when they do.
    Source(Box<dyn LiveSource>, Receipt),
    /// There are no frames any more.
    NoSource,
    /// Mirror what is in the ring, and end.
    End,
}

/// What a worker publishes.
#[derive(Debug, Clone, Default)]
pub(super) struct WorkerStatus {
    /// The table that the counters are ordered by; none before the first status.
    pub(super) table: Option<Arc<MirrorTable>>,
    pub(super) counters: Counters,
    pub(super) targets: Vec<TargetReport>,
    /// What the sources of the worker counted.
    pub(super) source: SourceCounts,
    /// How many frames are not accounted for.
    pub(super) unaccounted: u64,
    /// Bytes of memory that the ring takes.
    pub(super) ring_len: u64,
    pub(super) has_source: bool,
    /// Why the worker left its source, until somebody takes note.
    pub(super) failure: Option<String>,
    /// Faults of this program.
    pub(super) errors: Vec<String>,
    /// Warnings for the user.
    pub(super) warnings: Vec<String>,
    /// The same of the source.
    pub(super) source_warnings: Vec<String>,
    /// The state of the kernel's filter.
    pub(super) filter: FilterState,
}

/// The mailbox and the status of a worker.
#[derive(Clone)]
pub(super) struct WorkerPort {
    sender: Sender<Command>,
    mailbox: Receiver<Command>,
    status: Status<WorkerStatus>,
    /// Whether the status has something to report.
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

    /// Sends a command, which the worker carries out between two bursts.
    pub(super) fn send(&self, command: Command) {
        // The port holds both ends of the mailbox, so it takes everything.
        let _ = self.sender.send(command);
        self.waker.wake();
    }

    /// The next command, if one has come; two loads where none has.
    #[inline]
    pub(super) fn next_command(&self) -> Option<Command> {
        if self.mailbox.is_empty() { None } else { self.mailbox.try_recv().ok() }
    }

    /// Asks for the status to be written anew.
    pub(super) fn request_status(&self) {
        self.status.request();
    }

    /// Whether the status should be written anew.
    #[inline]
    pub(super) fn is_status_requested(&self) -> bool {
        self.status.is_requested()
    }

    /// Writes the status.
    pub(super) fn publish_status(&self, write: impl FnOnce(&mut WorkerStatus)) {
        self.status.publish(write);
    }

    /// Notes whether a status that is being written has something to report.
    pub(super) fn set_has_report(&self, status: &WorkerStatus) {
        let is_silent = status.failure.is_none()
            && status.errors.is_empty()
            && status.warnings.is_empty()
            && status.source_warnings.is_empty();
        if !is_silent {
            self.has_report.store(true, Ordering::Release);
        }
    }

    /// Whether there is something to report; false from then on. So most statuses are not read.
    pub(super) fn take_has_report(&self) -> bool {
        self.has_report.load(Ordering::Acquire) && self.has_report.swap(false, Ordering::AcqRel)
    }

    /// Whether the worker is idle, and its status says all that it did.
    pub(super) fn is_status_current(&self) -> bool {
        self.status.is_current()
    }

    /// Tells readers whether the worker is idle and has published its status.
    pub(super) fn set_status_current(&self, is_current: bool) {
        self.status.set_current(is_current);
    }

    /// What was published last.
    pub(super) fn status(&self) -> MutexGuard<'_, WorkerStatus> {
        self.status.read()
    }
}
