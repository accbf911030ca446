//! The common interface of the two formats, pcap and pcapng.

use super::pcap::{FILE_HEADER_LEN, PcapLayout};
use super::pcapng::{PcapngSection, SECTION_HEADER};
use super::record::PacketRecord;

/// The format of a capture, with what its headers have declared so far.
#[derive(Debug, Clone)]
pub(super) enum CaptureFormat {
    Pcap(PcapLayout),
    Pcapng(PcapngSection),
}

impl CaptureFormat {
    /// Detects the format by the first bytes of a capture.
    ///
    /// # Errors
    /// A sentence, if it is neither format.
    pub(super) fn detect(start: &[u8]) -> Result<Self, String> {
        let is_section = start.starts_with(&SECTION_HEADER.to_be_bytes());
        if is_section {
            return Ok(Self::Pcapng(PcapngSection::default()));
        }
        match start.first_chunk() {
            Some(magic) if PcapLayout::is_magic(*magic) => {
                let header = start.first_chunk().ok_or("its file header is truncated")?;
                PcapLayout::parse(header).map(Self::Pcap)
            }
            _ if start.is_empty() => Err("its content is empty".to_owned()),
            _ => {
                let shown = start.get(..8).unwrap_or(start).escape_ascii();
                Err(format!("it begins with \"{shown}\""))
            }
        }
    }

    /// Warnings about deviations that are tolerated. For pcapng each sentence is returned once.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        match self {
            Self::Pcap(layout) => layout.warnings(),
            Self::Pcapng(section) => section.take_warnings(),
        }
    }

    /// The offset of the first record or block, in bytes.
    pub(super) const fn file_header_len(&self) -> usize {
        match self {
            Self::Pcap(_) => FILE_HEADER_LEN,
            Self::Pcapng(_) => 0,
        }
    }

    /// Whether interfaces with another timestamp resolution may still follow.
    pub(super) const fn may_change_precision(&self) -> bool {
        matches!(self, Self::Pcapng(_))
    }

    /// Whether, as far as is known, there are timestamps that are not whole microseconds.
    pub(super) fn needs_nanoseconds(&self) -> bool {
        match self {
            Self::Pcap(layout) => layout.nanosecond,
            Self::Pcapng(section) => section.needs_nanoseconds(),
        }
    }

    /// The packet at the start of `bytes`, if it is complete and valid.
    #[inline]
    pub(super) fn parse_record<'a>(&self, bytes: &'a [u8]) -> Option<PacketRecord<'a>> {
        match self {
            Self::Pcap(layout) => layout.parse_record(bytes),
            Self::Pcapng(section) => section.parse_record(bytes),
        }
    }
}
