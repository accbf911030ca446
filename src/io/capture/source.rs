//! A capture as a source of frames.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;

use super::MAX_RECORD_LEN;
use super::damage::{Trouble, cut, end_of};
use super::format::Format;
use super::lend::Lent;
use super::link::Link;
use super::pcap::FILE_HEADER_LEN;
use super::pcapng::BlockHead;
use super::window::Window;
use crate::dataplane::{Burst, Source};

/// Reads frames from a pcap or pcapng capture.
pub struct CaptureSource {
    name: String,
    pub(super) origin: Origin,
    pub(super) window: Window,
    pub(super) format: Format,
    /// How many records were lent and given back.
    records: u64,
    /// Where the record or block begins that is looked at.
    record_at: u64,
    /// What was met behind the head of the capture, for the first burst to say.
    pending: Option<Trouble>,
    over: bool,
    pub(super) unsupported: BTreeSet<u16>,
    /// What is unusual about the capture, and the part of it that nobody took note of yet.
    warnings: BTreeSet<String>,
    fresh_warnings: Vec<String>,
    /// Frames behind an Ethernet header of ours.
    pub(super) made: Vec<u8>,
    pub(super) lent: Lent,
}

/// From where a stream comes again.
pub(super) enum Origin {
    /// From nowhere.
    Once,
    /// A compressed file.
    File(PathBuf),
    /// A compressed capture in memory.
    Memory(Bytes),
}

impl CaptureSource {
    /// Reads the head of a capture: its file header, or all blocks in front of the first packet.
    pub(super) fn new(name: String, mut window: Window) -> io::Result<Result<Self, String>> {
        window.hold(FILE_HEADER_LEN)?;
        let format = match Format::of(window.rest()) {
            Ok(format) => format,
            Err(what) => return Ok(Err(what)),
        };
        window.advance(format.head_len());
        let mut this = Self {
            name,
            origin: Origin::Once,
            window,
            format,
            records: 0,
            record_at: 0,
            pending: None,
            over: false,
            unsupported: BTreeSet::new(),
            warnings: BTreeSet::new(),
            fresh_warnings: Vec::new(),
            made: Vec::new(),
            lent: Lent::default(),
        };
        this.note_warnings();
        match this.find_record() {
            // Where not even the head of a capture is sound, there is none.
            Err(Trouble::Damage(what)) if this.window.position() == 0 => return Ok(Err(what)),
            Err(trouble) => this.pending = Some(trouble),
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
    pub fn is_nanosecond(&self) -> bool {
        self.format.is_nanosecond()
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
        std::mem::take(&mut self.fresh_warnings)
    }

    fn note_warnings(&mut self) {
        for warning in self.format.take_warnings() {
            if self.warnings.insert(warning.clone()) {
                self.fresh_warnings.push(warning);
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
            self.window.advance(self.format.head_len());
            self.pending = None;
        } else {
            let again = self.open_again()?;
            self.window = again.window;
            self.format = again.format;
            self.pending = again.pending;
        }
        self.records = 0;
        self.lent = Lent::default();
        self.over = false;
        Ok(())
    }

    fn open_again(&self) -> io::Result<Self> {
        let again = match &self.origin {
            Origin::File(path) => Self::open(path),
            Origin::Memory(bytes) => Self::from_bytes(&self.name, bytes.clone()),
            Origin::Once => {
                let what = format!("{} comes only once", self.name);
                return Err(io::Error::new(io::ErrorKind::Unsupported, what));
            }
        };
        again.map_err(io::Error::other)
    }

    /// Moves on to the next record that is there in full; false at the end.
    fn find_record(&mut self) -> Result<bool, Trouble> {
        loop {
            self.record_at = self.window.position();
            let Format::Pcapng(section) = &mut self.format else {
                return self.find_pcap_record();
            };
            if !self.window.hold(BlockHead::LEN)? {
                return end_of(self.window.rest());
            }
            let Some(bytes) = self.window.rest().first_chunk() else { return Ok(false) };
            let head = section.head(bytes)?;
            if !head.is_known() {
                self.skip_block(head)?;
                continue;
            }
            if !self.window.hold(head.len)? {
                return Err(cut(head.len, self.window.rest().len()));
            }
            let block = self.window.rest().get(..head.len).unwrap_or_default();
            if head.is_packet() {
                section.packet(head, block)?;
                return Ok(true);
            }
            section.learn(head, block)?;
            self.window.advance(head.len);
            self.note_warnings();
        }
    }

    /// Moves over a block that means nothing to us, however long it is, without holding it.
    fn skip_block(&mut self, head: BlockHead) -> Result<(), Trouble> {
        let Format::Pcapng(section) = &self.format else { return Ok(()) };
        let body_len = u64::try_from(head.len - 4).unwrap_or(u64::MAX);
        if !self.window.skip(body_len)? || !self.window.hold(4)? {
            let held = self.window.position() - self.record_at;
            let held = held + u64::try_from(self.window.rest().len()).unwrap_or_default();
            return Err(cut(head.len, usize::try_from(held).unwrap_or(usize::MAX)));
        }
        let tail = self.window.rest().first_chunk().copied().unwrap_or_default();
        section.check_tail(head.len, tail)?;
        self.window.advance(4);
        Ok(())
    }

    fn find_pcap_record(&mut self) -> Result<bool, Trouble> {
        let Format::Pcap(layout) = &self.format else { return Ok(false) };
        if !self.window.hold(layout.header_len)? {
            return end_of(self.window.rest());
        }
        let header = layout.record_header(self.window.rest());
        let captured_len = header.map_or(0, |header| header.captured_len);
        let captured_len = usize::try_from(captured_len).unwrap_or(usize::MAX);
        if captured_len > MAX_RECORD_LEN {
            let what = format!(
                "a captured length of {captured_len} bytes, of which {MAX_RECORD_LEN} are believed"
            );
            return Err(Trouble::Damage(what));
        }
        let len = layout.header_len + captured_len;
        if !self.window.hold(len)? {
            return Err(cut(len, self.window.rest().len()));
        }
        Ok(true)
    }

    /// Moves over what was lent last: its borrowers are gone.
    fn settle(&mut self) {
        let lent = std::mem::take(&mut self.lent);
        self.window.advance(lent.bytes);
        self.records += u64::try_from(lent.records).unwrap_or_default();
    }

    /// What is done with the next record; nothing at the end.
    fn next_link(&mut self) -> Result<Option<Link>, Trouble> {
        if let Some(trouble) = self.pending.take() {
            return Err(trouble);
        }
        let is_there = self.find_record()?;
        let record = self.format.record(self.window.rest()).filter(|_| is_there);
        Ok(record.map(|record| Link::of(record.link_type)))
    }
}

impl Source for CaptureSource {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        self.settle();
        if self.over {
            return Ok(());
        }
        match self.next_link() {
            Ok(Some(Link::Other(kind))) => self.make(kind, burst),
            Ok(Some(_)) => self.lend(burst),
            Ok(None) => self.over = true,
            Err(trouble) => {
                self.over = true;
                return Err(trouble.at(&self.name, self.records + 1, self.record_at));
            }
        }
        Ok(())
    }
}
