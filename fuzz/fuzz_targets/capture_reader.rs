//! Reads any bytes as a capture file. There must be no panic and no endless loop, and the length of
//! the input must bound the memory in use. The readers of mapped files and of streams must return
//! the same frames and errors.
#![no_main]

use libfuzzer_sys::fuzz_target;
use traffic_mirror::dataplane::{Burst, Medium, Source};
use traffic_mirror::io::capture::CaptureSource;
use traffic_mirror::model::Direction;

/// Reading stops here, because compressed input may expand to much more than its length.
const MAX_FRAMES: usize = 10_000;

/// The first bytes of a gzip file (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

#[derive(Debug, PartialEq, Eq)]
struct ReadFrame {
    bytes: Vec<u8>,
    timestamp_ns: u64,
    wire_len: u32,
    direction: Option<Direction>,
    medium: Medium,
}

/// All frames of a source, and the error that ended it, if any.
fn read_all(mut source: impl Source) -> (Vec<ReadFrame>, Option<String>) {
    let mut frames = Vec::new();
    while frames.len() < MAX_FRAMES {
        let mut burst = Burst::new();
        let filled = source.fill(&mut burst);
        frames.extend(burst.iter().map(|frame| {
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
                assert!(source.fill(&mut after).is_ok(), "an error is returned once");
                assert!(after.is_empty(), "no frame follows an error");
                return (frames, Some(error.to_string()));
            }
            Ok(()) if is_end => return (frames, None),
            Ok(()) => {}
        }
    }
    (frames, None)
}

fuzz_target!(|bytes: &[u8]| {
    let mapped = CaptureSource::from_bytes("fuzz", bytes.to_vec()).map(read_all);
    let streamed =
        CaptureSource::from_reader("fuzz", std::io::Cursor::new(bytes.to_vec())).map(read_all);
    // A decoder of gzip may discard what it decoded when it finds damage in the same call, so the
    // error depends on the pieces.
    let have_both_failed = !matches!(mapped, Ok((_, None))) && !matches!(streamed, Ok((_, None)));
    if bytes.starts_with(&GZIP_MAGIC) && have_both_failed {
        return;
    }
    match (mapped, streamed) {
        (Ok(mapped), Ok(streamed)) => assert_eq!(mapped, streamed),
        (Err(mapped), Err(streamed)) => assert_eq!(mapped.to_string(), streamed.to_string()),
        (mapped, streamed) => panic!("only one reader opens it: {mapped:?} {streamed:?}"),
    }
});
