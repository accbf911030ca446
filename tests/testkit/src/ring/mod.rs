//! Packet rings that a model of the kernel writes from a string of bytes, and the frames that a
//! reader must return.
//!
//! The segments of super-frames are computed by `Segments` of the program, which its own tests
//! check.

mod kernel;

use std::collections::VecDeque;

use kernel::{Kernel, Packet};
use traffic_mirror::dataplane::{Burst, Source};
use traffic_mirror::io::live::MemoryRing;
use traffic_mirror::io::repair::{Offload, SegmentationResult, Segments};

/// Choices by the bytes of a string, one per byte. Zero after the last byte.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> usize {
        usize::from(self.next())
    }
}

/// A ring, its kernel, and the frames that the reader must still lend.
struct RingTest {
    ring: MemoryRing,
    kernel: Kernel,
    blocks: usize,
    block_len: usize,
    expected: VecDeque<Vec<u8>>,
    too_many: u64,
    lent: u64,
}

impl RingTest {
    fn new(choices: &mut Choices<'_>) -> Self {
        let blocks = 2 + choices.number() % 12;
        let block_len = [1 << 10, 4 << 10, 32 << 10, 128 << 10][choices.number() % 4];
        let mut ring = MemoryRing::new(blocks, block_len).unwrap();
        let kernel = Kernel::new(&mut ring, blocks, block_len);
        let expected = VecDeque::new();
        Self { ring, kernel, blocks, block_len, expected, too_many: 0, lent: 0 }
    }

    /// One step of the kernel.
    fn write(&mut self, choices: &mut Choices<'_>) {
        match choices.next() % 16 {
            0..=9 => {
                let packet = packet(choices, self.block_len, self.kernel.reserved);
                if self.kernel.receive(&mut self.ring, &packet) && !packet.is_unsupported {
                    self.expect_frame(&packet);
                }
            }
            10..=13 => {
                let which = choices.number();
                (0..7).for_each(|_| self.kernel.store_next(&mut self.ring, which));
            }
            _ => self.kernel.close(&mut self.ring),
        }
    }

    fn expect_frame(&mut self, packet: &Packet) {
        let Packet { frame, offload, tag, .. } = packet;
        let mut frame = frame.clone();
        if let Some((control, ether_type)) = tag {
            let tag = [ether_type.to_be_bytes(), control.to_be_bytes()].concat();
            frame.splice(12..12, tag);
        }
        match Segments::split(&frame, &Offload::parse(offload)) {
            SegmentationResult::Whole => self.expected.push_back(frame),
            SegmentationResult::TooMany => self.too_many += 1,
            SegmentationResult::Segments(segments) => {
                for index in 0..segments.len() {
                    let mut segment = vec![0; segments.header_len()];
                    segments.put_header(index, &mut segment).unwrap();
                    segment.extend(segments.payload(index));
                    self.expected.push_back(segment);
                }
            }
        }
    }

    /// Reads a burst and compares it with what was written, in order.
    fn read(&mut self) {
        let mut burst = Burst::new();
        self.ring.fill(&mut burst).unwrap();
        for frame in &burst {
            let expected =
                self.expected.pop_front().expect("a frame that was written and not read before");
            assert_eq!([frame.bytes, frame.tail].concat(), expected);
            self.lent += 1;
        }
    }

    /// Asserts that every slot that the kernel reserved was passed once or is still to be read.
    fn assert_every_slot_is_counted(&self) {
        let passed = self.ring.slots_passed();
        assert_eq!(passed.frames + passed.empty + self.ring.in_flight(), self.kernel.reserved);
        assert_eq!((passed.malformed, passed.segment_header_errors), (0, 0));
        assert_eq!(passed.delivered, self.lent);
    }
}

/// A frame of some length with its number in it; some with a VLAN tag, some of many segments, some
/// that the kernel cannot describe.
fn packet(choices: &mut Choices<'_>, block_len: usize, number: u64) -> Packet {
    let kind = choices.next();
    let len = 8 + choices.number() * (block_len / 640);
    let mut frame = vec![2; 12];
    frame.extend([8, 0, 0x45, 0]);
    frame.extend(u16::try_from(28 + len).unwrap().to_be_bytes());
    frame.extend([0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 6, 10, 0, 0, 5, 0x30, 0x39, 0x1f, 0x90]);
    frame.extend(u16::try_from(8 + len).unwrap().to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(number.to_be_bytes().into_iter().cycle().take(len));
    let mut offload = [0; 10];
    if kind % 8 == 1 {
        // UDP segments of a few bytes to a few hundred.
        let size = u16::from(choices.next()) * if kind & 8 == 0 { 1 } else { 16 };
        offload[1] = 5;
        offload[4..6].copy_from_slice(&size.to_ne_bytes());
    }
    let tag = (kind % 8 == 2).then_some((u16::from(kind), 0x8100));
    Packet { frame, offload, tag, is_unsupported: kind % 8 == 3 }
}

/// Asserts, for any order of writes, closed blocks and reads, that every frame is lent as it was
/// written, once and in the order of arrival, and that every slot is counted.
pub fn assert_frames_are_exact(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let mut test = RingTest::new(&mut choices);
    while !choices.0.is_empty() {
        if choices.next().is_multiple_of(4) {
            test.read();
        } else {
            test.write(&mut choices);
        }
        test.assert_every_slot_is_counted();
    }
    test.kernel.close(&mut test.ring);
    let mut bursts = 0;
    while test.ring.in_flight() > 0 || !test.expected.is_empty() {
        test.read();
        bursts += 1;
        assert!(bursts < 10_000, "the reader does not finish");
    }
    test.assert_every_slot_is_counted();
    let passed = test.ring.slots_passed();
    assert_eq!((passed.empty, passed.too_many_segments), (test.kernel.empty, test.too_many));
}

/// Asserts for a ring with wrong numbers anywhere that the reader ends, counts every slot of the
/// closed blocks once, returns these blocks, and lends no byte twice.
pub fn assert_corrupt_rings_are_survived(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let mut test = RingTest::new(&mut choices);
    let steps = choices.number();
    (0..steps).for_each(|_| test.write(&mut choices));
    while !choices.0.is_empty() {
        corrupt(&mut test, &mut choices);
    }
    let RingTest { mut ring, blocks, .. } = test;
    let closed = (0..blocks).take_while(|block| ring.is_closed(*block)).count();
    let unread_slots = ring.in_flight();
    let mut places = Vec::new();
    let (mut lent, mut empty_bursts) = (0, 0);
    while empty_bursts < blocks + 2 {
        let mut burst = Burst::new();
        ring.fill(&mut burst).unwrap();
        empty_bursts = if burst.is_empty() { empty_bursts + 1 } else { 0 };
        lent += u64::try_from(burst.len()).unwrap();
        // The headers of a segment belong to the reader, its payload is in the ring.
        places.extend(burst.iter().map(|frame| {
            let in_ring = if frame.tail.is_empty() { frame.bytes } else { frame.tail };
            in_ring.as_ptr_range()
        }));
    }
    let passed = ring.slots_passed();
    assert_eq!(passed.frames + passed.empty + passed.malformed + ring.in_flight(), unread_slots);
    assert_eq!(passed.delivered, lent);
    assert!((0..closed).all(|block| !ring.is_closed(block)), "a block was not returned");
    places.retain(|place| !place.is_empty());
    places.sort_by_key(|place| place.start);
    assert!(places.windows(2).all(|pair| pair[0].end <= pair[1].start), "a byte was lent twice");
}

/// Stores four bytes somewhere: in a block header, in the header of the first slot, or anywhere.
fn corrupt(test: &mut RingTest, choices: &mut Choices<'_>) {
    let block = choices.number() % test.blocks;
    let at = match choices.next() % 4 {
        0 => choices.number() % 6 * 4,
        1 => 48 + choices.number() % 17 * 4,
        _ => (choices.number() * 256 + choices.number()) * 4 % test.block_len,
    };
    let word = [choices.next(), choices.next(), choices.next(), choices.next()];
    // Small numbers reach more code than large ones.
    let word = if choices.next().is_multiple_of(2) { word } else { [word[0], 0, 0, 0] };
    test.ring.store(block, at, &word);
}
