//! A bounded queue that passes copies from a sink to an iterator on another thread.

use std::io;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::memory::{FrameCount, OwnedCopy};
use crate::dataplane::{Burst, Copies, Drops, Sink, Verdict};

/// Creates a queue of at most `capacity` copies. With a capacity of 0, sending waits until the
/// receiver takes the copy.
///
/// The queue ends when the sink is dropped: the receiver yields the remaining copies and ends.
///
/// ```
/// use std::thread;
/// use traffic_mirror::io::queue::queue;
///
/// let (sink, copies) = queue(1024);
/// let collector = thread::spawn(move || copies.iter().map(|copy| copy.inner.len()).sum::<usize>());
/// drop(sink); // after Worker::run(&mut source, &mut sink)
/// assert_eq!(collector.join().unwrap(), 0);
/// ```
#[must_use]
pub fn queue(capacity: usize) -> (QueueSink, Receiver<OwnedCopy>) {
    let (sender, receiver) = bounded(capacity);
    (QueueSink { sender, frame_count: FrameCount::default() }, receiver)
}

/// A sink that adds copies to a queue. It waits while the queue is full, so no copy is lost.
#[derive(Debug)]
pub struct QueueSink {
    sender: Sender<OwnedCopy>,
    frame_count: FrameCount,
}

impl Sink for QueueSink {
    /// Fails with [`io::ErrorKind::BrokenPipe`] if the receiver was dropped.
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        for copy in copies.iter() {
            let owned = OwnedCopy::new(&copy, self.frame_count.first_of_burst);
            self.sender.send(owned).map_err(|_| {
                let message =
                    "the receiver of the queue was dropped, so copies cannot be delivered";
                io::Error::new(io::ErrorKind::BrokenPipe, message)
            })?;
        }
        Ok(())
    }

    fn wants_verdicts(&self) -> bool {
        true
    }

    fn observe_verdicts(&mut self, burst: &Burst<'_>, _verdicts: &[Verdict]) -> io::Result<()> {
        self.frame_count.advance(burst);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::dataplane::{MirrorTable, Worker};
    use crate::io::memory::tests::{frame, table};
    use crate::io::memory::{FrameSource, mirror};

    fn drive(table: &Arc<MirrorTable>, sink: &mut QueueSink) -> io::Result<()> {
        let mut source = FrameSource::new(vec![frame(true); 200]);
        Worker::new(Arc::clone(table)).run(&mut source, sink).map_err(io::Error::other)
    }

    #[test]
    fn copies_arrive_unchanged_in_another_thread() {
        let (mut sink, copies) = queue(3);
        let collector = thread::spawn(move || copies.iter().collect::<Vec<_>>());
        drive(&table(), &mut sink).unwrap();
        drop(sink);
        let direct = mirror(&table(), FrameSource::new(vec![frame(true); 200])).unwrap();
        assert_eq!(collector.join().unwrap(), direct.mirrored);
        assert_eq!(direct.mirrored.len(), 200);
    }

    #[test]
    fn a_dropped_receiver_ends_the_run() {
        let (mut sink, copies) = queue(1000);
        drop(copies);
        assert!(drive(&table(), &mut sink).unwrap_err().to_string().contains("receiver"));
    }
}
