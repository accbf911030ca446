//! The ring reader on rings that a model of the kernel writes: empty slots, open blocks, wrong
//! numbers.

use proptest::collection::vec;
use proptest::prelude::*;
use testkit::ring;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_frame_is_lent_once_and_in_order(bytes in vec(any::<u8>(), 0..3_000)) {
        ring::assert_frames_are_exact(&bytes);
    }

    #[test]
    fn corrupt_ring_headers_neither_stop_the_reader_nor_repeat_a_frame(
        bytes in vec(any::<u8>(), 0..1_500),
    ) {
        ring::assert_corrupt_rings_are_survived(&bytes);
    }
}

/// Reproduces a fault: every third slot is empty and the block is closed. The frames after the
/// first empty slot were lost, and were read again in the next round.
#[test]
fn frames_after_an_empty_slot_are_lent_once() {
    // Three blocks of 4 KiB; write, kind, length: two frames and an empty slot, repeated.
    let mut bytes = vec![1, 1];
    for round in 0..200 {
        bytes.extend([1, 0, 0, 20, 1, 0, 0, 20, 1, 0, 3, 20]);
        bytes.extend([1, 10, 0, 1, 10, 0]);
        if round % 5 == 4 {
            bytes.extend([1, 14, 0, 0]);
        }
    }
    ring::assert_frames_are_exact(&bytes);
}

#[test]
fn the_fuzz_seeds_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/ring_blocks");
    let mut seeds = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let (first, rest) = bytes.split_first().unwrap();
        if first.is_multiple_of(2) {
            ring::assert_frames_are_exact(rest);
        } else {
            ring::assert_corrupt_rings_are_survived(rest);
        }
        seeds += 1;
    }
    assert!(seeds > 4);
}
