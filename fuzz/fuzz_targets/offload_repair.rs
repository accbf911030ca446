//! Cuts any frame into segments and completes its checksum, for any `virtio_net_hdr`: the first ten
//! bytes. The segments must fit the frame, and a frame that is not completed must stay unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use traffic_mirror::io::repair::{Offload, Segments, finish_checksum};

fuzz_target!(|bytes: &[u8]| {
    let Some((virtio_net_hdr, frame)) = bytes.split_first_chunk() else { return };
    let offload = Offload::parse(virtio_net_hdr);
    if let Some(segments) = Segments::of(frame, &offload) {
        let mut header = vec![0; segments.header_len()];
        let mut payload_len = 0;
        for index in 0..segments.len() {
            assert_eq!(segments.put_header(index, &mut header), Some(header.len()));
            let payload = segments.payload(index);
            assert!(!payload.is_empty());
            assert!(segments.wire_len(index) >= header.len() + payload.len());
            payload_len += payload.len();
        }
        assert!(header.len() + payload_len <= frame.len());
    }
    let mut finished = frame.to_vec();
    if !finish_checksum(&mut finished, &offload) {
        assert_eq!(finished, frame);
    }
});
