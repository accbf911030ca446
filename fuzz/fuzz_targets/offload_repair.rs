//! Segments and completes any frame, or leaves it unchanged, for any offload: the first ten bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use traffic_mirror::io::repair::{Offload, Segments, finish_checksum};

fuzz_target!(|bytes: &[u8]| {
    let Some((header, frame)) = bytes.split_first_chunk() else { return };
    let offload = Offload::parse(header);
    if let Some(segments) = Segments::of(frame, &offload) {
        let mut room = vec![0; segments.header_len()];
        let mut payload_len = 0;
        for index in 0..segments.len() {
            assert_eq!(segments.put_header(index, &mut room), Some(room.len()));
            let payload = segments.payload(index);
            assert!(!payload.is_empty());
            assert!(segments.wire_len(index) >= room.len() + payload.len());
            payload_len += payload.len();
        }
        assert!(room.len() + payload_len <= frame.len());
    }
    let mut finished = frame.to_vec();
    if !finish_checksum(&mut finished, &offload) {
        assert_eq!(finished, frame);
    }
});
