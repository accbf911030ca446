//! Opens a capture: a file, a pipe, standard input or memory. Detects gzip and zstd by content.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

use super::interruptible::InterruptibleReader;
use super::source::{CaptureSource, StreamOrigin};
use super::window::Window;
use super::zstd::ZstdFrames;
use crate::io::StopFlag;
use crate::io::sys::MappedFile;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Why a capture could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened, or its first bytes cannot be read.
    #[error("{name}: {error}")]
    Io {
        /// The capture.
        name: String,
        /// The error of the system.
        error: io::Error,
    },
    /// The path is a directory.
    #[error("{0}: it is a directory; name the captures in it")]
    Directory(String),
    /// The file is empty.
    #[error("{0}: it is empty: expected a pcap or pcapng capture")]
    Empty(String),
    /// The file is not a capture in a supported format.
    #[error("{name}: not a capture: {what} (expected pcap or pcapng, plain or with gzip or zstd)")]
    NotACapture {
        /// The capture.
        name: String,
        /// What is wrong with its first bytes.
        what: String,
    },
}

#[cfg(unix)]
fn standard_input() -> io::Result<File> {
    use std::os::fd::AsFd;
    io::stdin().as_fd().try_clone_to_owned().map(File::from)
}

#[cfg(windows)]
fn standard_input() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    io::stdin().as_handle().try_clone_to_owned().map(File::from)
}

impl CaptureSource {
    /// Opens a file; `-` is standard input. Regular files are mapped into memory unless compressed.
    ///
    /// # Errors
    /// [`OpenError`]: the file cannot be read or is not a capture.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with_stop(path, &StopFlag::new())
    }

    /// Opens a file as [`open`](Self::open) does. After the flag is set, a read that waits for data
    /// of standard input, a pipe or a device fails within 100 ms.
    ///
    /// # Errors
    /// [`OpenError`]: the file cannot be read or is not a capture.
    pub fn open_with_stop(path: &Path, stop: &StopFlag) -> Result<Self, OpenError> {
        let name = path.display().to_string();
        if name == "-" {
            let name = "standard input";
            let io_error = |error| OpenError::Io { name: name.to_owned(), error };
            // Not `io::Stdin`, because `poll` does not know the contents of its buffer.
            let file = standard_input().map_err(io_error)?;
            return Self::from_reader(name, InterruptibleReader::new(file, stop));
        }
        let io_error = |error| OpenError::Io { name: name.clone(), error };
        let file = File::open(path).map_err(io_error)?;
        let metadata = file.metadata().map_err(io_error)?;
        if metadata.is_dir() {
            return Err(OpenError::Directory(name));
        }
        if !metadata.is_file() {
            return Self::from_reader(&name, InterruptibleReader::new(file, stop));
        }
        if metadata.len() == 0 {
            return Err(OpenError::Empty(name));
        }
        let map = MappedFile::new(&file).map_err(io_error)?;
        if Compression::detect(map.bytes()).is_some() {
            let mut source = Self::from_reader(&name, file)?;
            source.origin = StreamOrigin::File(path.to_path_buf());
            return Ok(source);
        }
        Self::from_window(&name, Window::mapped(map))
    }

    /// Reads a stream. Compressed content is decompressed.
    ///
    /// # Errors
    /// [`OpenError`], as for a file.
    pub fn from_reader(name: &str, reader: impl Read + Send + 'static) -> Result<Self, OpenError> {
        let mut reader = BufReader::with_capacity(64 * 1024, reader);
        let start = read_magic(&mut reader);
        let start = start.map_err(|error| OpenError::Io { name: name.to_owned(), error })?;
        if start.is_empty() {
            return Err(OpenError::Empty(name.to_owned()));
        }
        let whole = io::Cursor::new(start.clone()).chain(reader);
        let plain: Box<dyn Read + Send> = match Compression::detect(&start) {
            None => Box::new(whole),
            Some(Compression::Gzip) => Box::new(MultiGzDecoder::new(BufReader::new(whole))),
            Some(Compression::Zstd) => Box::new(ZstdFrames::new(BufReader::new(whole))),
        };
        Self::from_window(name, Window::stream(plain))
    }

    /// Reads a capture in memory.
    ///
    /// # Errors
    /// [`OpenError`], as for a file.
    pub fn from_bytes(name: &str, bytes: impl Into<Bytes>) -> Result<Self, OpenError> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Err(OpenError::Empty(name.to_owned()));
        }
        if Compression::detect(&bytes).is_some() {
            let mut source = Self::from_reader(name, io::Cursor::new(bytes.clone()))?;
            source.origin = StreamOrigin::Memory(bytes);
            return Ok(source);
        }
        Self::from_window(name, Window::memory(bytes))
    }

    fn from_window(name: &str, window: Window) -> Result<Self, OpenError> {
        let name = name.to_owned();
        match Self::new(name.clone(), window) {
            Ok(Ok(source)) => Ok(source),
            Ok(Err(what)) => Err(OpenError::NotACapture { name, what }),
            Err(error) => Err(OpenError::Io { name, error }),
        }
    }
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    fn detect(start: &[u8]) -> Option<Self> {
        if start.starts_with(&GZIP) {
            Some(Self::Gzip)
        } else if start.starts_with(&ZSTD) || is_skippable_frame(start) {
            Some(Self::Zstd)
        } else {
            None
        }
    }
}

/// Whether the bytes start with a skippable frame of zstd (RFC 8878, section 3.1.2).
fn is_skippable_frame(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// The first four bytes of a stream, which identify its format.
fn read_magic(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    reader.take(4).read_to_end(&mut start)?;
    Ok(start)
}
