//! Turns records into frames: Ethernet is borrowed from the file; other link types are copied
//! after a synthesized Ethernet header.

use std::collections::BTreeSet;

use arrayvec::ArrayVec;

use super::format::CaptureFormat;
use super::link_type::{IpLinkType, LinkType, synthesize_header};
use super::pcap::UsualRecordHeader;
use super::record::{MAX_RECORD_LEN, PacketRecord};
use super::source::CaptureSource;
use crate::dataplane::{BURST_LEN, Burst, Frame, Medium};
use crate::io::sys::prefetch;
use crate::model::Direction;

/// The distance of prefetching from the cursor, in bytes: about three frames of full size.
const PREFETCH_LEN: usize = 4096;

/// Shorter records, in bytes, are not prefetched, because the hardware prefetcher detects them.
const MIN_PREFETCHED_LEN: usize = 256;

/// A burst of copied frames ends at this total length, in bytes.
const MAX_COPIED_LEN: usize = 1024 * 1024;

/// The bytes and records that the last burst borrowed. The cursor advances by them afterwards.
#[derive(Default)]
pub(super) struct BorrowedRecords {
    pub(super) bytes: usize,
    pub(super) records: usize,
}

/// A frame in the buffer of copied frames.
struct CopiedFrame {
    start: usize,
    wire_len: u32,
    timestamp_ns: u64,
    direction: Option<Direction>,
}

impl CaptureSource {
    /// Fills the burst with borrowed records, up to the first that needs an Ethernet header.
    pub(super) fn fill_borrowed<'a>(&'a mut self, burst: &mut Burst<'a>) {
        let window = self.window.remaining();
        let unsupported = &mut self.unsupported;
        // One loop for each format, so that there is no branch on the format for each record.
        self.borrowed = match &self.format {
            CaptureFormat::Pcap(layout) if layout.is_usual() => {
                let nanoseconds_per_unit = if layout.nanosecond { 1 } else { 1_000 };
                borrow_usual_records(window, burst, nanoseconds_per_unit)
            }
            CaptureFormat::Pcap(layout) => {
                borrow_records(window, burst, unsupported, |bytes| layout.parse_record(bytes))
            }
            CaptureFormat::Pcapng(section) => {
                borrow_records(window, burst, unsupported, |bytes| section.parse_record(bytes))
            }
        };
    }

    /// Fills the burst with records that are copied after Ethernet headers, up to the first record
    /// of another link type.
    pub(super) fn fill_copied<'a>(&'a mut self, kind: IpLinkType, burst: &mut Burst<'a>) {
        self.copied.clear();
        let window = self.window.remaining();
        let mut at = 0;
        let mut frames = ArrayVec::<CopiedFrame, BURST_LEN>::new();
        while frames.len() < BURST_LEN && self.copied.len() < MAX_COPIED_LEN {
            let Some(record) = window.get(at..).and_then(|rest| self.format.parse_record(rest))
            else {
                break;
            };
            if LinkType::from_number(record.link_type) != LinkType::Ip(kind) {
                break;
            }
            frames.push(copy_with_header(&mut self.copied, kind, &record));
            at += record.stored_len;
        }
        self.borrowed = BorrowedRecords { bytes: at, records: frames.len() };
        let ends = frames.iter().skip(1).map(|next| next.start).chain([self.copied.len()]);
        burst.extend(frames.iter().zip(ends).map(|(frame, end)| Frame {
            bytes: self.copied.get(frame.start..end).unwrap_or_default(),
            tail: &[],
            timestamp_ns: frame.timestamp_ns,
            wire_len: frame.wire_len,
            direction: frame.direction,
            medium: Medium::Ethernet,
            is_next_segment: false,
            is_cut: false,
        }));
    }
}

fn borrow_records<'a>(
    window: &'a [u8],
    burst: &mut Burst<'a>,
    unsupported: &mut BTreeSet<u16>,
    read: impl Fn(&'a [u8]) -> Option<PacketRecord<'a>>,
) -> BorrowedRecords {
    let mut borrowed = BorrowedRecords::default();
    let mut link = (None, LinkType::Ethernet);
    while burst.len() < BURST_LEN {
        let Some(record) = window.get(borrowed.bytes..).and_then(&read) else { break };
        if link.0 != Some(record.link_type) {
            link = (Some(record.link_type), LinkType::from_number(record.link_type));
        }
        let medium = match link.1 {
            LinkType::Ethernet => Medium::Ethernet,
            LinkType::Unsupported => {
                unsupported.insert(record.link_type);
                Medium::Unsupported
            }
            LinkType::Ip(_) => break,
        };
        if record.stored_len >= MIN_PREFETCHED_LEN {
            prefetch_ahead(window, borrowed.bytes, record.stored_len);
        }
        borrowed.bytes += record.stored_len;
        borrowed.records += 1;
        burst.push(Frame {
            bytes: record.bytes,
            tail: &[],
            timestamp_ns: record.timestamp_ns,
            wire_len: record.wire_len,
            direction: record.direction,
            medium,
            is_next_segment: false,
            is_cut: false,
        });
    }
    borrowed
}

/// Borrows records of the usual layout of pcap, see [`PcapLayout::is_usual`]. It does the same as
/// [`borrow_records`] in half as many instructions.
fn borrow_usual_records<'a>(
    window: &'a [u8],
    burst: &mut Burst<'a>,
    nanoseconds_per_unit: u64,
) -> BorrowedRecords {
    let mut rest = window;
    let mut records = 0;
    while records < BURST_LEN {
        let Some((header, behind)) = rest.split_first_chunk() else { break };
        let header = UsualRecordHeader::parse(header);
        let Some(len) =
            usize::try_from(header.captured_len).ok().filter(|len| *len <= MAX_RECORD_LEN)
        else {
            break;
        };
        let Some((bytes, behind)) = behind.split_at_checked(len) else { break };
        if len >= MIN_PREFETCHED_LEN {
            prefetch_ahead(window, window.len() - rest.len(), len);
        }
        let frame = Frame {
            timestamp_ns: header.timestamp_ns(nanoseconds_per_unit),
            wire_len: header.wire_len.max(header.captured_len),
            ..Frame::new(bytes)
        };
        if burst.try_push(frame).is_err() {
            break;
        }
        rest = behind;
        records += 1;
    }
    BorrowedRecords { bytes: window.len() - rest.len(), records }
}

fn copy_with_header(
    copied: &mut Vec<u8>,
    kind: IpLinkType,
    record: &PacketRecord<'_>,
) -> CopiedFrame {
    let start = copied.len();
    let link = synthesize_header(kind, record.bytes);
    let replaced_len = u32::try_from(link.replaced_len).unwrap_or_default();
    copied.extend(link.header);
    copied.extend(record.bytes.get(link.replaced_len..).unwrap_or_default());
    CopiedFrame {
        start,
        wire_len: record.wire_len.saturating_sub(replaced_len).saturating_add(14),
        timestamp_ns: record.timestamp_ns,
        direction: record.direction.or(link.direction),
    }
}

/// Prefetches as many bytes as the record has, [`PREFETCH_LEN`] bytes ahead.
#[inline]
fn prefetch_ahead(window: &[u8], at: usize, len: usize) {
    let mut offset = at + PREFETCH_LEN;
    let end = offset + len;
    while offset < end {
        prefetch(window, offset);
        offset += 64;
    }
}
