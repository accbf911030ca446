//! The outputs of a replay: a capture file, and a UDP socket for each target.

use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::exit::Failure;
use super::signals;
use crate::dataplane::{Burst, Copies, Drops, Sink, Verdict};
use crate::io::StopFlag;
use crate::io::capture::CaptureSource;
use crate::io::impair::{ImpairmentCounts, Impairments, OptionallyImpaired};
use crate::io::pace::{MaxGap, PacedSink, Speed};
use crate::io::record::{OutputFile, PcapSink, PcapngSink, Precision};
use crate::io::udp::{DepartureOrder, TargetReport, UdpOptions, UdpSink};

/// The order in which copies are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SendOrder {
    /// In the order of arrival, across all flows.
    Arrival,
    /// In the order of arrival within each flow.
    Flow,
}

impl From<SendOrder> for DepartureOrder {
    fn from(order: SendOrder) -> Self {
        match order {
            SendOrder::Arrival => Self::Arrival,
            SendOrder::Flow => Self::Flow,
        }
    }
}

/// How copies leave.
pub(super) struct OutputOptions {
    /// The order of the copies, if they are sent.
    pub(super) send: Option<SendOrder>,
    pub(super) speed: Speed,
    pub(super) max_gap: Option<MaxGap>,
    /// The faults, and the seed that selects the copies.
    pub(super) impairments: (Option<Impairments>, u64),
}

/// All outputs of a replay, paced to the requested speed. Faults are injected after pacing, as on
/// the way to a collector.
pub(super) struct Outputs(PacedSink<OptionallyImpaired<TeeSink>>);

/// Sends each copy to its target and writes it to the file. The file also contains the copies that
/// could not be sent.
struct TeeSink {
    udp: Option<UdpSink>,
    file: Option<FileSink>,
}

impl Outputs {
    pub(super) fn new(file: Option<FileSink>, options: &OutputOptions, stop: StopFlag) -> Self {
        let udp_options =
            |order: SendOrder| UdpOptions { order: order.into(), ..UdpOptions::default() };
        let udp = options.send.map(|order| UdpSink::with_options(udp_options(order)));
        let (impairments, seed) = options.impairments;
        let tee = OptionallyImpaired::new(TeeSink { udp, file }, impairments, seed);
        let paced = PacedSink::new(tee, options.speed, stop);
        Self(match options.max_gap {
            Some(max_gap) => paced.with_max_gap(max_gap.duration()),
            None => paced,
        })
    }

    /// Restarts the pace at the start of a capture.
    pub(super) fn begin_pass(&mut self) {
        self.0.begin_pass();
    }

    /// Renames the finished file to its final name.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        self.0.inner_mut().inner_mut().file.take().map_or(Ok(()), FileSink::commit)
    }

    /// The new warnings of the sockets.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        self.0.inner_mut().inner_mut().udp.as_mut().map(UdpSink::take_warnings).unwrap_or_default()
    }

    /// The delivery errors of each target.
    pub(super) fn target_reports(&self) -> Vec<TargetReport> {
        self.0.inner().inner().udp.as_ref().map(UdpSink::target_reports).unwrap_or_default()
    }

    /// What fault injection did, at the end; none without `--impair`.
    pub(super) fn impairment_counts(&self) -> Option<ImpairmentCounts> {
        self.0.inner().final_counts()
    }
}

impl Sink for Outputs {
    fn send(&mut self, copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()> {
        self.0.send(copies, drops)
    }

    fn wants_verdicts(&self) -> bool {
        self.0.wants_verdicts()
    }

    fn observe_verdicts(&mut self, burst: &Burst<'_>, verdicts: &[Verdict]) -> io::Result<()> {
        self.0.observe_verdicts(burst, verdicts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Sink for TeeSink {
    fn send(&mut self, copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()> {
        if let Some(udp) = &mut self.udp {
            udp.send(copies, drops)?;
        }
        self.file.as_mut().map_or(Ok(()), |file| file.send(copies, drops))
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(udp) = &mut self.udp {
            udp.flush()?;
        }
        self.file.as_mut().map_or(Ok(()), Sink::flush)
    }
}

/// A capture file under construction.
pub(super) enum FileSink {
    Pcap(PcapSink<OutputFile>),
    Pcapng(PcapngSink<OutputFile>),
}

impl FileSink {
    /// Creates the file, in the format of its ending. A pcap file with microseconds changes to
    /// nanoseconds when a timestamp needs them, unless it is a pipe.
    pub(super) fn create(path: &Path, precision: Precision) -> io::Result<Self> {
        let file = OutputFile::create(path)?;
        if file.partial_path().is_some() {
            signals::set_unwritten_file(path);
        }
        if is_pcapng(path) {
            PcapngSink::new(file, precision).map(Self::Pcapng)
        } else {
            match precision {
                Precision::Micro => PcapSink::with_auto_precision(file),
                Precision::Nano => PcapSink::new(file, precision),
            }
            .map(Self::Pcap)
        }
    }

    /// Renames the finished file to its final name.
    pub(super) fn commit(self) -> io::Result<()> {
        let file = match self {
            Self::Pcap(sink) => sink.into_inner(),
            Self::Pcapng(sink) => sink.into_inner(),
        };
        let committed = file.commit();
        signals::clear_partial_file();
        committed
    }
}

impl Sink for FileSink {
    fn send(&mut self, copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()> {
        match self {
            Self::Pcap(sink) => sink.send(copies, drops),
            Self::Pcapng(sink) => sink.send(copies, drops),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Pcap(sink) => sink.flush(),
            Self::Pcapng(sink) => sink.flush(),
        }
    }
}

fn extension(path: &Path) -> String {
    path.extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default()
}

pub(super) fn is_pcapng(path: &Path) -> bool {
    ["pcapng", "ntar"].contains(&extension(path).as_str())
}

/// Installs the signal handlers and opens the output, if one is given.
///
/// For a pipe, the handlers are installed after it is opened: opening waits for a reader, and the
/// default action of a signal ends this wait. For a regular file they are installed before, so that
/// a signal cannot leave an empty file behind.
pub(super) fn open_output<T>(
    path: Option<&Path>,
    stop: &StopFlag,
    create: impl FnOnce(&Path) -> io::Result<T>,
) -> Result<Option<T>, Failure> {
    let is_regular = path.is_none_or(OutputFile::is_atomic);
    if is_regular {
        signals::stop_on_signals_and_hang_up(stop)?;
    }
    let output = path.map(create).transpose().map_err(Failure::failed)?;
    if !is_regular {
        signals::stop_on_signals_and_hang_up(stop)?;
    }
    Ok(output)
}

/// The timestamp precision with which the output starts.
///
/// A pcapng input may describe an interface with a finer clock at any position. A regular pcap
/// output is then converted, and a pcapng output gets a second interface. A pcap stream cannot be
/// changed, so it starts with nanoseconds if an input is pcapng.
pub(super) fn precision_for(path: &Path, sources: &[CaptureSource]) -> Precision {
    let can_refine = OutputFile::is_atomic(path) || is_pcapng(path);
    let needs_nanoseconds = |source: &CaptureSource| {
        source.needs_nanoseconds() || (!can_refine && source.may_change_precision())
    };
    if sources.iter().any(needs_nanoseconds) { Precision::Nano } else { Precision::Micro }
}

/// Rejects a name with the ending of a compressed file, and the name of an input.
pub(super) fn check_output_name(path: &Path, inputs: &[PathBuf]) -> Result<(), Failure> {
    let name = path.display();
    if ["gz", "zst", "zstd"].contains(&extension(path).as_str()) {
        return Err(Failure::usage(format_args!(
            "--write `{name}`: expected a name without .{}; compress the file afterwards",
            extension(path)
        )));
    }
    let is_output = |input: &PathBuf| {
        let input = input.canonicalize();
        input.is_ok_and(|input| path.canonicalize().is_ok_and(|output| output == input))
    };
    if path.is_file() && inputs.iter().any(is_output) {
        return Err(Failure::usage(format_args!(
            "--write `{name}`: expected a file that is not an INPUT"
        )));
    }
    Ok(())
}
