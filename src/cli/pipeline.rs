//! The way of a replay from captures to outputs: on one thread to any output, or on several threads
//! to a pcap file.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::outputs::Outputs;
use super::progress::ProgressDisplay;
use super::{signals, terminal};
use crate::dataplane::{Counters, MirrorTable, Sink, StepError, Worker};
use crate::io::StopFlag;
use crate::io::capture::CaptureSource;
use crate::io::impair::ImpairmentCounts;
use crate::io::parallel::ParallelMirror;
use crate::io::record::{OutputFile, Precision};
use crate::io::udp::TargetReport;
use crate::model::Direction;

/// Mirrors captures to the outputs.
pub(super) enum Pipeline {
    Serial {
        worker: Box<Worker>,
        outputs: Box<Outputs>,
    },
    /// Without a mirror after the file has its final name.
    Parallel(Option<ParallelMirror>),
}

/// A pcap file that several threads write.
pub(super) struct ParallelFile(OutputFile, Precision);

impl ParallelFile {
    /// Creates the file, which starts with timestamps of this precision.
    pub(super) fn create(path: &Path, precision: Precision) -> io::Result<Self> {
        let file = OutputFile::create(path)?;
        signals::set_unwritten_file(path);
        Ok(Self(file, precision))
    }
}

impl Pipeline {
    pub(super) fn serial(
        table: &Arc<MirrorTable>,
        direction: Option<Direction>,
        outputs: Outputs,
    ) -> Self {
        let worker = Worker::new(Arc::clone(table)).with_direction(direction);
        Self::Serial { worker: Box::new(worker), outputs: Box::new(outputs) }
    }

    pub(super) fn parallel(
        table: &Arc<MirrorTable>,
        direction: Option<Direction>,
        workers: usize,
        ParallelFile(file, precision): ParallelFile,
    ) -> io::Result<Self> {
        let mirror = ParallelMirror::new(table, direction, workers, (file, precision))?;
        Ok(Self::Parallel(Some(mirror)))
    }

    /// Mirrors a capture to its end, or until `stop` is set.
    pub(super) fn mirror(
        &mut self,
        source: &mut CaptureSource,
        stop: &StopFlag,
        progress: &ProgressDisplay,
    ) -> Result<(), StepError> {
        let (worker, outputs) = match self {
            Self::Serial { worker, outputs } => (worker, outputs),
            Self::Parallel(Some(mirror)) => {
                return mirror.mirror(source, stop, |source| progress.update(source));
            }
            Self::Parallel(None) => return Ok(()),
        };
        outputs.begin_pass();
        while !stop.is_set() && worker.step(source, &mut **outputs)? {
            progress.update(source);
            // A target that refuses copies is reported at once.
            outputs.take_warnings().iter().for_each(|one| terminal::warn(one));
        }
        Ok(())
    }

    /// Writes buffered output.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Serial { outputs, .. } => outputs.flush(),
            Self::Parallel(_) => Ok(()),
        }
    }

    /// Gives a finished file its final name.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        match self {
            Self::Serial { outputs, .. } => outputs.commit(),
            Self::Parallel(mirror) => {
                let committed = mirror.take().map_or(Ok(()), ParallelMirror::commit);
                signals::clear_partial_file();
                committed
            }
        }
    }

    pub(super) fn counters(&self) -> Counters {
        match self {
            Self::Serial { worker, .. } => worker.counters().clone(),
            Self::Parallel(mirror) => {
                mirror.as_ref().map(ParallelMirror::counters).unwrap_or_default()
            }
        }
    }

    /// The new warnings of the sockets.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        match self {
            Self::Serial { outputs, .. } => outputs.take_warnings(),
            Self::Parallel(_) => Vec::new(),
        }
    }

    /// What fault injection did, at the end; none without `--impair`.
    pub(super) fn impairment_counts(&self) -> Option<ImpairmentCounts> {
        match self {
            Self::Serial { outputs, .. } => outputs.impairment_counts(),
            Self::Parallel(_) => None,
        }
    }

    /// The delivery errors of each target.
    pub(super) fn target_reports(&self) -> Vec<TargetReport> {
        match self {
            Self::Serial { outputs, .. } => outputs.target_reports(),
            Self::Parallel(_) => Vec::new(),
        }
    }
}
