//! The bytes of a capture: a whole file, or a stream of which a part is held.

use std::io::{self, Read};

use bytes::Bytes;

use crate::io::sys::MappedFile;

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
    Mapped { map: MappedFile, populated: usize },
    Memory(Bytes),
    Stream(Stream),
}

/// A buffer that is used again and again. It is as long as it is (filling it with zeros for each
/// read of a slow pipe would cost more than the reading) and `filled` says how much of it counts.
struct Stream {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    filled: usize,
    ended: bool,
}

impl Window {
    pub(super) fn mapped(map: MappedFile) -> Self {
        Self::new(Held::Mapped { map, populated: 0 })
    }

    pub(super) fn memory(bytes: Bytes) -> Self {
        Self::new(Held::Memory(bytes))
    }

    pub(super) fn stream(reader: Box<dyn Read + Send>) -> Self {
        Self::new(Held::Stream(Stream { reader, buffer: Vec::new(), filled: 0, ended: false }))
    }

    const fn new(bytes: Held) -> Self {
        Self { bytes, at: 0, held_from: 0 }
    }

    /// What is held from the cursor on.
    pub(super) fn rest(&self) -> &[u8] {
        let held = match &self.bytes {
            Held::Mapped { map, .. } => map.bytes(),
            Held::Memory(bytes) => bytes,
            Held::Stream(stream) => stream.buffer.get(..stream.filled).unwrap_or_default(),
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
            Held::Stream(_) => None,
        }
    }

    /// Whether the capture can be read again from its beginning.
    pub(super) fn rewind(&mut self) -> bool {
        match &mut self.bytes {
            Held::Stream(_) => return false,
            Held::Mapped { populated, .. } => *populated = 0,
            Held::Memory(_) => {}
        }
        self.at = 0;
        true
    }

    /// Moves the cursor over bytes that are held.
    pub(super) fn advance(&mut self, len: usize) {
        self.at += len;
        if let Held::Mapped { map, populated } = &mut self.bytes
            && self.at + POPULATE_LEN / 2 > *populated
        {
            // Nobody borrows what is behind the cursor; the cursor itself may be within a page.
            let behind = populated.saturating_sub(2 * POPULATE_LEN);
            map.release(behind, (self.at & !0xffff).saturating_sub(behind));
            let from = self.at.max(*populated);
            map.populate(from, POPULATE_LEN);
            *populated = from + POPULATE_LEN;
        }
    }

    /// Holds at least `len` bytes from the cursor on, or all that there are; says whether it does.
    /// A stream's buffer grows with what has come, never with what `len` promises.
    pub(super) fn hold(&mut self, len: usize) -> io::Result<bool> {
        if let Held::Stream(stream) = &mut self.bytes {
            while !stream.ended && stream.filled.saturating_sub(self.at) < len {
                let moved = stream.make_room(self.at);
                self.held_from += u64::try_from(moved).unwrap_or_default();
                self.at -= moved;
                stream.read_some()?;
            }
        }
        Ok(self.rest().len() >= len)
    }

    /// Moves the cursor over bytes that need not be held; false where the capture ends before.
    pub(super) fn skip(&mut self, mut len: u64) -> io::Result<bool> {
        while len > 0 {
            if self.rest().is_empty() {
                self.hold(1)?;
            }
            let held = self.rest().len();
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
    /// Makes room behind what is filled, by moving what counts (from `at` on: less than a record)
    /// to the front, or by growing. Says how far it was moved.
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

    fn read_some(&mut self) -> io::Result<()> {
        let place = self.buffer.get_mut(self.filled..).unwrap_or_default();
        loop {
            match self.reader.read(place) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(len) => {
                    // A reader that claims more than there is room for would be wrong about it.
                    self.filled += len.min(place.len());
                    self.ended = len == 0;
                    return Ok(());
                }
            }
        }
    }
}
