//! Plays a capture through the sessions of a network interface.
//!
//! A play uses the loop and the tables of live mirroring. All frames belong to the interface. Its
//! MAC and IP addresses decide on the direction of a frame; where they do not, the capture does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Lab;
use super::copy_sink::CopySink;
use super::error::LabError;
use super::sources::{DirectedSource, PrefixedFrames, SingleFrameSource};
use crate::dataplane::{InterfaceIndex, MirrorTable, Sink, Source, StepError, TableParts, Worker};
use crate::io::StopFlag;
use crate::io::capture::{CaptureSource, OpenError};
use crate::io::clock::Stopwatch;
use crate::io::impair::{OptionallyImpaired, seed_of};
use crate::io::memory::FrameSource;
use crate::io::pace::{PacedSink, Speed};
use crate::model::{Direction, NetworkInterfaceId};
use crate::report::MirrorReport;

/// What is played.
#[derive(Debug)]
pub enum PlayInput {
    /// A pcap or pcapng capture, plain or compressed.
    Capture(Bytes),
    /// Ethernet frames without times.
    Frames(Vec<Bytes>),
    /// The same in one buffer.
    PrefixedFrames(PrefixedFrames),
    /// The capture of the interface.
    Pinned,
}

/// How a capture is played.
#[derive(Debug, Clone, Copy)]
pub struct PlayOptions {
    /// The speed; the default is as fast as possible.
    pub speed: Speed,
    /// The direction of every frame. By default, addresses or the capture decide.
    pub direction: Option<Direction>,
    /// Whether the decision on each frame is returned.
    pub explain: bool,
}

/// The result of a play.
#[derive(Debug)]
pub struct Played {
    /// The counters.
    pub report: MirrorReport,
    /// The decisions on all frames as a JSON array, if they were requested.
    pub explanations: Option<String>,
    /// The error at which the capture ended early. The frames before it are mirrored.
    pub error: Option<String>,
    /// Warnings about the capture.
    pub warnings: Vec<String>,
}

impl Default for PlayOptions {
    fn default() -> Self {
        Self { speed: Speed::Max, direction: None, explain: false }
    }
}

impl Lab {
    /// Plays frames through the sessions of a network interface. It returns when all frames are
    /// mirrored. Changes of sessions apply to later frames of a play in progress.
    ///
    /// # Errors
    /// [`LabError`]: the interface does not exist, or the bytes are not a capture. A capture that is
    /// damaged after its start is not an error; see [`Played::error`].
    pub fn play(
        &self,
        id: &NetworkInterfaceId,
        input: PlayInput,
        options: PlayOptions,
    ) -> Result<Played, LabError> {
        self.play_until(id, input, options, &StopFlag::new())
    }

    /// The same, until the flag is set. A reset and the end of the laboratory set it too.
    ///
    /// # Errors
    /// Those of [`Lab::play`].
    pub fn play_until(
        &self,
        id: &NetworkInterfaceId,
        input: PlayInput,
        options: PlayOptions,
        stop: &StopFlag,
    ) -> Result<Played, LabError> {
        self.check_interface(id)?;
        let _active = self.shared.plays.begin(stop)?;
        if self.is_stopped() {
            stop.set();
        }
        let play = Play { lab: self, id, options, stop };
        let played = match input {
            PlayInput::Frames(frames) => play.play(&mut FrameSource::new(frames))?,
            PlayInput::PrefixedFrames(mut frames) => play.play(&mut frames)?,
            PlayInput::Capture(bytes) => {
                play.play_capture(CaptureSource::from_bytes("the capture", bytes))?
            }
            PlayInput::Pinned => {
                let path = self.pinned_capture(id)?;
                check_is_file(&path)?;
                play.play_capture(CaptureSource::open(&path))?
            }
        };
        let mut totals = self.shared.totals();
        // A reset sets the flag before it clears the totals.
        if !stop.is_set() {
            totals.add(&played.report);
        }
        drop(totals);
        Ok(played)
    }

    fn pinned_capture(&self, id: &NetworkInterfaceId) -> Result<PathBuf, LabError> {
        let account = self.account();
        let interface = account.registry().network_interface(id);
        let pinned = interface.and_then(|interface| interface.capture.clone());
        pinned.ok_or_else(|| {
            let message = format!(
                "body: expected a capture, because the network interface {id} has none; pin one with \
                 --network-interface {id}=pcap:FILE"
            );
            LabError::invalid("MissingCapture", message)
        })
    }

    /// The seed of the faults of the next play of an interface.
    fn play_seed(&self, id: &NetworkInterfaceId) -> u64 {
        let play = u16::try_from(self.shared.totals().plays() & 0xffff).unwrap_or_default();
        seed_of(self.shared.randomness.seed(), id.as_str(), play)
    }

    /// Whether a table is the newest one of an interface.
    fn is_current(&self, id: &NetworkInterfaceId, table: &MirrorTable) -> bool {
        match self.shared.tables.table(id) {
            Some(newest) => newest.number() == table.number(),
            None => table.sessions().is_empty(),
        }
    }

    fn check_interface(&self, id: &NetworkInterfaceId) -> Result<(), LabError> {
        let is_known = self.account().registry().network_interface(id).is_some();
        if is_known { Ok(()) } else { Err(unknown_interface(id)) }
    }

    /// The table of an interface. An interface without sessions has a table without sessions.
    pub(super) fn table_for_play(
        &self,
        id: &NetworkInterfaceId,
    ) -> Result<Arc<MirrorTable>, LabError> {
        if let Some(table) = self.shared.tables.table(id) {
            return Ok(table);
        }
        let account = self.account();
        let known = account.registry().network_interface(id).cloned();
        let interface = known.ok_or_else(|| unknown_interface(id))?;
        Ok(Arc::new(MirrorTable::new(TableParts {
            settings: account.registry().settings().clone(),
            interfaces: vec![Arc::new(interface)],
            ..TableParts::default()
        })))
    }
}

/// A play in progress.
struct Play<'l> {
    lab: &'l Lab,
    id: &'l NetworkInterfaceId,
    options: PlayOptions,
    stop: &'l StopFlag,
}

impl Play<'_> {
    fn play_capture(&self, opened: Result<CaptureSource, OpenError>) -> Result<Played, LabError> {
        let mut source = opened.map_err(|error| LabError::invalid("InvalidCapture", error))?;
        let played = self.play(&mut source)?;
        Ok(Played { warnings: [source.take_warnings(), played.warnings].concat(), ..played })
    }

    /// Plays the frames of any source. At a speed they are decided one by one, when they are due.
    fn play(&self, frames: &mut dyn Source) -> Result<Played, LabError> {
        match self.options.speed {
            Speed::Max => self.run(frames),
            _ => self.run(&mut SingleFrameSource::new(frames)),
        }
    }

    fn run(&self, capture: &mut dyn Source) -> Result<Played, LabError> {
        let Self { lab, id, options, stop } = *self;
        let stopwatch = Stopwatch::start();
        let table = lab.table_for_play(id)?;
        let mut source =
            DirectedSource { capture, table: Arc::clone(&table), direction: options.direction };
        let sink = CopySink::new(&lab.shared, table.clone(), options.explain, stop);
        let sink = OptionallyImpaired::new(sink, lab.shared.options.impairments, lab.play_seed(id));
        let mut sink = PacedSink::new(sink, options.speed, stop.clone());
        let mut worker = Worker::new(table).with_interface(InterfaceIndex::FIRST);
        let mut removed = Vec::new();
        let error = loop {
            if stop.is_set() {
                break Some("the play was stopped".to_owned());
            }
            match worker.step(&mut source, &mut sink) {
                Ok(true) => {}
                Ok(false) => break None,
                Err(StepError::Source(error) | StepError::Sink(error)) => {
                    break Some(error.to_string());
                }
            }
            if lab.is_current(id, worker.table()) {
                continue;
            }
            let newest = match lab.table_for_play(id) {
                Ok(newest) => newest,
                Err(gone) => break Some(gone.message),
            };
            // Delayed copies belong to the table of their session.
            sink.inner_mut().release_delayed().map_err(LabError::failed)?;
            removed.push(removed_from(&worker, &newest));
            source.table = Arc::clone(&newest);
            sink.inner_mut().inner_mut().change_table(Arc::clone(&newest));
            worker.change_table(newest, Some(InterfaceIndex::FIRST));
        };
        sink.flush().map_err(LabError::failed)?;
        let mut report = MirrorReport::new(worker.table(), worker.counters(), stopwatch.elapsed());
        for MirrorReport { sessions, targets, .. } in removed {
            report.sessions.extend(sessions);
            report.targets.extend(targets);
        }
        report.set_impaired(sink.inner().final_counts());
        let (explanations, warnings) = sink.into_inner().into_inner().into_explanations();
        Ok(Played { report, explanations, error, warnings })
    }
}

/// The sessions that a new table does not have, with the targets that only they used.
fn removed_from(worker: &Worker, newest: &MirrorTable) -> MirrorReport {
    let mut report = MirrorReport::new(worker.table(), worker.counters(), Duration::ZERO);
    report.sessions.retain(|one| {
        newest.sessions().iter().all(|kept| *kept.id.as_str() != *one.traffic_mirror_session_id)
    });
    report.targets.retain(|one| {
        newest.targets().iter().all(|kept| *kept.id.as_str() != *one.traffic_mirror_target_id)
    });
    report
}

/// Checks that a capture is a regular file: a pipe could make its reader wait without end.
pub(super) fn check_is_file(path: &Path) -> Result<(), LabError> {
    let name = path.display();
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => {
            let message = format!("capture `{name}`: expected a regular file");
            Err(LabError::invalid("InvalidCapture", message))
        }
        Err(error) => {
            Err(LabError::invalid("InvalidCapture", format_args!("capture `{name}`: {error}")))
        }
    }
}

pub(super) fn unknown_interface(id: &NetworkInterfaceId) -> LabError {
    let message = format!("The networkInterface ID '{id}' does not exist");
    LabError::not_found("InvalidNetworkInterfaceID.NotFound", message)
}
