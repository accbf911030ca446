//! The bytes of a capture: a whole file, or a stream of which a part is held.

use std::io::{self, Read};

use bytes::Bytes;

use crate::io::sys::Map;

/// How much is read from a stream at once, in bytes.
const CHUNK_LEN: usize = 256 * 1024;

/// How far ahead of the cursor pages are brought in, in bytes.
const POPULATE_LEN: usize = 2 * 1024 * 1024;

/// Bytes with a cursor.
pub(super) struct Window {
    bytes: Held,
    /// Offset of the cursor in what is held.
    at: usize,
    /// Offset of the first held byte in the capture.
    held_from: u64,
}

enum Held {
    Mapped { map: Map, populated: usize },
    Memory(Bytes),
    Stream { reader: Box<dyn Read + Send>, buffer: Vec<u8>, ended: bool },
}

impl Window {
    pub(super) fn mapped(map: Map) -> Self {
        Self::new(Held::Mapped { map, populated: 0 })
    }

    pub(super) fn memory(bytes: Bytes) -> Self {
        Self::new(Held::Memory(bytes))
    }

    pub(super) fn stream(reader: Box<dyn Read + Send>) -> Self {
        Self::new(Held::Stream { reader, buffer: Vec::new(), ended: false })
    }

    const fn new(bytes: Held) -> Self {
        Self { bytes, at: 0, held_from: 0 }
    }

    /// What is held from the cursor on.
    pub(super) fn rest(&self) -> &[u8] {
        let held = match &self.bytes {
            Held::Mapped { map, .. } => map.bytes(),
            Held::Memory(bytes) => bytes,
            Held::Stream { buffer, .. } => buffer,
        };
        held.get(self.at..).unwrap_or_default()
    }

    /// Offset of the cursor in the capture.
    pub(super) fn position(&self) -> u64 {
        self.held_from + u64::try_from(self.at).unwrap_or_default()
    }

    /// How long the capture is, where that is known.
    pub(super) fn total_len(&self) -> Option<u64> {
        match &self.bytes {
            Held::Mapped { map, .. } => u64::try_from(map.bytes().len()).ok(),
            Held::Memory(bytes) => u64::try_from(bytes.len()).ok(),
            Held::Stream { .. } => None,
        }
    }

    /// Whether the capture can be read again from its beginning.
    pub(super) fn rewind(&mut self) -> bool {
        let can = !matches!(self.bytes, Held::Stream { .. });
        if can {
            self.at = 0;
        }
        can
    }

    /// Moves the cursor over bytes that are held.
    pub(super) fn advance(&mut self, len: usize) {
        self.at += len;
        if let Held::Mapped { map, populated } = &mut self.bytes
            && self.at + POPULATE_LEN / 2 > *populated
        {
            map.populate(*populated, POPULATE_LEN);
            *populated += POPULATE_LEN;
        }
    }

    /// Holds at least `len` bytes from the cursor on, or all that there are; says whether it does.
    /// A stream's buffer grows with what has come, never with what `len` promises.
    pub(super) fn hold(&mut self, len: usize) -> io::Result<bool> {
        let Held::Stream { reader, buffer, ended } = &mut self.bytes else {
            return Ok(self.rest().len() >= len);
        };
        while !*ended && buffer.len().saturating_sub(self.at) < len {
            if self.at > 0 {
                buffer.drain(..self.at);
                self.held_from += u64::try_from(self.at).unwrap_or_default();
                self.at = 0;
            }
            let old_len = buffer.len();
            buffer.resize(old_len + CHUNK_LEN, 0);
            let got = read_some(reader, buffer.get_mut(old_len..).unwrap_or_default());
            buffer.truncate(old_len + got.as_ref().map_or(0, |got| *got));
            *ended = got? == 0;
        }
        Ok(buffer.len().saturating_sub(self.at) >= len)
    }

    /// Moves the cursor over bytes that need not be held; less where the capture ends before.
    pub(super) fn skip(&mut self, mut len: u64) -> io::Result<()> {
        while len > 0 {
            let step = usize::try_from(len).unwrap_or(usize::MAX).min(CHUNK_LEN);
            self.hold(step)?;
            let step = step.min(self.rest().len());
            if step == 0 {
                return Ok(());
            }
            self.advance(step);
            len -= u64::try_from(step).unwrap_or_default();
        }
        Ok(())
    }
}

fn read_some(reader: &mut dyn Read, place: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(place) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
