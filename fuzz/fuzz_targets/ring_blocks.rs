//! Any bytes as a packet ring and the order in which it is written and read. The first byte
//! chooses between a kernel that keeps its own rules and wrong numbers anywhere.
#![no_main]

#[path = "../../tests/ring/mod.rs"]
mod ring;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    // More bytes take longer than they find.
    let rest = rest.get(..4_096).unwrap_or(rest);
    if first.is_multiple_of(2) {
        ring::assert_frames_are_exact(rest);
    } else {
        ring::assert_corrupt_rings_are_survived(rest);
    }
});
