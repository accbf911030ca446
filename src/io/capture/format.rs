//! What the two formats have in common: a file begins, and records follow.

use super::pcap::{FILE_HEADER_LEN, PcapLayout};
use super::pcapng::{PcapngSection, SECTION_HEADER};
use super::record::PacketRecord;

/// A format, and what the capture has said of itself so far.
pub(super) enum CaptureFormat {
    Pcap(PcapLayout),
    Pcapng(PcapngSection),
}

impl CaptureFormat {
    /// Tells the format by how a capture begins, or says why it is none.
    pub(super) fn detect(start: &[u8]) -> Result<Self, String> {
        let is_section = start.starts_with(&SECTION_HEADER.to_be_bytes());
        if is_section {
            return Ok(Self::Pcapng(PcapngSection::default()));
        }
        match start.first_chunk() {
            Some(magic) if PcapLayout::is_magic(*magic) => {
                let header = start.first_chunk().ok_or("its file header is cut short")?;
                PcapLayout::parse(header).map(Self::Pcap)
            }
            _ if start.is_empty() => Err("there is nothing in it".to_owned()),
            _ => {
                let shown = start.get(..8).unwrap_or(start).escape_ascii();
                Err(format!("it begins with \"{shown}\""))
            }
        }
    }

    /// What is unusual about the capture so far and read all the same. Of a pcapng capture each
    /// sentence comes once.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        match self {
            Self::Pcap(layout) => layout.warnings(),
            Self::Pcapng(section) => section.take_warnings(),
        }
    }

    /// Where the first record begins, or the first block.
    pub(super) const fn file_header_len(&self) -> usize {
        match self {
            Self::Pcap(_) => FILE_HEADER_LEN,
            Self::Pcapng(_) => 0,
        }
    }

    /// Whether interfaces with other clocks may still be described.
    pub(super) const fn may_change_precision(&self) -> bool {
        matches!(self, Self::Pcapng(_))
    }

    /// Whether times do not fit microseconds, as far as is known by now.
    pub(super) fn needs_nanoseconds(&self) -> bool {
        match self {
            Self::Pcap(layout) => layout.nanosecond,
            Self::Pcapng(section) => section.needs_nanoseconds(),
        }
    }

    /// The packet at the beginning of `bytes`, if it is there in full and sound.
    #[inline]
    pub(super) fn parse_record<'a>(&self, bytes: &'a [u8]) -> Option<PacketRecord<'a>> {
        match self {
            Self::Pcap(layout) => layout.parse_record(bytes),
            Self::Pcapng(section) => section.parse_record(bytes),
        }
    }
}
