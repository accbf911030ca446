//! Plays a capture through the sessions of a network interface.
//!
//! A play uses the loop and the tables of live mirroring. All frames belong to the interface. Its
//! MAC and IP addresses decide on the direction of a frame; where they do not, the capture does.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::Lab;
use super::copy_sink::CopySink;
use super::error::LabError;
use crate::dataplane::{
    Burst, InterfaceIndex, MirrorTable, Sink, Source, StepError, TableParts, Worker,
};
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

/// Lends the frames of a capture with their direction at an interface.
struct DirectedSource<'s> {
    capture: &'s mut dyn Source,
    table: Arc<MirrorTable>,
    direction: Option<Direction>,
}

impl Source for DirectedSource<'_> {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        self.capture.fill(burst)?;
        for frame in burst.iter_mut() {
            let direction = self.direction.unwrap_or_else(|| self.table.direction_of(frame));
            frame.direction = Some(direction);
        }
        Ok(())
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
        self.check_interface(id)?;
        let played = match input {
            PlayInput::Frames(frames) => {
                self.play_source(id, &mut FrameSource::new(frames), options)?
            }
            PlayInput::Capture(bytes) => {
                let opened = CaptureSource::from_bytes("the capture", bytes);
                self.play_capture(id, opened, options)?
            }
            PlayInput::Pinned => {
                let path = self.pinned_capture(id)?;
                self.play_capture(id, CaptureSource::open(&path), options)?
            }
        };
        self.shared.totals().add(&played.report);
        Ok(played)
    }

    fn play_capture(
        &self,
        id: &NetworkInterfaceId,
        opened: Result<CaptureSource, OpenError>,
        options: PlayOptions,
    ) -> Result<Played, LabError> {
        let mut source = opened.map_err(|error| LabError::invalid("InvalidCapture", error))?;
        let played = self.play_source(id, &mut source, options)?;
        Ok(Played { warnings: source.take_warnings(), ..played })
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

    /// Plays the frames of any source.
    fn play_source(
        &self,
        id: &NetworkInterfaceId,
        capture: &mut dyn Source,
        options: PlayOptions,
    ) -> Result<Played, LabError> {
        let stopwatch = Stopwatch::start();
        let table = self.table_for_play(id)?;
        let mut source =
            DirectedSource { capture, table: Arc::clone(&table), direction: options.direction };
        let (copies, changed) = (&self.shared.copies, &self.shared.copies_changed);
        let sink =
            CopySink::new(Arc::clone(copies), Arc::clone(changed), table.clone(), options.explain);
        let sink =
            OptionallyImpaired::new(sink, self.shared.options.impairments, self.play_seed(id));
        let mut sink = PacedSink::new(sink, options.speed, self.shared.stop.clone());
        let mut worker = Worker::new(table).with_interface(InterfaceIndex::FIRST);
        let error = loop {
            if self.shared.stop.is_set() {
                break Some("the laboratory was stopped".to_owned());
            }
            match worker.step(&mut source, &mut sink) {
                Ok(true) => {}
                Ok(false) => break None,
                Err(StepError::Source(error) | StepError::Sink(error)) => {
                    break Some(error.to_string());
                }
            }
            if self.is_current(id, worker.table()) {
                continue;
            }
            let newest = match self.table_for_play(id) {
                Ok(newest) => newest,
                Err(gone) => break Some(gone.message),
            };
            // Delayed copies belong to the table of their session.
            sink.inner_mut().release_delayed().map_err(LabError::failed)?;
            source.table = Arc::clone(&newest);
            sink.inner_mut().inner_mut().change_table(Arc::clone(&newest));
            worker.change_table(newest, Some(InterfaceIndex::FIRST));
        };
        sink.flush().map_err(LabError::failed)?;
        let mut report = MirrorReport::new(worker.table(), worker.counters(), stopwatch.elapsed());
        report.set_impaired(sink.inner().final_counts());
        Ok(Played {
            report,
            explanations: sink.into_inner().into_inner().into_explanations(),
            error,
            warnings: Vec::new(),
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

pub(super) fn unknown_interface(id: &NetworkInterfaceId) -> LabError {
    let message = format!("The networkInterface ID '{id}' does not exist");
    LabError::not_found("InvalidNetworkInterfaceID.NotFound", message)
}
