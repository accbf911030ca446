//! Compares the copies of the data plane with those of the oracle, byte for byte, for any
//! configuration and any frames.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testkit::oracle::encapsulated::encapsulated_frame;
use testkit::oracle::generate::{Entropy, frame, registry};
use testkit::oracle::{self, Mode};
use traffic_mirror::model::Direction;

// The first byte forces a direction, or none. The next two are the length of the bytes that choose
// the configuration. Of the rest, each 100 bytes choose a frame of a replay, and each 200 bytes an
// encapsulated frame of a live device.
fuzz_target!(|bytes: &[u8]| {
    let Some(([forced, high, low], rest)) = bytes.split_first_chunk() else { return };
    let len = usize::from(u16::from_be_bytes([*high, *low]) % 2_000).min(rest.len());
    let (choices, frames) = rest.split_at(len);
    let forced = match forced % 6 {
        0 => Some(Direction::Ingress),
        1 => Some(Direction::Egress),
        _ => None,
    };
    let registry = registry(&mut Entropy(choices));
    let inputs: Vec<_> = frames.chunks(100).map(|bytes| frame(&mut Entropy(bytes))).collect();
    oracle::compare::compare(&registry, Mode::Replay(forced), &inputs);
    let inputs: Vec<_> =
        frames.chunks(200).map(|bytes| encapsulated_frame(&mut Entropy(bytes))).collect();
    oracle::compare::compare(&registry, Mode::Live, &inputs);
});
