//! Divides a capture into chunks of whole records, which several threads can read.

use std::io;

use super::format::CaptureFormat;
use super::frames::BorrowedRecords;
use super::link_type::LinkType;
use super::source::CaptureSource;
use super::window::Window;

/// The length of a chunk in bytes; the last record may exceed it. It is large enough to hide the
/// cost of passing it to another thread, and small enough that its copies stay in the cache.
const CHUNK_LEN: usize = 256 * 1024;

/// How many bytes before the cursor the chunks of 64 workers may contain, two for each.
const RELEASE_LAG: usize = 2 * 64 * CHUNK_LEN;

/// A section of pcapng with more interfaces is not divided, because each chunk has a copy of them.
const MAX_INTERFACES: usize = 16;

/// Chunks shorter than this, in bytes, cost more than their records.
const SHORT_CHUNK_LEN: usize = 16 * 1024;

/// A capture with more short chunks is not divided further. Blocks between the packets of pcapng end
/// chunks.
const MAX_SHORT_CHUNKS: u32 = 64;

/// Successive records of a capture.
pub struct CaptureChunk {
    window: Window,
    format: CaptureFormat,
}

impl CaptureChunk {
    /// A source of these records.
    #[must_use]
    pub fn into_source(self) -> CaptureSource {
        CaptureSource::of_records(String::new(), self.window, self.format)
    }
}

impl CaptureSource {
    /// The next records; none at the end. The records of all chunks are those that the source would
    /// lend. For a stream, the records are those that were read so far.
    ///
    /// # Errors
    /// As for [`Source::fill`](crate::dataplane::Source::fill).
    pub fn next_chunk(&mut self) -> io::Result<Option<CaptureChunk>> {
        if self.advance_to_record()?.is_none() {
            return Ok(None);
        }
        self.borrowed = self.measure_chunk();
        self.short_chunks += u32::from(self.borrowed.bytes < SHORT_CHUNK_LEN);
        self.window.set_release_lag(RELEASE_LAG);
        let (window, format) = (self.window.part(self.borrowed.bytes), self.format.clone());
        Ok(Some(CaptureChunk { window, format }))
    }

    /// Whether several threads can read the rest of the capture faster than one.
    #[must_use]
    pub const fn is_divisible(&self) -> bool {
        let has_few_interfaces = match &self.format {
            CaptureFormat::Pcap(_) => true,
            CaptureFormat::Pcapng(section) => section.interface_count() <= MAX_INTERFACES,
        };
        has_few_interfaces && self.short_chunks < MAX_SHORT_CHUNKS
    }

    /// The length of the next chunk. Link types that are not supported are recorded.
    fn measure_chunk(&mut self) -> BorrowedRecords {
        let window = self.window.remaining();
        let mut measured = BorrowedRecords::default();
        let mut last_type = None;
        while measured.bytes < CHUNK_LEN {
            let rest = window.get(measured.bytes..).unwrap_or_default();
            let Some(record) = self.format.parse_record(rest) else { break };
            if last_type != Some(record.link_type) {
                last_type = Some(record.link_type);
                if LinkType::from_number(record.link_type) == LinkType::Unsupported {
                    self.unsupported.insert(record.link_type);
                }
            }
            measured.bytes += record.stored_len;
            measured.records += 1;
        }
        measured
    }
}
