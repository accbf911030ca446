//! The programs of an interface in the kernel tier, as a worker uses them.

use std::io;
use std::sync::Arc;

use super::receipt::Receipt;
use crate::dataplane::kernel::MirrorState;
use crate::dataplane::{Counters, MirrorTable};
use crate::io::kernel::{KernelMirror, KernelTierError};
use crate::io::udp::TargetReport;

/// The attached programs of an interface. They are detached when the value is dropped.
pub(super) trait KernelPrograms: Send {
    /// Replaces the table. On an error the programs of the old table stay in force.
    fn set_table(&mut self, table: &Arc<MirrorTable>) -> Result<(), KernelTierError>;

    /// Changes what the programs do with the frames that sessions accept.
    ///
    /// # Errors
    /// The kernel refuses the change.
    fn set_state(&mut self, state: MirrorState) -> io::Result<()>;

    /// Counts all copies as dropped from now on, in the counters of a table that does not fit.
    ///
    /// # Errors
    /// The kernel refuses the change.
    fn suspend(&mut self, table: &Arc<MirrorTable>) -> io::Result<()>;

    /// The segments of super-frames that the programs received.
    fn super_frame_segments(&self) -> u64;

    /// Detaches the programs. [`KernelPrograms::add_counts`] then adds their last counts.
    fn detach(&mut self);

    /// Adds what the programs counted since the last call to the counters of the current table.
    ///
    /// # Errors
    /// The kernel does not return the counters.
    fn add_counts(&mut self, counters: &mut Counters) -> io::Result<()>;

    /// The number of frames that the programs did not count exactly once. It may be above zero
    /// while frames are being processed.
    fn unaccounted(&self) -> u64;

    /// Updates the paths to the targets.
    fn refresh(&mut self) -> Result<(), KernelTierError>;

    /// The copies by target.
    fn target_reports(&self) -> Vec<TargetReport>;
}

impl KernelPrograms for KernelMirror {
    fn set_table(&mut self, table: &Arc<MirrorTable>) -> Result<(), KernelTierError> {
        Self::set_table(self, Arc::clone(table))
    }

    fn set_state(&mut self, state: MirrorState) -> io::Result<()> {
        Self::set_state(self, state)
    }

    fn suspend(&mut self, table: &Arc<MirrorTable>) -> io::Result<()> {
        Self::suspend(self, Arc::clone(table))
    }

    fn super_frame_segments(&self) -> u64 {
        Self::super_frame_segments(self)
    }

    fn detach(&mut self) {
        Self::detach(self);
    }

    fn add_counts(&mut self, counters: &mut Counters) -> io::Result<()> {
        Self::add_counts(self, counters)
    }

    fn unaccounted(&self) -> u64 {
        Self::unaccounted(self)
    }

    fn refresh(&mut self) -> Result<(), KernelTierError> {
        Self::refresh(self)
    }

    fn target_reports(&self) -> Vec<TargetReport> {
        Self::target_reports(self)
    }
}

/// Attaches the programs of a table to a device. They are silent at first.
pub(super) type AttachPrograms =
    Box<dyn FnOnce(&Arc<MirrorTable>) -> Result<Box<dyn KernelPrograms>, KernelTierError> + Send>;

/// Why the kernel tier does not mirror an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TierRefusal {
    /// A sentence without a period.
    pub(super) reason: String,
    /// Whether the sessions are the reason, so that other sessions may fit.
    pub(super) is_about_sessions: bool,
    /// Whether the traffic is the reason, so that the interface may move back.
    pub(super) is_about_traffic: bool,
    /// Whether the same attempt may succeed later.
    pub(super) is_temporary: bool,
    /// The log of the verifier.
    pub(super) log: Option<String>,
}

impl TierRefusal {
    /// A reason that does not depend on the sessions.
    pub(super) const fn permanent(reason: String) -> Self {
        Self {
            reason,
            is_about_sessions: false,
            is_about_traffic: false,
            is_temporary: false,
            log: None,
        }
    }

    /// Super-frames dominate the traffic.
    pub(super) fn super_frames() -> Self {
        let reason = "super-frames are most of its traffic".to_owned();
        Self { is_about_traffic: true, ..Self::permanent(reason) }
    }
}

impl From<KernelTierError> for TierRefusal {
    fn from(error: KernelTierError) -> Self {
        let reason = error.to_string();
        let is_about_sessions = matches!(error, KernelTierError::DoesNotFit(_));
        let is_temporary = matches!(error, KernelTierError::Io(_));
        let log = match error {
            KernelTierError::Rejected { log } => Some(log),
            _ => None,
        };
        Self { is_about_sessions, is_temporary, log, ..Self::permanent(reason) }
    }
}

/// What a worker reports about the programs of its interface.
pub(super) enum ProgramsReport {
    /// They are attached.
    Attached,
    /// They could not be attached, or do not fit a new table and drop all copies.
    Refused(TierRefusal),
}

/// Sends a report to the supervisor.
pub(super) type AttachReport = Box<dyn Fn(ProgramsReport) + Send>;

/// The programs that a worker has attached.
pub(super) struct AttachedPrograms {
    pub(super) programs: Box<dyn KernelPrograms>,
    /// Whether the programs of the old table stay in force if a new table does not fit.
    pub(super) keeps_table: bool,
    /// Whether they do not fit the newest table and drop all copies until rings are open.
    pub(super) is_suspended: bool,
    /// The last warning about a target that they cannot send to.
    pub(super) path_warning: Option<String>,
    /// Sends a report to the supervisor.
    pub(super) report: AttachReport,
}

/// The command to attach programs.
pub(super) struct AttachCommand {
    pub(super) attach: AttachPrograms,
    /// Whether the programs of the old table stay in force if a new table does not fit.
    pub(super) keeps_table: bool,
    /// Sends a report to the supervisor.
    pub(super) report: AttachReport,
    /// Dropped when the programs are attached, before they mirror a frame. When the other workers
    /// have closed their rings, the worker receives the command to start the programs.
    pub(super) attached: Receipt,
}
