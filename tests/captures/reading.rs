//! Reads a capture as file, stream and memory, and asserts that the results are equal.

use std::io::{self, Read};

use traffic_mirror::dataplane::{Burst, Medium, Source};
use traffic_mirror::io::capture::{CaptureSource, OpenError};
use traffic_mirror::model::Direction;

/// An owned copy of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnedFrame {
    pub(crate) bytes: Vec<u8>,
    pub(crate) timestamp_ns: u64,
    pub(crate) wire_len: u32,
    pub(crate) direction: Option<Direction>,
    pub(crate) medium: Medium,
}

/// The content of a capture, and the error that ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CaptureContents {
    pub(crate) frames: Vec<OwnedFrame>,
    pub(crate) end: Option<String>,
}

impl CaptureContents {
    /// The bytes of each frame of a capture that must be valid.
    pub(crate) fn into_valid_frames(self) -> Vec<Vec<u8>> {
        assert_eq!(self.end, None);
        self.frames.into_iter().map(|frame| frame.bytes).collect()
    }

    pub(crate) fn timestamps(&self) -> Vec<u64> {
        self.frames.iter().map(|frame| frame.timestamp_ns).collect()
    }
}

/// Reads to the end, and asserts that further reads return nothing.
pub(crate) fn read(source: &mut CaptureSource) -> CaptureContents {
    let mut frames = Vec::new();
    let mut last_position = source.position_bytes();
    let end = loop {
        let mut burst = Burst::new();
        let filled = source.fill(&mut burst);
        frames.extend(burst.iter().map(|frame| OwnedFrame {
            bytes: frame.bytes.to_vec(),
            timestamp_ns: frame.timestamp_ns,
            wire_len: frame.wire_len,
            direction: frame.direction,
            medium: frame.medium,
        }));
        let frame_count = burst.len();
        drop(burst);
        match filled {
            Err(error) => break Some(error.to_string()),
            Ok(()) if frame_count == 0 => break None,
            Ok(()) => {}
        }
        assert!(source.position_bytes() >= last_position, "the position decreased");
        last_position = source.position_bytes();
    };
    for _ in 0..3 {
        let mut burst = Burst::new();
        assert!(source.fill(&mut burst).is_ok(), "an error was returned twice");
        assert!(burst.is_empty(), "a frame follows the end");
    }
    for frame in &frames {
        assert!(frame.bytes.len() <= usize::try_from(frame.wire_len).unwrap());
    }
    CaptureContents { frames, end }
}

/// A reader that returns a few bytes at a time: the lengths `lens` in turn.
pub(crate) struct ChunkedReader {
    bytes: Vec<u8>,
    at: usize,
    lens: std::iter::Cycle<std::vec::IntoIter<usize>>,
}

impl ChunkedReader {
    pub(crate) fn new(bytes: &[u8], lens: Vec<usize>) -> Self {
        Self { bytes: bytes.to_vec(), at: 0, lens: lens.into_iter().cycle() }
    }
}

impl Read for ChunkedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.lens.next().unwrap_or(1).max(1);
        let len = len.min(buffer.len()).min(self.bytes.len() - self.at);
        buffer[..len].copy_from_slice(&self.bytes[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

type OpenResult = Result<CaptureSource, OpenError>;

fn mapped(bytes: &[u8]) -> OpenResult {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture");
    std::fs::write(&path, bytes).unwrap();
    CaptureSource::open(&path)
}

/// Reads `bytes` from memory, mapped, and as streams that come in one piece, in single bytes and
/// in `lens`. Returns the error if none of these opens them.
pub(crate) fn try_read_all_ways(bytes: &[u8], lens: &[usize]) -> Result<CaptureContents, String> {
    let chunked =
        |lens: Vec<usize>| CaptureSource::from_reader("capture", ChunkedReader::new(bytes, lens));
    let ways: [(&str, OpenResult); 5] = [
        ("memory", CaptureSource::from_bytes("capture", bytes.to_vec())),
        ("mapped", mapped(bytes)),
        ("stream", CaptureSource::from_reader("capture", io::Cursor::new(bytes.to_vec()))),
        ("single bytes", chunked(vec![1])),
        ("pieces", chunked(lens.to_vec())),
    ];
    let is_gzip = bytes.starts_with(&[0x1f, 0x8b]);
    let mut first = None;
    for (way, opened) in ways {
        let outcome = opened.map(|mut source| read(&mut source));
        let outcome = outcome.map_err(|error| without_folder(&error.to_string()));
        let outcome = outcome.map(|contents| CaptureContents {
            end: contents.end.as_deref().map(without_folder),
            ..contents
        });
        let first = first.get_or_insert_with(|| outcome.clone());
        // A decoder of gzip may discard what it decoded when it finds damage in the same call, so
        // the error depends on the pieces.
        if !(is_gzip && outcome.is_err() && first.is_err()) {
            assert_eq!(&outcome, first, "{way}");
        }
    }
    first.unwrap()
}

/// Reads a capture that must open, in all ways.
pub(crate) fn read_all_ways(bytes: &[u8]) -> CaptureContents {
    try_read_all_ways(bytes, &[7, 1, 300]).unwrap()
}

/// The message for a capture without a path.
fn without_folder(message: &str) -> String {
    match message.split_once("/capture: ") {
        Some((folder, rest)) if !folder.contains(' ') => format!("capture: {rest}"),
        _ => message.to_owned(),
    }
}
