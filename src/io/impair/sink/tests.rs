//! Tests of the sink against a plain model, which has the whole sequence in memory and sorts it.

use proptest::prelude::*;

use super::*;
use crate::dataplane::{Counters, Frame, InterfaceIndex, Source, Worker};
use crate::io::memory::tests::{frame, table};
use crate::io::memory::{CollectSink, OwnedCopy};

const FAULTS: &str = "loss=10%,duplicate=10%,reorder=30%:5,corrupt=10%";

/// Lends frames in bursts of these lengths, then one after the other.
struct Bursts {
    frames: Vec<Vec<u8>>,
    lens: Vec<usize>,
    next: usize,
}

impl Source for Bursts {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        let len = self.lens.pop().unwrap_or(1);
        for (number, bytes) in self.frames.iter().enumerate().skip(self.next).take(len) {
            burst.push(Frame::new(bytes).at(time(number)));
        }
        self.next += burst.len();
        Ok(())
    }
}

fn time(number: usize) -> u64 {
    1_000 + u64::try_from(number).unwrap()
}

/// A frame whose last bytes are its number.
fn numbered(number: usize) -> Vec<u8> {
    [frame(true), number.to_be_bytes().to_vec()].concat()
}

fn number_of(copy: &OwnedCopy) -> usize {
    usize::from_be_bytes(copy.inner[copy.inner.len() - 8..].try_into().unwrap())
}

fn bursts(count: usize, lens: &[usize]) -> Bursts {
    Bursts { frames: (0..count).map(numbered).collect(), lens: lens.to_vec(), next: 0 }
}

fn impaired(faults: &str, count: usize, lens: &[usize]) -> (Vec<OwnedCopy>, ImpairmentCounts) {
    let mut sink = ImpairedSink::new(CollectSink::default(), faults.parse().unwrap(), 7);
    Worker::new(table()).run(&mut bursts(count, lens), &mut sink).unwrap();
    let counts = sink.final_counts();
    (sink.into_inner().into_collected().mirrored, counts)
}

/// The time and the bytes of each copy, in order, and the counts.
fn model(faults: &str, count: usize) -> (Vec<(u64, Vec<u8>)>, ImpairmentCounts) {
    let mut sampler = FaultSampler::new(faults.parse().unwrap(), 7);
    let mut counts = ImpairmentCounts::default();
    let mut passed_on = Vec::new();
    for number in 0..count {
        let mut bytes = numbered(number);
        let one = sampler.sample(bytes.len().try_into().unwrap());
        if one.is_lost {
            counts.lost += 1;
            continue;
        }
        if let Some(bit) = one.flipped_bit {
            counts.corrupted += 1;
            bytes[usize::try_from(bit / 8).unwrap()] ^= 128 >> (bit % 8);
        }
        let release = number + usize::from(one.delay);
        let place = (release, one.delay > 0, number);
        counts.reordered += u64::from(one.delay > 0);
        let copy = (place, (time(release.min(count - 1)), bytes));
        if one.is_duplicated {
            counts.duplicated += 1;
            passed_on.push(copy.clone());
        }
        passed_on.push(copy);
    }
    passed_on.sort();
    (passed_on.into_iter().map(|(_, copy)| copy).collect(), counts)
}

proptest! {
    #[test]
    fn copies_and_counts_are_those_of_the_model(
        shares in proptest::array::uniform4(0_u32..=100),
        distance in 1_u16..200,
        count in 1_usize..400,
        lens in proptest::collection::vec(1_usize..150, 0..20),
    ) {
        let [loss, duplicate, reorder, corrupt] = shares;
        let faults = format!(
            "loss={loss}%,duplicate={duplicate}%,reorder={reorder}%:{distance},corrupt={corrupt}%"
        );
        let (copies, counts) = impaired(&faults, count, &lens);
        let (expected, expected_counts) = model(&faults, count);
        let received: Vec<_> =
            copies.iter().map(|copy| (copy.timestamp_ns, copy.inner.to_vec())).collect();
        prop_assert_eq!(received, expected);
        prop_assert_eq!(counts, expected_counts);
        let passed_on = u64::try_from(count).unwrap() - counts.lost + counts.duplicated;
        prop_assert_eq!(passed_on, u64::try_from(copies.len()).unwrap());
    }

    #[test]
    fn every_copy_is_counted_once_although_the_sink_drops_some(
        every in 1_usize..6,
        lens in proptest::collection::vec(1_usize..150, 0..20),
    ) {
        let inner = DroppingSink { every, seen: 0, dropped: 0 };
        let mut sink = ImpairedSink::new(inner, FAULTS.parse().unwrap(), 7);
        let mut worker = Worker::new(table());
        worker.run(&mut bursts(500, &lens), &mut sink).unwrap();
        let counters = worker.counters();
        prop_assert_eq!(counters.received, 500);
        prop_assert_eq!(counters.mirrored() + dropped(counters), 500);
        let not_sent = sink.final_counts().not_sent;
        prop_assert_eq!(dropped(counters) + not_sent, sink.inner().dropped);
    }
}

fn dropped(counters: &Counters) -> u64 {
    DropCause::ALL.iter().map(|cause| counters.dropped(*cause)).sum()
}

/// Drops every so many copies.
struct DroppingSink {
    every: usize,
    seen: usize,
    dropped: u64,
}

impl Sink for DroppingSink {
    fn send(&mut self, copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()> {
        for index in 0..copies.iter().count() {
            self.seen += 1;
            if self.seen.is_multiple_of(self.every) {
                drops.push(index, DropCause::NoBuffers);
                self.dropped += 1;
            }
        }
        Ok(())
    }
}

#[test]
fn the_copies_of_a_seed_never_change() {
    let (copies, _) = impaired(FAULTS, 24, &[]);
    let corrupted = copies.iter().enumerate().filter_map(|(at, copy)| {
        let original = numbered(number_of(copy));
        let differs = |byte: &usize| copy.inner[*byte] != original[*byte];
        let byte = (0..original.len()).find(differs)?;
        Some((at, byte, copy.inner[byte] ^ original[byte]))
    });
    let numbers: Vec<_> = copies.iter().map(number_of).collect();
    let expected = [
        0, 1, 3, 2, 6, 4, 7, 8, 8, 5, 9, 9, 10, 11, 13, 14, 15, 16, 17, 17, 18, 19, 19, 20, 21, 22,
        23,
    ];
    assert_eq!(numbers, expected);
    // Position in the output, position of the byte, bit.
    assert_eq!(corrupted.collect::<Vec<_>>(), [(15, 19, 0x02), (26, 36, 0x80)]);
}

#[test]
fn outer_headers_of_a_corrupted_copy_are_valid() {
    let (copies, counts) = impaired("corrupt=100%", 50, &[50]);
    let (plain, _) = impaired("corrupt=0%", 50, &[50]);
    assert_eq!(counts.corrupted, 50);
    for (copy, original) in copies.iter().zip(&plain) {
        assert_eq!((&copy.outer, copy.session), (&original.outer, original.session));
        let differences = copy.inner.iter().zip(&original.inner).map(|(one, other)| one ^ other);
        assert_eq!(differences.map(u8::count_ones).sum::<u32>(), 1);
    }
}

#[test]
fn all_copies_can_be_delayed_and_memory_is_bounded() {
    let mut sink =
        ImpairedSink::new(CollectSink::default(), "reorder=100%:1024".parse().unwrap(), 7);
    let mut worker = Worker::new(table());
    let mut source = bursts(5_000, &[2_000, 2_000]);
    while worker.step(&mut source, &mut sink).unwrap() {
        assert!(sink.delayed.iter().count() <= 1_024);
    }
    assert!(sink.final_counts().not_sent > 0 && sink.counts().not_sent == 0);
    sink.flush().unwrap();
    assert_eq!(sink.final_counts(), ImpairmentCounts { reordered: 5_000, ..Default::default() });
    let mut numbers: Vec<_> = sink.inner().collected().mirrored.iter().map(number_of).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..5_000));
}

/// Stores the number of the table of each copy.
#[derive(Default)]
struct TableSink(Vec<u64>);

impl Sink for TableSink {
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        self.0.extend(copies.iter().map(|_| copies.table().number()));
        Ok(())
    }
}

#[test]
fn delayed_copies_leave_with_their_own_table() {
    let mut sink = ImpairedSink::new(TableSink::default(), "reorder=100%:50".parse().unwrap(), 7);
    let tables = [table(), table()];
    let mut worker = Worker::new(Arc::clone(&tables[0]));
    worker.step(&mut bursts(5, &[5]), &mut sink).unwrap();
    worker.change_table(Arc::clone(&tables[1]), Some(InterfaceIndex::FIRST));
    worker.run(&mut bursts(7, &[7]), &mut sink).unwrap();
    let numbers = tables.map(|table| table.number());
    assert_eq!(sink.into_inner().0, [vec![numbers[0]; 5], vec![numbers[1]; 7]].concat());
}

/// A sink that accepts nothing.
struct BrokenSink;

impl Sink for BrokenSink {
    fn send(&mut self, _: &Copies<'_>, _: &mut Drops) -> io::Result<()> {
        Err(io::Error::other("disk full"))
    }
}

#[test]
fn delayed_copies_that_a_failed_sink_does_not_receive_are_counted() {
    // The copy of the first burst is delayed until the second, in which the sink fails.
    let mut sink = ImpairedSink::new(BrokenSink, "reorder=99.9999999%:1".parse().unwrap(), 7);
    let mut source = bursts(2, &[1, 1]);
    let mut worker = Worker::new(table());
    assert!(worker.step(&mut source, &mut sink).is_ok());
    assert!(worker.step(&mut source, &mut sink).is_err());
    assert_eq!((worker.counters().mirrored(), sink.counts().not_sent), (1, 1));
    assert_eq!(worker.counters().dropped(DropCause::OutputFailed), 1);
}
