//! One pcap file that several threads write.
//!
//! Each thread fills a buffer with the records of one chunk of a capture. When all earlier chunks
//! have a place in the file, the chunk gets the next one, and its thread writes it there while the
//! others go on. The bytes do not depend on the number of threads or on their timing.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::format::{BUFFER_LEN, FILE_HEADER_LEN, Precision};
use super::output_file::OutputFile;
use super::pcap::file_header;
use super::record_buffer::{NotAdded, RecordBuffer};
use crate::dataplane::{Copies, Drops, MirroredCopy, Sink};

/// A pcap file under construction.
pub struct OrderedFile {
    file: OutputFile,
    progress: Mutex<Progress>,
    /// Notified when `progress` changes.
    changed: Condvar,
}

/// The part of the file that has a place.
#[derive(Debug)]
struct Progress {
    /// The number of the next chunk.
    next_chunk: u64,
    /// The place of the next chunk: an offset in bytes.
    offset: u64,
    precision: Precision,
    /// Chunks that have a place and are not yet written.
    unwritten: usize,
    /// Set by the first error; no further chunk is written.
    has_failed: bool,
}

impl OrderedFile {
    /// Starts a file with timestamps of this precision. A file with microseconds is converted to
    /// nanoseconds before the first chunk that needs them.
    ///
    /// # Errors
    /// The error of the system, preceded by the name. A device or pipe is an error.
    pub fn new(file: OutputFile, precision: Precision) -> io::Result<Self> {
        file.write_all_at(&file_header(precision), 0)?;
        let offset = u64::try_from(FILE_HEADER_LEN).unwrap_or_default();
        let progress =
            Progress { next_chunk: 0, offset, precision, unwritten: 0, has_failed: false };
        Ok(Self { file, progress: Mutex::new(progress), changed: Condvar::new() })
    }

    /// Waits until all chunks before `number` have a place, and writes the records of the sink
    /// behind them. The sink is empty afterwards.
    ///
    /// # Errors
    /// The error of the system, preceded by the name; [`io::ErrorKind::Interrupted`] if another
    /// chunk failed before.
    pub fn write_chunk(&self, number: u64, sink: &mut ChunkSink) -> io::Result<()> {
        let written = self.place_chunk(number, sink).and_then(|offset| {
            let written = self.file.write_all_at(sink.0.records(), offset);
            self.lock().unwritten -= 1;
            written
        });
        if written.is_err() {
            self.lock().has_failed = true;
        }
        self.changed.notify_all();
        sink.0.clear();
        written
    }

    /// The offset of a chunk, once the chunks before it have theirs.
    fn place_chunk(&self, number: u64, sink: &mut ChunkSink) -> io::Result<u64> {
        let is_early = |progress: &mut Progress| progress.next_chunk != number;
        let mut progress = self.wait_while(self.lock(), is_early);
        if sink.0.precision() == Precision::Nano && progress.precision == Precision::Micro {
            progress = self.wait_while(progress, |progress| progress.unwritten > 0);
            if !progress.has_failed {
                self.file.convert_to_nanoseconds()?;
                progress.precision = Precision::Nano;
            }
        }
        if progress.has_failed {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if sink.0.precision() == Precision::Micro && progress.precision == Precision::Nano {
            sink.0.convert_to_nanoseconds();
        }
        let offset = progress.offset;
        progress.offset += u64::try_from(sink.0.records().len()).unwrap_or_default();
        progress.next_chunk += 1;
        progress.unwritten += 1;
        drop(progress);
        self.changed.notify_all();
        Ok(offset)
    }

    /// Ends the wait of all threads, because a thread ended without writing its chunk.
    pub fn fail(&self) {
        self.lock().has_failed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while a condition holds and no chunk failed.
    fn wait_while<'a>(
        &self,
        progress: MutexGuard<'a, Progress>,
        condition: impl Fn(&mut Progress) -> bool,
    ) -> MutexGuard<'a, Progress> {
        let waits = |progress: &mut Progress| !progress.has_failed && condition(progress);
        self.changed.wait_while(progress, waits).unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the file its final name.
    ///
    /// # Errors
    /// The error of the system, preceded by the name.
    pub fn commit(self) -> io::Result<()> {
        self.file.commit()
    }
}

/// Collects the copies of one chunk as records in memory.
pub struct ChunkSink(RecordBuffer);

impl ChunkSink {
    /// An empty sink for the chunks of a file that starts with this precision.
    #[must_use]
    pub fn new(precision: Precision) -> Self {
        Self(RecordBuffer::new(2 * BUFFER_LEN, precision))
    }

    /// The length of the records, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.records().len()
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a copy after the reason why it was not added is removed.
    #[cold]
    #[inline(never)]
    fn push_copy_after(&mut self, copy: &MirroredCopy<'_>, reason: NotAdded) {
        self.prepare(reason);
        while let Err(reason) = self.0.push_any_copy(copy, false) {
            self.prepare(reason);
        }
    }

    fn prepare(&mut self, reason: NotAdded) {
        match reason {
            NotAdded::NeedsRoom(len) => self.0.reserve(len),
            NotAdded::NeedsNanoseconds => self.0.convert_to_nanoseconds(),
        }
    }
}

impl Sink for ChunkSink {
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        for copy in copies.iter() {
            if let Err(reason) = self.0.push_copy(&copy, false) {
                self.push_copy_after(&copy, reason);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataplane::InnerBytes;

    fn sink(timestamp_ns: u64) -> ChunkSink {
        let mut sink = ChunkSink::new(Precision::Micro);
        let body = InnerBytes::from(&[7; 30][..]);
        while let Err(reason) = sink.0.push(timestamp_ns, body, false, |_| 0) {
            sink.prepare(reason);
        }
        sink
    }

    fn written(file: OrderedFile, path: &std::path::Path) -> Vec<u8> {
        file.commit().unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn chunks_that_finish_in_any_order_are_written_in_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcap");
        let create =
            || OrderedFile::new(OutputFile::create(&path).unwrap(), Precision::Micro).unwrap();
        // Chunk 5 needs nanoseconds, which converts those before and those after it.
        let time = |number: u64| number * 1_000_000_000 + u64::from(number == 5);
        let one_by_one = create();
        for number in 0..8 {
            one_by_one.write_chunk(number, &mut sink(time(number))).unwrap();
        }
        let expected = written(one_by_one, &path);
        let shuffled = create();
        std::thread::scope(|scope| {
            for number in [3, 7, 6, 5, 1, 4, 2, 0] {
                let file = &shuffled;
                scope.spawn(move || file.write_chunk(number, &mut sink(time(number))).unwrap());
            }
        });
        assert_eq!(written(shuffled, &path), expected);
        assert_eq!(expected.len(), 24 + 8 * (16 + 30));
    }

    #[test]
    fn a_failure_ends_the_wait_of_later_chunks() {
        let folder = tempfile::tempdir().unwrap();
        let output = OutputFile::create(&folder.path().join("out.pcap")).unwrap();
        let file = OrderedFile::new(output, Precision::Micro).unwrap();
        std::thread::scope(|scope| {
            let later = scope.spawn(|| file.write_chunk(1, &mut sink(0)).unwrap_err().kind());
            file.fail();
            assert_eq!(later.join().unwrap(), io::ErrorKind::Interrupted);
        });
    }
}
