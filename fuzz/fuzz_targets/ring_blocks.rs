//! Uses any bytes as the frames of a packet ring, and as the order in which the ring is written and
//! read. If the first byte is even, the simulated kernel writes valid blocks; if it is odd, wrong
//! numbers are then written into any headers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testkit::ring;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    // Longer inputs take more time and test nothing else.
    let rest = rest.get(..4_096).unwrap_or(rest);
    if first.is_multiple_of(2) {
        ring::assert_frames_are_exact(rest);
    } else {
        ring::assert_corrupt_rings_are_survived(rest);
    }
});
