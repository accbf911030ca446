//! A capture file as a source of frames.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;

use super::error::{ReadError, end_of_capture, truncated};
use super::format::CaptureFormat;
use super::frames::BorrowedRecords;
use super::link_type::LinkType;
use super::pcap::FILE_HEADER_LEN;
use super::pcapng::BlockHeader;
use super::record::MAX_RECORD_LEN;
use super::window::Window;
use crate::dataplane::{Burst, Source};

/// Reads frames from a pcap or pcapng capture.
pub struct CaptureSource {
    name: String,
    pub(super) origin: StreamOrigin,
    pub(super) window: Window,
    pub(super) format: CaptureFormat,
    /// The number of records that were borrowed and returned.
    record_count: u64,
    /// The offset of the current record or block, in bytes.
    record_offset: u64,
    /// An error after the header of the capture, which the first burst returns.
    pending_error: Option<ReadError>,
    is_finished: bool,
    /// The number of short chunks into which the capture was divided.
    pub(super) short_chunks: u32,
    pub(super) unsupported: BTreeSet<u16>,
    /// All warnings about the capture, and those that were not returned yet.
    warnings: BTreeSet<String>,
    new_warnings: Vec<String>,
    /// The buffer of frames with a synthesized Ethernet header.
    pub(super) copied: Vec<u8>,
    pub(super) borrowed: BorrowedRecords,
}

/// How a stream is read again from its start.
pub(super) enum StreamOrigin {
    /// It cannot be read again.
    NotRepeatable,
    /// A compressed file.
    File(PathBuf),
    /// A compressed capture in memory.
    Memory(Bytes),
}

impl CaptureSource {
    /// Reads the start of a capture: its file header, or all blocks before the first packet.
    pub(super) fn new(name: String, mut window: Window) -> io::Result<Result<Self, String>> {
        window.buffer_at_least(FILE_HEADER_LEN)?;
        let format = match CaptureFormat::detect(window.remaining()) {
            Ok(format) => format,
            Err(what) => return Ok(Err(what)),
        };
        window.advance(format.file_header_len());
        let mut source = Self::of_records(name, window, format);
        source.collect_warnings();
        match source.find_record() {
            // If the start is damaged, the file is not a capture.
            Err(ReadError::Malformed(what)) if source.window.position() == 0 => {
                return Ok(Err(what));
            }
            Err(error) => source.pending_error = Some(error),
            Ok(_) => {}
        }
        Ok(Ok(source))
    }

    /// A source of the records in a window.
    pub(super) fn of_records(name: String, window: Window, format: CaptureFormat) -> Self {
        Self {
            name,
            origin: StreamOrigin::NotRepeatable,
            window,
            format,
            record_count: 0,
            record_offset: 0,
            pending_error: None,
            is_finished: false,
            short_chunks: 0,
            unsupported: BTreeSet::new(),
            warnings: BTreeSet::new(),
            new_warnings: Vec::new(),
            copied: Vec::new(),
            borrowed: BorrowedRecords::default(),
        }
    }

    /// The name of the capture in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether timestamps may not be whole microseconds. For pcapng this depends on the interfaces
    /// that were read so far; at first, those before the first packet.
    #[must_use]
    pub fn needs_nanoseconds(&self) -> bool {
        self.format.needs_nanoseconds()
    }

    /// Whether [`needs_nanoseconds`](Self::needs_nanoseconds) may still change, because a pcapng
    /// capture may describe interfaces anywhere.
    #[must_use]
    pub const fn may_change_precision(&self) -> bool {
        self.format.may_change_precision()
    }

    /// Warnings about deviations that are tolerated, as sentences; each is returned once.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.new_warnings)
    }

    fn collect_warnings(&mut self) {
        for warning in self.format.take_warnings() {
            if self.warnings.insert(warning.clone()) {
                self.new_warnings.push(warning);
            }
        }
    }

    /// The number of bytes that were read, after decompression.
    #[must_use]
    pub fn position_bytes(&self) -> u64 {
        self.window.position()
    }

    /// The length of the capture in bytes; none for a stream.
    #[must_use]
    pub fn total_bytes(&self) -> Option<u64> {
        self.window.total_len()
    }

    /// The link types of records that were read and are not supported.
    #[must_use]
    pub const fn unsupported_link_types(&self) -> &BTreeSet<u16> {
        &self.unsupported
    }

    /// Starts again with the first record.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] for a stream that cannot be read again, or the error of
    /// opening the file again.
    pub fn rewind(&mut self) -> io::Result<()> {
        if self.window.rewind() {
            self.window.advance(self.format.file_header_len());
            self.pending_error = None;
        } else {
            let reopened = self.reopen()?;
            self.window = reopened.window;
            self.format = reopened.format;
            self.pending_error = reopened.pending_error;
        }
        self.record_count = 0;
        self.short_chunks = 0;
        self.borrowed = BorrowedRecords::default();
        self.is_finished = false;
        Ok(())
    }

    fn reopen(&self) -> io::Result<Self> {
        let reopened = match &self.origin {
            StreamOrigin::File(path) => Self::open(path),
            StreamOrigin::Memory(bytes) => Self::from_bytes(&self.name, bytes.clone()),
            StreamOrigin::NotRepeatable => {
                let what = format!("{} cannot be read a second time", self.name);
                return Err(io::Error::new(io::ErrorKind::Unsupported, what));
            }
        };
        reopened.map_err(io::Error::other)
    }

    /// Advances to the next complete record. Returns false at the end.
    fn find_record(&mut self) -> Result<bool, ReadError> {
        loop {
            self.record_offset = self.window.position();
            let CaptureFormat::Pcapng(section) = &mut self.format else {
                return self.find_pcap_record();
            };
            if !self.window.buffer_at_least(BlockHeader::LEN)? {
                return end_of_capture(self.window.remaining());
            }
            let Some(bytes) = self.window.remaining().first_chunk() else { return Ok(false) };
            let header = section.block_header(bytes)?;
            if !header.is_known() {
                self.skip_block(header)?;
                continue;
            }
            if !self.window.buffer_at_least(header.len)? {
                return Err(truncated(header.len, self.window.remaining().len()));
            }
            let block = self.window.remaining().get(..header.len).unwrap_or_default();
            if header.is_packet() {
                section.parse_packet(header, block)?;
                return Ok(true);
            }
            section.apply_block(header, block)?;
            self.window.advance(header.len);
            self.collect_warnings();
        }
    }

    /// Skips a block of any length without buffering it.
    fn skip_block(&mut self, header: BlockHeader) -> Result<(), ReadError> {
        let CaptureFormat::Pcapng(section) = &self.format else { return Ok(()) };
        let body_len = u64::try_from(header.len - 4).unwrap_or(u64::MAX);
        if !self.window.skip(body_len)? || !self.window.buffer_at_least(4)? {
            let held = self.window.position() - self.record_offset;
            let held = held + u64::try_from(self.window.remaining().len()).unwrap_or_default();
            return Err(truncated(header.len, usize::try_from(held).unwrap_or(usize::MAX)));
        }
        let tail = self.window.remaining().first_chunk().copied().unwrap_or_default();
        section.check_trailing_length(header.len, tail)?;
        self.window.advance(4);
        Ok(())
    }

    fn find_pcap_record(&mut self) -> Result<bool, ReadError> {
        let CaptureFormat::Pcap(layout) = &self.format else { return Ok(false) };
        if !self.window.buffer_at_least(layout.header_len)? {
            return end_of_capture(self.window.remaining());
        }
        let header = layout.record_header(self.window.remaining());
        let captured_len = header.map_or(0, |header| header.captured_len);
        let captured_len = usize::try_from(captured_len).unwrap_or(usize::MAX);
        if captured_len > MAX_RECORD_LEN {
            let what = format!(
                "a captured length of {captured_len} bytes: expected at most {MAX_RECORD_LEN}"
            );
            return Err(ReadError::Malformed(what));
        }
        let len = layout.header_len + captured_len;
        if !self.window.buffer_at_least(len)? {
            return Err(truncated(len, self.window.remaining().len()));
        }
        Ok(true)
    }

    /// Advances over the records of the last burst, which are no longer borrowed.
    fn consume_borrowed(&mut self) {
        let borrowed = std::mem::take(&mut self.borrowed);
        self.window.advance(borrowed.bytes);
        self.record_count += u64::try_from(borrowed.records).unwrap_or_default();
    }

    /// The link type of the next record; none at the end.
    fn next_link_type(&mut self) -> Result<Option<LinkType>, ReadError> {
        if let Some(error) = self.pending_error.take() {
            return Err(error);
        }
        let is_there = self.find_record()?;
        let record = self.format.parse_record(self.window.remaining()).filter(|_| is_there);
        Ok(record.map(|record| LinkType::from_number(record.link_type)))
    }
}

impl CaptureSource {
    /// Advances to the next record. Returns its link type; none at the end.
    ///
    /// # Errors
    /// The error that ends the capture, with its position.
    pub(super) fn advance_to_record(&mut self) -> io::Result<Option<LinkType>> {
        self.consume_borrowed();
        if self.is_finished {
            return Ok(None);
        }
        let link_type = self.next_link_type();
        self.is_finished = !matches!(link_type, Ok(Some(_)));
        link_type.map_err(|error| {
            error.into_io_error(&self.name, self.record_count + 1, self.record_offset)
        })
    }
}

impl Source for CaptureSource {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        match self.advance_to_record()? {
            Some(LinkType::Ip(kind)) => self.fill_copied(kind, burst),
            Some(_) => self.fill_borrowed(burst),
            None => {}
        }
        Ok(())
    }
}
