//! The classic format: a file header of 24 bytes, then records.
//!
//! ```text
//! file header                       record header
//!  0 magic: byte order, precision    0 seconds
//!  4 version 2.4 (4 + 4 unused)      4 micro- or nanoseconds
//! 16 snaplen, never believed         8 captured length
//! 20 link type in the low 16 bits   12 length on the wire
//!                                   16 (modified format: 8 bytes more)
//! ```

use super::MAX_RECORD_LEN;
use super::format::Record;

/// How the records of a file are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) big_endian: bool,
    pub(super) nanosecond: bool,
    /// 16, or 24 in the format that a patch to libpcap wrote once (magic a1b2cd34).
    pub(super) header_len: usize,
    lengths: Lengths,
    pub(super) link_type: u16,
}

/// Which of the two lengths of a record comes first: early versions disagreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    WireFirst,
    SmallerIsCaptured,
}

/// Length of the file header in bytes.
pub(super) const FILE_HEADER_LEN: usize = 24;

/// One record header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) timestamp_ns: u64,
    pub(super) captured_len: u32,
    pub(super) wire_len: u32,
}

impl Layout {
    /// Whether a capture that begins with these bytes is of this format.
    pub(super) fn is_magic(start: [u8; 4]) -> bool {
        Self::of_magic(start).is_some()
    }

    /// Byte order, precision and length of record headers.
    fn of_magic(start: [u8; 4]) -> Option<(bool, bool, usize)> {
        match u32::from_be_bytes(start) {
            0xa1b2_c3d4 => Some((true, false, 16)),
            0xd4c3_b2a1 => Some((false, false, 16)),
            0xa1b2_3c4d => Some((true, true, 16)),
            0x4d3c_b2a1 => Some((false, true, 16)),
            0xa1b2_cd34 => Some((true, false, 24)),
            0x34cd_b2a1 => Some((false, false, 24)),
            _ => None,
        }
    }

    /// Reads the file header, or says what about it is not supported.
    pub(super) fn parse(header: &[u8; FILE_HEADER_LEN]) -> Result<Self, String> {
        let [m0, m1, m2, m3, a0, a1, i0, i1, .., l0, l1, l2, l3] = *header;
        let Some((big_endian, nanosecond, header_len)) = Self::of_magic([m0, m1, m2, m3]) else {
            return Err("no magic number".to_owned());
        };
        let word =
            |pair| if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) };
        let (major, minor) = (word([a0, a1]), word([i0, i1]));
        let lengths = match (major, minor) {
            (2, 0..=2) => Lengths::WireFirst,
            (2, 3) | (543, 0) => Lengths::SmallerIsCaptured,
            (2, _) => Lengths::CapturedFirst,
            _ => return Err(format!("version {major}.{minor} of pcap, of which only 2.x is read")),
        };
        // The upper half of the field tells of frame check sequences.
        let link_type = if big_endian { word([l2, l3]) } else { word([l0, l1]) };
        Ok(Self { big_endian, nanosecond, header_len, lengths, link_type })
    }

    /// The record at the beginning of `bytes`, if it is there in full and to be believed.
    #[inline]
    pub(super) fn record<'a>(&self, bytes: &'a [u8]) -> Option<Record<'a>> {
        let header = self.record_header(bytes)?;
        let len = usize::try_from(header.captured_len).ok().filter(|len| *len <= MAX_RECORD_LEN)?;
        Some(Record {
            bytes: bytes.get(self.header_len..)?.get(..len)?,
            wire_len: header.wire_len,
            timestamp_ns: header.timestamp_ns,
            link_type: self.link_type,
            direction: None,
            taken_len: self.header_len + len,
        })
    }

    /// Reads the record header at the beginning of `bytes`; nothing where it is cut.
    #[inline]
    pub(super) fn record_header(&self, bytes: &[u8]) -> Option<RecordHeader> {
        let [s0, s1, s2, s3, f0, f1, f2, f3, a0, a1, a2, a3, b0, b1, b2, b3] =
            *bytes.first_chunk()?;
        if bytes.len() < self.header_len {
            return None;
        }
        let number = |bytes| {
            if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
        };
        let (first, second) = (number([a0, a1, a2, a3]), number([b0, b1, b2, b3]));
        let (captured_len, wire_len) = match self.lengths {
            Lengths::CapturedFirst => (first, second),
            Lengths::WireFirst => (second, first),
            Lengths::SmallerIsCaptured => (first.min(second), first.max(second)),
        };
        let unit = if self.nanosecond { 1 } else { 1_000 };
        let seconds = u64::from(number([s0, s1, s2, s3]));
        let fraction = u64::from(number([f0, f1, f2, f3]));
        // A fraction of a second or more is carried: such files exist.
        let timestamp_ns = seconds * 1_000_000_000 + fraction * unit;
        // "An original length below the captured one" is damage that is easily mended.
        Some(RecordHeader { timestamp_ns, captured_len, wire_len: wire_len.max(captured_len) })
    }
}
