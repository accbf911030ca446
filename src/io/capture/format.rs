//! What the two formats have in common: a file begins, and records follow.

use super::pcap::{FILE_HEADER_LEN, Layout};
use super::pcapng::{SECTION, Section};
use crate::model::Direction;

/// A format, and what the capture has said of itself so far.
pub(super) enum Format {
    Pcap(Layout),
    Pcapng(Section),
}

/// One packet, wherever it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) wire_len: u32,
    pub(super) timestamp_ns: u64,
    pub(super) link_type: u16,
    pub(super) direction: Option<Direction>,
    /// How many bytes it took in the capture.
    pub(super) taken_len: usize,
}

impl Format {
    /// Tells the format by how a capture begins, or says why it is none.
    pub(super) fn of(start: &[u8]) -> Result<Self, String> {
        let is_section = start.starts_with(&SECTION.to_be_bytes());
        if is_section {
            return Ok(Self::Pcapng(Section::default()));
        }
        match start.first_chunk() {
            Some(magic) if Layout::is_magic(*magic) => {
                let header = start.first_chunk().ok_or("its file header is cut short")?;
                Layout::parse(header).map(Self::Pcap)
            }
            _ if start.is_empty() => Err("there is nothing in it".to_owned()),
            _ => {
                let shown = start.get(..8).unwrap_or(start).escape_ascii();
                Err(format!("it begins with \"{shown}\""))
            }
        }
    }

    /// Where the first record begins, or the first block.
    pub(super) const fn head_len(&self) -> usize {
        match self {
            Self::Pcap(_) => FILE_HEADER_LEN,
            Self::Pcapng(_) => 0,
        }
    }

    /// Whether times are finer than a microsecond, as far as is known by now.
    pub(super) fn is_nanosecond(&self) -> bool {
        match self {
            Self::Pcap(layout) => layout.nanosecond,
            Self::Pcapng(section) => section.is_nanosecond(),
        }
    }

    /// The packet at the beginning of `bytes`, if it is there in full and sound.
    #[inline]
    pub(super) fn record<'a>(&self, bytes: &'a [u8]) -> Option<Record<'a>> {
        match self {
            Self::Pcap(layout) => layout.record(bytes),
            Self::Pcapng(section) => section.record(bytes),
        }
    }
}
