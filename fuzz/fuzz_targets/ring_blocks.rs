//! Uses any bytes as a packet ring and as the order in which it is written and read. The first byte
//! selects a kernel that follows its own rules, or wrong numbers in any header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testkit::ring;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    // More bytes take time and find nothing new.
    let rest = rest.get(..4_096).unwrap_or(rest);
    if first.is_multiple_of(2) {
        ring::assert_frames_are_exact(rest);
    } else {
        ring::assert_corrupt_rings_are_survived(rest);
    }
});
