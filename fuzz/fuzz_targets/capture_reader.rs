//! Reads any bytes as a capture file. There must be no panic, no endless loop, and no more memory
//! than the bytes justify. The readers of mapped files and of streams must return the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use traffic_mirror::dataplane::{Burst, Medium, Source};
use traffic_mirror::io::capture::CaptureSource;
use traffic_mirror::model::Direction;

/// Compressed input may expand to much more than its length; this much is enough.
const MAX_FRAMES: usize = 10_000;

#[derive(Debug, PartialEq, Eq)]
struct ReadFrame {
    bytes: Vec<u8>,
    timestamp_ns: u64,
    wire_len: u32,
    direction: Option<Direction>,
    medium: Medium,
}

/// All that a source lends, and how it ends.
fn read_all(mut source: impl Source) -> (Vec<ReadFrame>, Option<String>) {
    let mut all = Vec::new();
    while all.len() < MAX_FRAMES {
        let mut burst = Burst::new();
        let filled = source.fill(&mut burst);
        all.extend(burst.iter().map(|frame| {
            let captured_len = u32::try_from(frame.bytes.len()).expect("a frame fits 32 bits");
            assert!(captured_len <= frame.wire_len, "shorter on the wire than captured");
            ReadFrame {
                bytes: frame.bytes.to_vec(),
                timestamp_ns: frame.timestamp_ns,
                wire_len: frame.wire_len,
                direction: frame.direction,
                medium: frame.medium,
            }
        }));
        let is_end = burst.is_empty();
        drop(burst);
        match filled {
            Err(error) => {
                let mut after = Burst::new();
                assert!(source.fill(&mut after).is_ok(), "trouble is said once");
                assert!(after.is_empty(), "behind trouble there is nothing");
                return (all, Some(error.to_string()));
            }
            Ok(()) if is_end => return (all, None),
            Ok(()) => {}
        }
    }
    (all, None)
}

fuzz_target!(|bytes: &[u8]| {
    let mapped = CaptureSource::from_bytes("fuzz", bytes.to_vec()).map(read_all);
    let streamed =
        CaptureSource::from_reader("fuzz", std::io::Cursor::new(bytes.to_vec())).map(read_all);
    match (mapped, streamed) {
        (Ok(mapped), Ok(streamed)) => assert_eq!(mapped, streamed),
        (Err(mapped), Err(streamed)) => assert_eq!(mapped.to_string(), streamed.to_string()),
        (mapped, streamed) => panic!("one opens it, the other does not: {mapped:?} {streamed:?}"),
    }
});
