//! Where the copies of a replay go: a file, and for each target a socket.

use std::io;
use std::path::{Path, PathBuf};

use super::exit::Failure;
use crate::dataplane::{Copies, Drops, Sink};
use crate::io::record::{OutputFile, PcapSink, PcapngSink, Precision};

/// A capture file that is being written.
pub(super) enum FileSink {
    Pcap(PcapSink<OutputFile>),
    Pcapng(PcapngSink<OutputFile>),
}

impl FileSink {
    /// Begins the file; its ending tells the format.
    pub(super) fn create(path: &Path, precision: Precision) -> io::Result<Self> {
        let file = OutputFile::create(path)?;
        if is_pcapng(path) {
            PcapngSink::new(file, precision).map(Self::Pcapng)
        } else {
            PcapSink::new(file, precision).map(Self::Pcap)
        }
    }

    /// Gives the file its name.
    pub(super) fn commit(self) -> io::Result<()> {
        match self {
            Self::Pcap(sink) => sink.into_inner().commit(),
            Self::Pcapng(sink) => sink.into_inner().commit(),
        }
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

fn ending(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

fn is_pcapng(path: &Path) -> bool {
    ["pcapng", "ntar"].contains(&ending(path).as_str())
}

/// Refuses names that promise what is not done.
pub(super) fn check_name(path: &Path, inputs: &[PathBuf]) -> Result<(), Failure> {
    let name = path.display();
    if ["gz", "zst", "zstd"].contains(&ending(path).as_str()) {
        return Err(Failure::usage(format_args!(
            "--write `{name}`: expected a name without .{}; compress the file afterwards",
            ending(path)
        )));
    }
    let same = |input: &PathBuf| {
        input.canonicalize().is_ok_and(|input| path.canonicalize().is_ok_and(|own| own == input))
    };
    if path.is_file() && inputs.iter().any(same) {
        return Err(Failure::usage(format_args!(
            "--write `{name}`: expected another name than that of an INPUT"
        )));
    }
    Ok(())
}
