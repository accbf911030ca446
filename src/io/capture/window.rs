//! A window on the bytes of a capture: the whole file, or the buffered part of a stream.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;

use crate::io::sys::MappedFile;

/// The length of one read from a stream, in bytes.
const CHUNK_LEN: usize = 256 * 1024;

/// The distance of page read-ahead from the cursor, in bytes.
const POPULATE_LEN: usize = 2 * 1024 * 1024;

/// Bytes with a cursor.
pub(super) struct Window {
    bytes: Backing,
    /// The offset of the cursor in the buffered bytes.
    at: usize,
    /// The offset of the first buffered byte in the capture.
    buffer_start: u64,
}

enum Backing {
    Mapped(MappedWindow),
    /// The bytes of a mapped file up to `end`.
    MappedPart {
        map: Arc<MappedFile>,
        end: usize,
    },
    Memory(Bytes),
    Stream(Stream),
}

/// A reused buffer, of which the first `filled` bytes are valid. It is not shortened, because
/// zeroing it again for each read of a slow pipe would cost more than the read.
struct Stream {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    filled: usize,
    is_at_end: bool,
}

/// A mapped file, of which the pages around the cursor are in memory.
struct MappedWindow {
    map: Arc<MappedFile>,
    /// The bytes up to this offset were loaded.
    populated: usize,
    /// The pages up to this offset were released.
    released: usize,
    /// The number of bytes before the cursor that may be in use.
    lag: usize,
}

impl Window {
    pub(super) fn mapped(map: MappedFile) -> Self {
        Self::new(Backing::Mapped(MappedWindow {
            map: Arc::new(map),
            populated: 0,
            released: 0,
            lag: 0,
        }))
    }

    pub(super) fn memory(bytes: Bytes) -> Self {
        Self::new(Backing::Memory(bytes))
    }

    pub(super) fn stream(reader: Box<dyn Read + Send>) -> Self {
        Self::new(Backing::Stream(Stream {
            reader,
            buffer: Vec::new(),
            filled: 0,
            is_at_end: false,
        }))
    }

    const fn new(bytes: Backing) -> Self {
        Self { bytes, at: 0, buffer_start: 0 }
    }

    /// The buffered bytes from the cursor on.
    pub(super) fn remaining(&self) -> &[u8] {
        let held = match &self.bytes {
            Backing::Mapped(window) => window.map.bytes(),
            Backing::MappedPart { map, end } => map.bytes().get(..*end).unwrap_or_default(),
            Backing::Memory(bytes) => bytes,
            Backing::Stream(stream) => stream.buffer.get(..stream.filled).unwrap_or_default(),
        };
        held.get(self.at..).unwrap_or_default()
    }

    /// The next `len` buffered bytes as a window of its own, which stays valid when this one
    /// advances. Only the bytes of a stream are copied.
    pub(super) fn part(&self, len: usize) -> Self {
        let end = self.at + len;
        match &self.bytes {
            Backing::Mapped(MappedWindow { map, .. }) | Backing::MappedPart { map, .. } => {
                let bytes = Backing::MappedPart { map: Arc::clone(map), end };
                Self { bytes, at: self.at, buffer_start: self.buffer_start }
            }
            Backing::Memory(bytes) => Self::memory(bytes.slice(self.at..end.min(bytes.len()))),
            Backing::Stream(_) => {
                let bytes = self.remaining().get(..len).unwrap_or_default();
                Self::memory(Bytes::copy_from_slice(bytes))
            }
        }
    }

    /// The offset of the cursor in the capture, in bytes.
    pub(super) fn position(&self) -> u64 {
        self.buffer_start + u64::try_from(self.at).unwrap_or_default()
    }

    /// The length of the capture in bytes; none for a stream.
    pub(super) fn total_len(&self) -> Option<u64> {
        match &self.bytes {
            Backing::Mapped(window) => u64::try_from(window.map.bytes().len()).ok(),
            Backing::MappedPart { end, .. } => u64::try_from(*end).ok(),
            Backing::Memory(bytes) => u64::try_from(bytes.len()).ok(),
            Backing::Stream(_) => None,
        }
    }

    /// Moves the cursor to the start. Returns false for a stream.
    pub(super) fn rewind(&mut self) -> bool {
        match &mut self.bytes {
            Backing::Stream(_) => return false,
            Backing::Mapped(window) => (window.populated, window.released) = (0, 0),
            Backing::MappedPart { .. } | Backing::Memory(_) => {}
        }
        self.at = 0;
        true
    }

    /// Moves the cursor over buffered bytes.
    pub(super) fn advance(&mut self, len: usize) {
        self.at += len;
        if let Backing::Mapped(MappedWindow { map, populated, released, lag }) = &mut self.bytes
            && self.at + POPULATE_LEN / 2 > *populated
        {
            // The bytes before the lag are not borrowed. The cursor may be within a page.
            let unused = self.at.saturating_sub(*lag) & !0xffff;
            map.release(*released, unused.saturating_sub(*released));
            *released = unused.max(*released);
            let from = self.at.max(*populated);
            map.populate(from, POPULATE_LEN);
            *populated = from + POPULATE_LEN;
        }
    }

    /// Keeps this number of bytes before the cursor in memory, because parts of the window have
    /// them.
    pub(super) const fn set_release_lag(&mut self, len: usize) {
        if let Backing::Mapped(window) = &mut self.bytes {
            window.lag = len;
        }
    }

    /// Buffers at least `len` bytes from the cursor on. Returns false if the capture ends before.
    /// The buffer grows only with received bytes, so a wrong `len` does not allocate memory.
    pub(super) fn buffer_at_least(&mut self, len: usize) -> io::Result<bool> {
        if let Backing::Stream(stream) = &mut self.bytes {
            while !stream.is_at_end && stream.filled.saturating_sub(self.at) < len {
                let moved = stream.make_room(self.at);
                self.buffer_start += u64::try_from(moved).unwrap_or_default();
                self.at -= moved;
                stream.read_chunk()?;
            }
        }
        Ok(self.remaining().len() >= len)
    }

    /// Moves the cursor over `len` bytes without buffering them. Returns false if the capture ends
    /// before.
    pub(super) fn skip(&mut self, mut len: u64) -> io::Result<bool> {
        while len > 0 {
            if self.remaining().is_empty() {
                self.buffer_at_least(1)?;
            }
            let held = self.remaining().len();
            if held == 0 {
                return Ok(false);
            }
            let step = usize::try_from(len).map_or(held, |len| len.min(held));
            self.advance(step);
            len -= u64::try_from(step).unwrap_or_default();
        }
        Ok(true)
    }
}

impl Stream {
    /// Makes room after the valid bytes. It moves the bytes from `at` on, less than one record, to
    /// the front, or grows the buffer. Returns the distance of the move.
    fn make_room(&mut self, at: usize) -> usize {
        let mut moved = 0;
        if at > 0 && self.buffer.len() - self.filled < CHUNK_LEN / 2 {
            self.buffer.copy_within(at..self.filled, 0);
            self.filled -= at;
            moved = at;
        }
        if self.filled == self.buffer.len() {
            self.buffer.resize((2 * self.filled).max(CHUNK_LEN), 0);
        }
        moved
    }

    fn read_chunk(&mut self) -> io::Result<()> {
        let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
        loop {
            match self.reader.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(len) => {
                    // A faulty reader may return more than the length of the buffer.
                    self.filled += len.min(room.len());
                    self.is_at_end = len == 0;
                    return Ok(());
                }
            }
        }
    }
}
