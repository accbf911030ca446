//! The copies that are passed on together. They differ from those of a burst in number, order and
//! bytes, and may be of an earlier burst.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::dataplane::{
    Copies, CopyRef, Drops, Frame, MAX_BURST_LEN, MirrorTable, MirroredCopy, Sink,
};

/// A copy that is passed on once or twice.
#[derive(Debug, Clone)]
pub(super) struct BatchCopy {
    record: CopyRef,
    /// Its index in the current burst; none for a copy of an earlier burst.
    index: Option<usize>,
    /// The bytes and the properties of its frame, if it does not borrow the frame from the burst.
    detached: Option<(Bytes, Frame<'static>)>,
    is_duplicated: bool,
}

impl BatchCopy {
    /// The copy at `index` of the burst.
    pub(super) fn new(copies: &Copies<'_>, index: usize, is_duplicated: bool) -> Option<Self> {
        let record = *copies.copies.get(index)?;
        Some(Self { record, index: Some(index), detached: None, is_duplicated })
    }

    /// Clones the bytes, with one bit flipped, so that they outlive the burst.
    pub(super) fn detach(&mut self, copy: &MirroredCopy<'_>, flipped_bit: Option<u64>) {
        let mut bytes = copy.inner().to_vec();
        if let Some(bit) = flipped_bit {
            let byte = usize::try_from(bit / 8).ok().and_then(|at| bytes.get_mut(at));
            if let Some(byte) = byte {
                *byte ^= 0x80 >> (bit % 8);
            }
        }
        self.detached = Some((bytes.into(), copy.frame().without_bytes()));
    }

    /// Records that the burst of the copy is over.
    pub(super) const fn end_burst(&mut self) {
        self.index = None;
    }

    /// Sets the time of a copy that does not borrow its frame.
    pub(super) const fn set_time(&mut self, timestamp_ns: u64) {
        if let Some((_, frame)) = &mut self.detached {
            frame.timestamp_ns = timestamp_ns;
        }
    }

    /// How many times it is passed on.
    pub(super) fn times(&self) -> usize {
        1 + usize::from(self.is_duplicated)
    }
}

/// The copies that are passed on together, in order.
#[derive(Debug, Default)]
pub(super) struct Batch {
    copies: Vec<BatchCopy>,
    /// The drops of the inner sink.
    drops: Drops,
}

impl Batch {
    pub(super) fn push(&mut self, copy: BatchCopy) {
        for number in 0..copy.times() {
            // A drop of the duplicate is not a drop of the copy.
            let index = copy.index.filter(|_| number == 0);
            self.copies.push(BatchCopy { index, ..copy.clone() });
        }
    }

    /// Passes on all copies and removes them. `burst` has the frames of the current burst. Adds the
    /// drops of its copies to `drops`, and returns the number of the other drops. If the sink fails,
    /// these are all other copies that it had not received.
    pub(super) fn send_to(
        &mut self,
        sink: &mut impl Sink,
        (table, burst): (&Arc<MirrorTable>, &[Frame<'_>]),
        drops: &mut Drops,
    ) -> (u64, io::Result<()>) {
        let mut other_drops = 0;
        let batch = std::mem::take(&mut self.copies);
        for (number, part) in batch.chunks(MAX_BURST_LEN).enumerate() {
            self.drops.clear();
            let (frames, records) = resolve(part, burst);
            let copies = Copies { table, shared_table: table, frames: &frames, copies: &records };
            if let Err(error) = sink.send(&copies, &mut self.drops) {
                let rest = batch.get(number * MAX_BURST_LEN..).unwrap_or_default();
                let others = rest.iter().filter(|copy| copy.index.is_none()).count();
                return (other_drops + u64::try_from(others).unwrap_or_default(), Err(error));
            }
            let index_of = |at: usize| part.get(at).and_then(|copy| copy.index);
            for (at, cause) in self.drops.lost() {
                match index_of(*at) {
                    Some(index) => drops.push(index, *cause),
                    None => other_drops += 1,
                }
            }
            for (at, inner_len) in self.drops.cuts() {
                if let Some(index) = index_of(*at) {
                    drops.cut(index, *inner_len);
                }
            }
        }
        // Keeps the memory for the next burst.
        self.copies = batch;
        self.copies.clear();
        (other_drops, Ok(()))
    }
}

/// The frames of the burst and then those of the detached copies, and the records that refer to
/// them. At most 4,096 frames, so that each has an index of 16 bits.
fn resolve<'f>(part: &'f [BatchCopy], burst: &[Frame<'f>]) -> (Vec<Frame<'f>>, Vec<CopyRef>) {
    let mut frames = burst.to_vec();
    let mut records = Vec::with_capacity(part.len());
    for copy in part {
        let mut record = copy.record;
        if let Some((bytes, frame)) = &copy.detached {
            record.frame = u16::try_from(frames.len()).unwrap_or(u16::MAX);
            frames.push(Frame { bytes, ..*frame });
        }
        records.push(record);
    }
    (frames, records)
}
