//! A capture as a source of frames.

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
    /// How many records were lent and given back.
    record_count: u64,
    /// Where the record or block begins that is looked at.
    record_offset: u64,
    /// What was met behind the head of the capture, for the first burst to say.
    pending_error: Option<ReadError>,
    is_finished: bool,
    pub(super) unsupported: BTreeSet<u16>,
    /// What is unusual about the capture, and the part of it that nobody took note of yet.
    warnings: BTreeSet<String>,
    new_warnings: Vec<String>,
    /// Frames behind an Ethernet header of ours.
    pub(super) copied: Vec<u8>,
    pub(super) borrowed: BorrowedRecords,
}

/// From where a stream comes again.
pub(super) enum StreamOrigin {
    /// From nowhere.
    NotRepeatable,
    /// A compressed file.
    File(PathBuf),
    /// A compressed capture in memory.
    Memory(Bytes),
}

impl CaptureSource {
    /// Reads the head of a capture: its file header, or all blocks in front of the first packet.
    pub(super) fn new(name: String, mut window: Window) -> io::Result<Result<Self, String>> {
        window.buffer_at_least(FILE_HEADER_LEN)?;
        let format = match CaptureFormat::detect(window.remaining()) {
            Ok(format) => format,
            Err(what) => return Ok(Err(what)),
        };
        window.advance(format.file_header_len());
        let mut this = Self {
            name,
            origin: StreamOrigin::NotRepeatable,
            window,
            format,
            record_count: 0,
            record_offset: 0,
            pending_error: None,
            is_finished: false,
            unsupported: BTreeSet::new(),
            warnings: BTreeSet::new(),
            new_warnings: Vec::new(),
            copied: Vec::new(),
            borrowed: BorrowedRecords::default(),
        };
        this.collect_warnings();
        match this.find_record() {
            // Where not even the head of a capture is sound, there is none.
            Err(ReadError::Malformed(what)) if this.window.position() == 0 => return Ok(Err(what)),
            Err(error) => this.pending_error = Some(error),
            Ok(_) => {}
        }
        Ok(Ok(this))
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether times do not fit microseconds. Of pcapng the interfaces in front of the first
    /// packet tell.
    #[must_use]
    pub fn needs_nanoseconds(&self) -> bool {
        self.format.needs_nanoseconds()
    }

    /// Whether times that do not fit microseconds may still come: a pcapng capture may describe
    /// interfaces anywhere.
    #[must_use]
    pub const fn may_change_precision(&self) -> bool {
        self.format.may_change_precision()
    }

    /// What is unusual about the capture as far as it was read, and read all the same; each
    /// sentence once.
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

    /// How much was read, in bytes of what is inside a compressed capture.
    #[must_use]
    pub fn position_bytes(&self) -> u64 {
        self.window.position()
    }

    /// How much there is to read, where that is known.
    #[must_use]
    pub fn total_bytes(&self) -> Option<u64> {
        self.window.total_len()
    }

    /// The link types that were met and carry no IP in a way known here.
    #[must_use]
    pub const fn unsupported_link_types(&self) -> &BTreeSet<u16> {
        &self.unsupported
    }

    /// Begins again with the first record.
    ///
    /// # Errors
    /// `Unsupported` for a stream that comes only once; whatever opening it again meets.
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
        self.borrowed = BorrowedRecords::default();
        self.is_finished = false;
        Ok(())
    }

    fn reopen(&self) -> io::Result<Self> {
        let reopened = match &self.origin {
            StreamOrigin::File(path) => Self::open(path),
            StreamOrigin::Memory(bytes) => Self::from_bytes(&self.name, bytes.clone()),
            StreamOrigin::NotRepeatable => {
                let what = format!("{} comes only once", self.name);
                return Err(io::Error::new(io::ErrorKind::Unsupported, what));
            }
        };
        reopened.map_err(io::Error::other)
    }

    /// Moves on to the next record that is there in full; false at the end.
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

    /// Moves over a block that means nothing to us, however long it is, without holding it.
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
                "a captured length of {captured_len} bytes, of which {MAX_RECORD_LEN} are believed"
            );
            return Err(ReadError::Malformed(what));
        }
        let len = layout.header_len + captured_len;
        if !self.window.buffer_at_least(len)? {
            return Err(truncated(len, self.window.remaining().len()));
        }
        Ok(true)
    }

    /// Moves over what was lent last: its borrowers are gone.
    fn consume_borrowed(&mut self) {
        let borrowed = std::mem::take(&mut self.borrowed);
        self.window.advance(borrowed.bytes);
        self.record_count += u64::try_from(borrowed.records).unwrap_or_default();
    }

    /// What is done with the next record; nothing at the end.
    fn next_link_type(&mut self) -> Result<Option<LinkType>, ReadError> {
        if let Some(error) = self.pending_error.take() {
            return Err(error);
        }
        let is_there = self.find_record()?;
        let record = self.format.parse_record(self.window.remaining()).filter(|_| is_there);
        Ok(record.map(|record| LinkType::from_number(record.link_type)))
    }
}

impl Source for CaptureSource {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        self.consume_borrowed();
        if self.is_finished {
            return Ok(());
        }
        match self.next_link_type() {
            Ok(Some(LinkType::Ip(kind))) => self.fill_copied(kind, burst),
            Ok(Some(_)) => self.fill_borrowed(burst),
            Ok(None) => self.is_finished = true,
            Err(error) => {
                self.is_finished = true;
                return Err(error.into_io_error(
                    &self.name,
                    self.record_count + 1,
                    self.record_offset,
                ));
            }
        }
        Ok(())
    }
}
