//! Pcap records in memory, with timestamps of one precision.

use super::format::{Precision, RECORD_HEADER_LEN};
#[cfg(target_os = "linux")]
use super::nanoseconds::convert_records;
use super::record_clock::RecordClock;
use crate::dataplane::{InnerBytes, MAX_OUTER_LEN, MirroredCopy};

/// Records, built in place.
#[derive(Debug)]
pub(super) struct RecordBuffer {
    /// Longer than the records, so that headers can be written with copies whose length is known at
    /// compile time.
    bytes: Vec<u8>,
    len: usize,
    precision: Precision,
    clock: RecordClock,
}

/// The reason why a record was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAdded {
    /// Its time is not a whole number of microseconds.
    NeedsNanoseconds,
    /// The buffer has less room than this number of bytes.
    NeedsRoom(usize),
}

impl RecordBuffer {
    /// An empty buffer of `capacity` bytes.
    pub(super) fn new(capacity: usize, precision: Precision) -> Self {
        Self { bytes: vec![0; capacity], len: 0, precision, clock: RecordClock::default() }
    }

    /// The precision of the records.
    #[cfg(target_os = "linux")]
    pub(super) const fn precision(&self) -> Precision {
        self.precision
    }

    /// Sets the precision of the records that follow.
    pub(super) const fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// The records.
    pub(super) fn records(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Removes all records.
    pub(super) const fn clear(&mut self) {
        self.len = 0;
    }

    /// Makes room for at least `len` more bytes. The capacity is doubled at least.
    pub(super) fn reserve(&mut self, len: usize) {
        if self.bytes.len() - self.len < len {
            self.bytes.resize((2 * self.bytes.len()).max(self.len + len), 0);
        }
    }

    /// Converts all records from microseconds to nanoseconds.
    #[cfg(target_os = "linux")]
    pub(super) fn convert_to_nanoseconds(&mut self) {
        convert_records(self.bytes.get_mut(..self.len).unwrap_or_default());
        self.precision = Precision::Nano;
    }

    /// Adds the record of a copy. With `truncates_time` a fraction of a microsecond is discarded.
    ///
    /// # Errors
    /// [`NotAdded`] if the buffer is not changed.
    #[inline(always)]
    pub(super) fn push_copy(
        &mut self,
        copy: &MirroredCopy<'_>,
        truncates_time: bool,
    ) -> Result<(), NotAdded> {
        let (timestamp_ns, inner) = (copy.frame().timestamp_ns, copy.inner());
        // Nearly every frame is one piece, for which the compiler omits the second one.
        if !inner.tail.is_empty() {
            return self.push_any_copy(copy, truncates_time);
        }
        let inner = InnerBytes::from(inner.head);
        let head = |room: &mut _| copy.write_outer_for(inner, room);
        self.push(timestamp_ns, inner, truncates_time, head)
    }

    /// The same, for a copy of two pieces or one that was not added before. If it were inlined, the
    /// caller's loop would compute the lengths of one-piece and two-piece copies for each copy.
    ///
    /// # Errors
    /// [`NotAdded`] if the buffer is not changed.
    #[cold]
    #[inline(never)]
    pub(super) fn push_any_copy(
        &mut self,
        copy: &MirroredCopy<'_>,
        truncates_time: bool,
    ) -> Result<(), NotAdded> {
        let head = |room: &mut _| copy.write_outer(room);
        self.push(copy.frame().timestamp_ns, copy.inner(), truncates_time, head)
    }

    /// Adds a record. `head` writes its first bytes and returns their number; `body` follows. With
    /// `truncates_time` a fraction of a microsecond is discarded.
    ///
    /// # Errors
    /// [`NotAdded`] if the buffer is not changed.
    #[inline(always)]
    pub(super) fn push(
        &mut self,
        timestamp_ns: u64,
        body: InnerBytes<'_>,
        truncates_time: bool,
        head: impl FnOnce(&mut [u8; MAX_OUTER_LEN]) -> usize,
    ) -> Result<(), NotAdded> {
        let time = self.clock.time(timestamp_ns);
        if self.precision == Precision::Micro && !time.is_whole_microseconds() && !truncates_time {
            return Err(NotAdded::NeedsNanoseconds);
        }
        let most = RECORD_HEADER_LEN + MAX_OUTER_LEN + body.len();
        let needs_room = NotAdded::NeedsRoom(most);
        let room = self.bytes.get_mut(self.len..).ok_or(needs_room)?;
        if room.len() < most {
            return Err(needs_room);
        }
        let (header, room) = room.split_first_chunk_mut().ok_or(needs_room)?;
        let head_len = head(room.first_chunk_mut().ok_or(needs_room)?);
        let len = head_len + body.len();
        *header = time.record_header(len, self.precision);
        self.len += RECORD_HEADER_LEN + len;
        let first_len = head_len + body.head.len();
        if let (Some(room), false) = (room.get_mut(first_len..len), body.tail.is_empty()) {
            room.copy_from_slice(body.tail);
        }
        if let Some(room) = room.get_mut(head_len..first_len) {
            room.copy_from_slice(body.head);
        }
        Ok(())
    }
}
