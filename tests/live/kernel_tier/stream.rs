//! TCP through the mirrored interface with offloads on: the copies contain every byte of both
//! streams.

use std::sync::{Arc, Mutex};

use super::{RUN, kernel_lab};
use crate::collector::{Collector, ReceivedCopy};
use crate::mirror::Mirror;
use crate::recorder::len_that_fits;
use crate::traffic::{IPV4, stream_bytes, tcp};

/// The bytes of each direction.
const STREAM_LEN: usize = 100 << 20;

/// The longest frame of the mirrored device in bytes.
const MAX_FRAME: usize = 1_514;

/// One direction of a connection, put together from its copies.
#[derive(Debug, Default)]
struct Stream {
    /// The sequence number of the first byte.
    first: Option<u32>,
    bytes: Vec<u8>,
    is_known: Vec<bool>,
}

/// Both directions, and the number of copies.
#[derive(Debug, Default)]
struct Connection {
    copies: u64,
    longest: usize,
    /// From the generator and to it.
    streams: [Stream; 2],
}

impl Stream {
    fn add(&mut self, segment: &[u8]) {
        let sequence = u32::from_be_bytes(segment[4..8].try_into().unwrap());
        let payload = &segment[usize::from(segment[12] >> 4) * 4..];
        if segment[13] & 2 != 0 {
            self.first = Some(sequence.wrapping_add(1));
        }
        let Some(first) = self.first.filter(|_| !payload.is_empty()) else { return };
        let start = usize::try_from(sequence.wrapping_sub(first)).unwrap();
        let end = start + payload.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
            self.is_known.resize(end, false);
        }
        self.bytes[start..end].copy_from_slice(payload);
        self.is_known[start..end].fill(true);
    }
}

impl Connection {
    fn add(&mut self, copy: &ReceivedCopy) {
        self.copies += 1;
        let frame = &copy.inner;
        self.longest = self.longest.max(frame.len());
        let is_tcp = frame[12..14] == [0x08, 0x00] && frame[23] == 6;
        if is_tcp {
            let end = 14 + usize::from(u16::from_be_bytes([frame[16], frame[17]]));
            let is_answer = frame[26..30] == [10, 98, 1, 2];
            self.streams[usize::from(is_answer)].add(&frame[34..end]);
        }
    }
}

#[test]
fn the_copies_contain_both_streams_of_a_connection() {
    let Some(lab) = kernel_lab("kt-100m") else { return };
    let lab = lab.with_offloads(true);
    let connection: Arc<Mutex<Connection>> = Arc::default();
    let shared = Arc::clone(&connection);
    let receive = move |copy: ReceivedCopy| shared.lock().unwrap().add(&copy);
    let collector = Collector::listen_with(&lab.monitor, "10.99.1.2", receive);
    let mirror = Mirror::start(&lab.host, RUN);
    tcp(&lab, IPV4, STREAM_LEN);
    let ended = mirror.end();
    collector.end();
    let connection = connection.lock().unwrap();
    ended.assert_no_loss();
    assert_eq!(connection.copies, ended.count("mirrored"), "{}", ended.report);
    assert!(connection.longest <= MAX_FRAME, "{} bytes", connection.longest);
    let sent = stream_bytes(len_that_fits(STREAM_LEN));
    for stream in &connection.streams {
        assert_eq!(stream.bytes.len(), sent.len());
        let missing = stream.is_known.iter().filter(|is_known| !**is_known).count();
        assert_eq!(missing, 0, "bytes without a copy");
        assert!(stream.bytes == sent, "the copies contain other bytes than were sent");
    }
}
