//! The pcap format: a file header of 24 bytes, then records.
//!
//! ```text
//! file header                       record header
//!  0 magic: byte order, precision    0 seconds
//!  4 version 2.4 (4 + 4 unused)      4 micro- or nanoseconds
//! 16 snaplen, ignored                8 captured length
//! 20 link type and more             12 length on the wire
//!                                   16 (modified format: 8 bytes more)
//!
//! link type field, highest bit first
//!   4 bits FCS length   1 reserved   1 FCS length is valid   10 reserved   16 link type
//! ```
//! The FCS (frame check sequence) length is in units of two bytes.

use super::link_type::ETHERNET;
use super::record::{MAX_RECORD_LEN, PacketRecord, fcs_warning};

/// The layout of the records of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PcapLayout {
    pub(super) big_endian: bool,
    pub(super) nanosecond: bool,
    /// The length of a record header in bytes: 16, or 24 in the format of an old patch to libpcap
    /// (magic a1b2cd34).
    pub(super) header_len: usize,
    length_order: LengthOrder,
    pub(super) link_type: u16,
    /// The length of the frame check sequence at the end of each frame, in bytes.
    fcs_len: u8,
    /// The field with the link type and the FCS length.
    link_type_field: u32,
    version: (u16, u16),
}

/// Bits of the link type field that must be 0. libpcap rejects a capture with one of them set.
const RESERVED_BITS: u32 = 0x0bff_0000;

/// If set, the highest four bits of the link type field are the FCS length.
const HAS_FCS_LEN: u32 = 0x0400_0000;

/// The order of the two lengths in a record header, which differs between early versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LengthOrder {
    CapturedFirst,
    WireFirst,
    SmallerIsCaptured,
}

/// The length of the file header, in bytes.
pub(super) const FILE_HEADER_LEN: usize = 24;

/// The fields of a record header in the usual layout.
#[derive(Debug, Clone, Copy)]
pub(super) struct UsualRecordHeader {
    seconds: u32,
    fraction: u32,
    pub(super) captured_len: u32,
    pub(super) wire_len: u32,
}

impl UsualRecordHeader {
    #[inline(always)]
    pub(super) const fn parse(header: &[u8; 16]) -> Self {
        let [s0, s1, s2, s3, f0, f1, f2, f3, a0, a1, a2, a3, b0, b1, b2, b3] = *header;
        Self {
            seconds: u32::from_le_bytes([s0, s1, s2, s3]),
            fraction: u32::from_le_bytes([f0, f1, f2, f3]),
            captured_len: u32::from_le_bytes([a0, a1, a2, a3]),
            wire_len: u32::from_le_bytes([b0, b1, b2, b3]),
        }
    }

    #[inline(always)]
    pub(super) fn timestamp_ns(&self, nanoseconds_per_unit: u64) -> u64 {
        u64::from(self.seconds) * 1_000_000_000 + u64::from(self.fraction) * nanoseconds_per_unit
    }
}

/// A parsed record header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) timestamp_ns: u64,
    pub(super) captured_len: u32,
    pub(super) wire_len: u32,
}

impl PcapLayout {
    /// Whether `start` is a magic number of pcap.
    pub(super) fn is_magic(start: [u8; 4]) -> bool {
        Self::parse_magic(start).is_some()
    }

    /// Whether it is big-endian, whether it has nanoseconds, and the length of record headers.
    fn parse_magic(start: [u8; 4]) -> Option<(bool, bool, usize)> {
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

    /// Parses the file header.
    ///
    /// # Errors
    /// A sentence, if the header is not supported.
    pub(super) fn parse(header: &[u8; FILE_HEADER_LEN]) -> Result<Self, String> {
        let [m0, m1, m2, m3, a0, a1, i0, i1, .., l0, l1, l2, l3] = *header;
        let field = [l0, l1, l2, l3];
        let Some((big_endian, nanosecond, header_len)) = Self::parse_magic([m0, m1, m2, m3]) else {
            return Err("it does not begin with a magic number of pcap".to_owned());
        };
        let word =
            |pair| if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) };
        let (major, minor) = (word([a0, a1]), word([i0, i1]));
        let length_order = match (major, minor) {
            (2, 0..=2) => LengthOrder::WireFirst,
            (2, 3) | (543, 0) => LengthOrder::SmallerIsCaptured,
            (2, _) => LengthOrder::CapturedFirst,
            _ => return Err(format!("version {major}.{minor} of pcap: expected 2.x")),
        };
        let link_type = if big_endian { word([l2, l3]) } else { word([l0, l1]) };
        let link_type_field =
            if big_endian { u32::from_be_bytes(field) } else { u32::from_le_bytes(field) };
        let has_fcs = link_type_field & HAS_FCS_LEN != 0;
        let fcs_len = u8::try_from(link_type_field >> 28).ok().filter(|_| has_fcs).map(|n| n * 2);
        Ok(Self {
            big_endian,
            nanosecond,
            header_len,
            length_order,
            link_type,
            fcs_len: fcs_len.unwrap_or(0),
            link_type_field,
            version: (major, minor),
        })
    }

    /// Whether the capture has Ethernet frames without frame check sequence in little-endian records
    /// with a header of 16 bytes, the captured length first: nearly every pcap file.
    pub(super) const fn is_usual(&self) -> bool {
        !self.big_endian
            && self.header_len == 16
            && matches!(self.length_order, LengthOrder::CapturedFirst)
            && self.fcs_len == 0
            && self.link_type == ETHERNET
    }

    /// Warnings about deviations in the file header that are tolerated.
    pub(super) fn warnings(&self) -> Vec<String> {
        let (major, minor) = self.version;
        let mut warnings = Vec::new();
        if major == 2 && minor > 4 {
            warnings.push(format!(
                "version {major}.{minor} of pcap: expected 2.0 to 2.4; it is read as 2.4"
            ));
        }
        let reserved = self.link_type_field & RESERVED_BITS;
        if reserved != 0 {
            warnings.push(format!(
                "link type field {:#010x}: expected zero in the reserved bits, which are \
                 {reserved:#010x}; they are ignored, and the link type is {}",
                self.link_type_field, self.link_type
            ));
        }
        warnings.extend(fcs_warning(self.fcs_len));
        warnings
    }

    /// The record at the start of `bytes`, if it is complete and not longer than the maximum.
    #[inline]
    pub(super) fn parse_record<'a>(&self, bytes: &'a [u8]) -> Option<PacketRecord<'a>> {
        let header = self.record_header(bytes)?;
        let len = usize::try_from(header.captured_len).ok().filter(|len| *len <= MAX_RECORD_LEN)?;
        let record = PacketRecord {
            bytes: bytes.get(self.header_len..)?.get(..len)?,
            wire_len: header.wire_len,
            timestamp_ns: header.timestamp_ns,
            link_type: self.link_type,
            direction: None,
            stored_len: self.header_len + len,
        };
        Some(record.without_fcs(self.fcs_len))
    }

    /// Parses the record header at the start of `bytes`; none if it is truncated.
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
        let (captured_len, wire_len) = match self.length_order {
            LengthOrder::CapturedFirst => (first, second),
            LengthOrder::WireFirst => (second, first),
            LengthOrder::SmallerIsCaptured => (first.min(second), first.max(second)),
        };
        let unit = if self.nanosecond { 1 } else { 1_000 };
        let seconds = u64::from(number([s0, s1, s2, s3]));
        let fraction = u64::from(number([f0, f1, f2, f3]));
        // A fraction of one second or more is added to the seconds, because such files exist.
        let timestamp_ns = seconds * 1_000_000_000 + fraction * unit;
        // A wire length below the captured length is corrected to the captured length.
        Some(RecordHeader { timestamp_ns, captured_len, wire_len: wire_len.max(captured_len) })
    }
}
