//! Mirrors captures to one file with several threads.
//!
//! The calling thread divides a capture into chunks of whole records; each worker thread mirrors a
//! chunk to a buffer and writes it to its place in the file. The output is the same as with one
//! thread. Besides the chunks in work, at most one for each worker and one more are in memory, and all
//! waits block. A capture that cannot be divided well is mirrored by the calling thread.

use std::io;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::Receiver;

use super::StopFlag;
use super::capture::{CaptureChunk, CaptureSource};
use super::record::{ChunkSink, OrderedFile, OutputFile, Precision};
use crate::dataplane::{Counters, MirrorTable, StepError, Worker};
use crate::model::Direction;

/// A shorter capture is mirrored by the calling thread, because starting threads takes longer.
const MIN_PARALLEL_BYTES: u64 = 1024 * 1024;

/// The calling thread writes its records in parts of this length, in bytes.
const WRITTEN_LEN: usize = 256 * 1024;

/// Workers that write one pcap file.
pub struct ParallelMirror {
    /// One worker until a capture is long enough for several.
    workers: Vec<ChunkWorker>,
    max_workers: usize,
    table: Arc<MirrorTable>,
    direction: Option<Direction>,
    precision: Precision,
    file: OrderedFile,
    next_chunk: u64,
}

/// A worker with the records of its chunk.
struct ChunkWorker {
    worker: Worker,
    sink: ChunkSink,
}

/// The number of a chunk in the output, and its records.
type NumberedChunk = (u64, CaptureChunk);

impl ParallelMirror {
    /// Mirrors to `file`, which starts with this precision, with `workers` threads, at least one.
    /// Every frame has `direction` if it is given.
    ///
    /// # Errors
    /// The error of the file. A device or pipe is an error.
    pub fn new(
        table: &Arc<MirrorTable>,
        direction: Option<Direction>,
        workers: usize,
        (file, precision): (OutputFile, Precision),
    ) -> io::Result<Self> {
        let mut mirror = Self {
            workers: Vec::new(),
            max_workers: workers.max(1),
            table: Arc::clone(table),
            direction,
            precision,
            file: OrderedFile::new(file, precision)?,
            next_chunk: 0,
        };
        mirror.add_workers(1);
        Ok(mirror)
    }

    /// Creates workers until there are this many. Each has about a megabyte of memory.
    fn add_workers(&mut self, number: usize) {
        while self.workers.len() < number {
            self.workers.push(ChunkWorker {
                worker: Worker::new(Arc::clone(&self.table)).with_direction(self.direction),
                sink: ChunkSink::new(self.precision),
            });
        }
    }

    /// Mirrors a capture to its end, or until `stop` is set. `observe` is called for each chunk.
    ///
    /// # Errors
    /// [`StepError::Source`] if the capture fails; the records before the failure are mirrored.
    /// [`StepError::Sink`] if the file cannot be written.
    pub fn mirror(
        &mut self,
        source: &mut CaptureSource,
        stop: &StopFlag,
        observe: impl Fn(&CaptureSource),
    ) -> Result<(), StepError> {
        let is_short = source.total_bytes().is_some_and(|len| len < MIN_PARALLEL_BYTES);
        if !is_short && self.max_workers > 1 {
            self.add_workers(self.max_workers);
            self.mirror_on_threads(source, stop, &observe)?;
        }
        self.mirror_on_this_thread(source, stop, &observe)
    }

    /// Mirrors the rest of a capture.
    fn mirror_on_this_thread(
        &mut self,
        source: &mut CaptureSource,
        stop: &StopFlag,
        observe: impl Fn(&CaptureSource),
    ) -> Result<(), StepError> {
        let Some(ChunkWorker { worker, sink }) = self.workers.first_mut() else { return Ok(()) };
        let ended = loop {
            match worker.step(source, sink) {
                Ok(true) if !stop.is_set() => {}
                Ok(_) => break Ok(()),
                Err(error) => break Err(error),
            }
            if sink.len() >= WRITTEN_LEN {
                self.file.write_chunk(self.next_chunk, sink).map_err(StepError::Sink)?;
                self.next_chunk += 1;
                observe(source);
            }
        };
        self.file.write_chunk(self.next_chunk, sink).map_err(StepError::Sink)?;
        self.next_chunk += 1;
        ended
    }

    /// Mirrors a capture, as long as it can be divided.
    fn mirror_on_threads(
        &mut self,
        source: &mut CaptureSource,
        stop: &StopFlag,
        observe: impl Fn(&CaptureSource),
    ) -> Result<(), StepError> {
        let Self { workers, file, next_chunk, .. } = self;
        let file = &*file;
        let (sender, chunks) = crossbeam_channel::bounded::<NumberedChunk>(workers.len());
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for worker in workers {
                let chunks = chunks.clone();
                let builder = thread::Builder::new().name("mirror-chunks".to_owned());
                match builder.spawn_scoped(scope, move || worker.mirror_all(&chunks, file)) {
                    Ok(thread) => threads.push(thread),
                    // Fewer threads do the same work.
                    Err(_) => break,
                }
            }
            drop(chunks);
            if threads.is_empty() {
                return Ok(());
            }
            let read = loop {
                if !source.is_divisible() {
                    break Ok(());
                }
                let chunk = match next_chunk_of(source, stop) {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(StepError::Source(error)),
                };
                // No worker receives any more, because the file cannot be written.
                if sender.send((*next_chunk, chunk)).is_err() {
                    break Ok(());
                }
                *next_chunk += 1;
                observe(source);
            };
            drop(sender);
            let ends = threads.into_iter().map(|thread| {
                thread.join().unwrap_or_else(|_| Err(io::Error::other("a worker thread panicked")))
            });
            first_cause(ends.filter_map(Result::err).collect())
                .map_or(read, |error| Err(StepError::Sink(error)))
        })
    }

    /// The counters of all workers together.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut counters = self.workers.iter().map(|one| one.worker.counters());
        let mut sum = counters.next().cloned().unwrap_or_default();
        counters.for_each(|one| sum.add(one));
        sum
    }

    /// Gives the file its final name.
    ///
    /// # Errors
    /// The error of the file.
    pub fn commit(self) -> io::Result<()> {
        self.file.commit()
    }
}

/// The error that ended the workers. Workers that wait when another one fails end with an error of
/// the kind `Interrupted`.
fn first_cause(mut errors: Vec<io::Error>) -> Option<io::Error> {
    let is_cause = |error: &io::Error| error.kind() != io::ErrorKind::Interrupted;
    match errors.iter().position(is_cause) {
        Some(position) => Some(errors.swap_remove(position)),
        None => errors.pop(),
    }
}

/// The next chunk; none at the end and after `stop` is set.
fn next_chunk_of(source: &mut CaptureSource, stop: &StopFlag) -> io::Result<Option<CaptureChunk>> {
    if stop.is_set() { Ok(None) } else { source.next_chunk() }
}

/// Ends the wait of the other workers if its worker ends without its last chunk in the file.
struct FailOnDrop<'a>(Option<&'a OrderedFile>);

impl Drop for FailOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.0 {
            file.fail();
        }
    }
}

impl ChunkWorker {
    /// Mirrors chunks until there are no more.
    fn mirror_all(
        &mut self,
        chunks: &Receiver<NumberedChunk>,
        file: &OrderedFile,
    ) -> io::Result<()> {
        let mut guard = FailOnDrop(Some(file));
        let ended = chunks.iter().try_for_each(|chunk| self.mirror(chunk, file));
        guard.0 = None;
        ended
    }

    /// Mirrors the records of a chunk and writes the copies to their place.
    fn mirror(&mut self, (number, chunk): NumberedChunk, file: &OrderedFile) -> io::Result<()> {
        let mut source = chunk.into_source();
        let mirrored = self.worker.run(&mut source, &mut self.sink);
        if let Err(StepError::Source(error) | StepError::Sink(error)) = mirrored {
            file.fail();
            return Err(error);
        }
        file.write_chunk(number, &mut self.sink)
    }
}
