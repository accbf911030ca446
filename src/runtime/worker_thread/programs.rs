//! The worker of an interface in the kernel tier: programs in the kernel evaluate and copy the
//! frames, and the worker reads their counters and changes their table.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{IDLE_WAIT, WorkerThread};
use crate::dataplane::MirrorTable;
use crate::dataplane::kernel::MirrorState;
use crate::io::clock::Stopwatch;
use crate::io::kernel::KernelTierError;
use crate::io::udp::TargetReport;
use crate::runtime::kernel_programs::{AttachCommand, AttachedPrograms, ProgramsReport};

/// How often the paths of programs are updated.
const REFRESH_INTERVAL: Duration = Duration::from_millis(200);

/// How long an egress frame may wait in the queue of the mirrored device, after the programs and
/// before a packet socket see it.
const QUEUE_DELAY: Duration = Duration::from_millis(20);

impl WorkerThread {
    /// Attaches programs for the current table. They count what they drop before the first source is
    /// closed, so that every frame is counted. The source of this worker is closed at the same time
    /// as those of the others, and is drained when the programs start.
    pub(super) fn attach_programs(&mut self, command: AttachCommand) {
        self.detach_programs();
        let AttachCommand { attach, keeps_table, report, attached: _attached } = command;
        match attach(self.worker.table()) {
            Ok(programs) => {
                let is_suspended = false;
                self.programs = Some(AttachedPrograms {
                    programs,
                    keeps_table,
                    is_suspended,
                    path_warning: None,
                    report,
                });
                self.suspend_programs();
                // If this fails, the source is closed when the programs start.
                let _ = self.source.as_mut().map(|source| source.close());
            }
            Err(error) => self.refused = Some((report, error.into())),
        }
    }

    /// Drains the source and mirrors with the programs, and reports whether they were attached. The
    /// programs send the first copy after the last copy of all sources.
    pub(super) fn start_programs(&mut self) {
        self.drain_source();
        if let Some((report, refusal)) = self.refused.take() {
            report(ProgramsReport::Refused(refusal));
        }
        self.set_programs_state(MirrorState::Sending);
        if let Some(attached) = self.programs.as_ref().filter(|attached| !attached.is_suspended) {
            (attached.report)(ProgramsReport::Attached);
        }
    }

    /// Counts the copies of the programs as dropped from now on.
    pub(super) fn suspend_programs(&mut self) {
        self.set_programs_state(MirrorState::Dropping);
    }

    /// Counts the copies of the programs as dropped, and waits until packet sockets have seen the egress
    /// frames whose copies were sent, so that a source does not mirror them again.
    pub(super) fn suspend_until_queues_are_empty(&mut self) {
        self.suspend_programs();
        let waited = Stopwatch::start();
        while self.programs.is_some() && waited.elapsed() < QUEUE_DELAY {
            thread::park_timeout(QUEUE_DELAY.saturating_sub(waited.elapsed()));
        }
    }

    /// Detaches the programs, because a source mirrors the frames from now on.
    pub(super) fn end_programs(&mut self) {
        self.set_programs_state(MirrorState::Silent);
        // These are the last counts. Frames that the programs see until they are detached are
        // counted by the source.
        self.count_programs();
        self.detach_programs();
    }

    fn set_programs_state(&mut self, state: MirrorState) {
        let Some(attached) = &mut self.programs else { return };
        if attached.is_suspended && state == MirrorState::Sending {
            return;
        }
        if let Err(error) = attached.programs.set_state(state) {
            self.fail(&error);
        }
    }

    /// The segments of super-frames that programs received.
    pub(super) fn program_segments(&self) -> u64 {
        let attached = self.programs.as_ref();
        self.detached_segments + attached.map_or(0, |one| one.programs.super_frame_segments())
    }

    /// Changes the table of the programs. If it does not fit, either the old table stays in force,
    /// and the reason is returned, or the programs drop all copies until rings are open.
    pub(super) fn set_programs_table(&mut self, table: &Arc<MirrorTable>) -> Result<(), String> {
        self.count_programs();
        let Some(attached) = &mut self.programs else { return Ok(()) };
        if attached.is_suspended {
            if let Err(error) = attached.programs.suspend(table) {
                self.fail(&error);
            }
            return Ok(());
        }
        let Err(error) = attached.programs.set_table(table) else { return Ok(()) };
        if attached.keeps_table {
            let reason = format!(
                "the change is not in force, the previous sessions stay: the kernel tier cannot \
                 mirror the new ones: {error}"
            );
            self.warnings.push(reason.clone());
            self.publish_status();
            return Err(reason);
        }
        attached.is_suspended = true;
        let suspended = attached.programs.suspend(table);
        (attached.report)(ProgramsReport::Refused(error.into()));
        if let Err(error) = suspended {
            self.fail(&error);
        }
        Ok(())
    }

    /// Detaches the programs and adds their last counts.
    pub(super) fn detach_programs(&mut self) {
        let Some(attached) = &mut self.programs else { return };
        attached.programs.detach();
        self.count_programs();
        let Some(attached) = self.programs.take() else { return };
        self.detached_segments += attached.programs.super_frame_segments();
        self.accounting.add_miscounted(attached.programs.unaccounted());
        for report in attached.programs.target_reports() {
            report.add_to(&mut self.detached_targets);
        }
    }

    /// Adds what the programs counted since the last call.
    pub(super) fn count_programs(&mut self) {
        let Some(attached) = &mut self.programs else { return };
        let counters = self.worker.counters_mut();
        let frames = counters.frames;
        if let Err(error) = attached.programs.add_counts(counters) {
            self.warnings.push(format!("the counters of the kernel tier cannot be read: {error}"));
        }
        self.accounting.add_in_kernel(counters.frames.saturating_sub(frames));
    }

    /// Waits for a command. Programs are refreshed meanwhile. Returns whether the worker has
    /// programs, because their counters may change at any time.
    pub(super) fn wait_without_source(&mut self) -> bool {
        let interval = if self.programs.is_some() { REFRESH_INTERVAL } else { IDLE_WAIT };
        self.port.waker().wait(interval);
        if let Some(Err(error)) = self.programs.as_mut().map(|one| one.programs.refresh()) {
            self.report_unusable_path(error);
        }
        self.programs.is_some()
    }

    /// The programs cannot send to a target, whose copies they count as dropped: the supervisor is
    /// told so that it uses the ring, or a warning is reported once.
    fn report_unusable_path(&mut self, error: KernelTierError) {
        let table = Arc::clone(self.worker.table());
        let Some(attached) = &mut self.programs else { return };
        if !matches!(error, KernelTierError::Path(_)) {
            return self.fail(&io::Error::other(error));
        }
        if attached.keeps_table {
            let warning = error.to_string();
            if attached.path_warning.as_ref() != Some(&warning) {
                attached.path_warning = Some(warning.clone());
                self.warnings.push(warning);
                self.publish_status();
            }
            return;
        }
        attached.is_suspended = true;
        let suspended = attached.programs.suspend(&table);
        (attached.report)(ProgramsReport::Refused(error.into()));
        if let Err(error) = suspended {
            self.fail(&error);
        }
    }

    /// The copies of the sockets and of the programs, by target.
    pub(super) fn target_reports(&self) -> Vec<TargetReport> {
        let mut reports = self.sink.inner().target_reports();
        let attached = self.programs.iter().flat_map(|one| one.programs.target_reports());
        for report in self.detached_targets.iter().copied().chain(attached) {
            report.add_to(&mut reports);
        }
        reports
    }
}

#[cfg(test)]
mod tests;
