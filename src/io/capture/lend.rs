//! From records to frames: Ethernet is lent as it lies, the rest gets a header and is copied.

use std::collections::BTreeSet;

use arrayvec::ArrayVec;

use super::format::{Format, Record};
use super::link::{Kind, Link, ethernet_header};
use super::source::CaptureSource;
use crate::dataplane::{BURST_LEN, Burst, Frame, Medium};
use crate::io::sys::prefetch;
use crate::model::Direction;

/// How far ahead of the cursor cache lines are asked for, in bytes: a few frames of full size.
const PREFETCH_LEN: usize = 4096;

/// Shorter records lie so close that the processor sees by itself where the reading goes.
const PREFETCHED_LEN: usize = 256;

/// Frames behind an Ethernet header of ours are copied; a burst of them ends at this length.
const MAX_COPIED_LEN: usize = 1024 * 1024;

/// What the last burst borrowed, over which the cursor moves when it is given back.
#[derive(Default)]
pub(super) struct Lent {
    pub(super) bytes: usize,
    pub(super) records: usize,
}

/// A record in the buffer of those that were given an Ethernet header.
struct MadeFrame {
    start: usize,
    wire_len: u32,
    timestamp_ns: u64,
    direction: Option<Direction>,
}

impl CaptureSource {
    /// Lends records as they are, up to the first that gets an Ethernet header.
    pub(super) fn lend<'a>(&'a mut self, burst: &mut Burst<'a>) {
        let window = self.window.rest();
        let met = &mut self.unsupported;
        // One loop for each format, so that no record pays for there being two.
        self.lent = match &self.format {
            Format::Pcap(layout) => lend(window, burst, met, |bytes| layout.record(bytes)),
            Format::Pcapng(section) => lend(window, burst, met, |bytes| section.record(bytes)),
        };
    }

    /// Copies records behind Ethernet headers, up to the first that needs none.
    pub(super) fn make<'a>(&'a mut self, kind: Kind, burst: &mut Burst<'a>) {
        self.made.clear();
        let window = self.window.rest();
        let mut at = 0;
        let mut frames = ArrayVec::<MadeFrame, BURST_LEN>::new();
        while frames.len() < BURST_LEN && self.made.len() < MAX_COPIED_LEN {
            let Some(record) = window.get(at..).and_then(|rest| self.format.record(rest)) else {
                break;
            };
            if Link::of(record.link_type) != Link::Other(kind) {
                break;
            }
            frames.push(put_behind_header(&mut self.made, kind, &record));
            at += record.taken_len;
        }
        self.lent = Lent { bytes: at, records: frames.len() };
        let ends = frames.iter().skip(1).map(|next| next.start).chain([self.made.len()]);
        burst.extend(frames.iter().zip(ends).map(|(frame, end)| Frame {
            bytes: self.made.get(frame.start..end).unwrap_or_default(),
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

fn lend<'a>(
    window: &'a [u8],
    burst: &mut Burst<'a>,
    unsupported: &mut BTreeSet<u16>,
    read: impl Fn(&'a [u8]) -> Option<Record<'a>>,
) -> Lent {
    let mut lent = Lent::default();
    let mut link = (None, Link::Ethernet);
    while burst.len() < BURST_LEN {
        let Some(record) = window.get(lent.bytes..).and_then(&read) else { break };
        if link.0 != Some(record.link_type) {
            link = (Some(record.link_type), Link::of(record.link_type));
        }
        let medium = match link.1 {
            Link::Ethernet => Medium::Ethernet,
            Link::Unsupported => {
                unsupported.insert(record.link_type);
                Medium::Unsupported
            }
            Link::Other(_) => break,
        };
        if record.taken_len >= PREFETCHED_LEN {
            prefetch_ahead(window, lent.bytes, record.taken_len);
        }
        lent.bytes += record.taken_len;
        lent.records += 1;
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
    lent
}

fn put_behind_header(made: &mut Vec<u8>, kind: Kind, record: &Record<'_>) -> MadeFrame {
    let start = made.len();
    let link = ethernet_header(kind, record.bytes);
    let replaced_len = u32::try_from(link.replaced_len).unwrap_or_default();
    made.extend(link.header);
    made.extend(record.bytes.get(link.replaced_len..).unwrap_or_default());
    MadeFrame {
        start,
        wire_len: record.wire_len.saturating_sub(replaced_len).saturating_add(14),
        timestamp_ns: record.timestamp_ns,
        direction: record.direction.or(link.direction),
    }
}

/// Asks for as many cache lines as the record took, so much further on.
#[inline]
fn prefetch_ahead(window: &[u8], at: usize, len: usize) {
    let mut offset = at + PREFETCH_LEN;
    let end = offset + len;
    while offset < end {
        prefetch(window, offset);
        offset += 64;
    }
}
