//! A capture as a source of frames.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use arrayvec::ArrayVec;

use super::MAX_RECORD_LEN;
use super::link::{Kind, Link, ethernet_header};
use super::pcap::{FILE_HEADER_LEN, Layout};
use super::pcapng::{BlockHead, Section};
use super::window::Window;
use crate::dataplane::{BURST_LEN, Burst, Frame, Medium, Source};
use crate::io::sys::prefetch;
use crate::model::Direction;

/// How far ahead of the cursor cache lines are asked for, in bytes: a few frames of full size.
const PREFETCH_LEN: usize = 4096;

/// Frames behind an Ethernet header of ours are copied; a burst of them ends at this length.
const MAX_COPIED_LEN: usize = 1024 * 1024;

/// Where and why a capture cannot be read further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: record {record} at byte {offset} is damaged: {what}; all before it was read")]
pub struct Damaged {
    /// The capture.
    pub name: String,
    /// The first record that could not be read, counted from 1.
    pub record: u64,
    /// Where it begins, in bytes (of a compressed capture, of what is inside).
    pub offset: u64,
    /// What is wrong with it.
    pub what: String,
}

/// Reads frames from a pcap or pcapng capture.
pub struct CaptureSource {
    pub(super) name: String,
    /// To open a compressed file again from its beginning.
    pub(super) path: Option<PathBuf>,
    pub(super) window: Window,
    format: Format,
    records: u64,
    over: bool,
    unsupported: BTreeSet<u16>,
    made: Vec<u8>,
    lent: Lent,
}

/// What the last burst borrowed, over which the cursor moves when it is given back.
#[derive(Default)]
struct Lent {
    bytes: usize,
    records: usize,
}

enum Format {
    Pcap(Layout),
    Pcapng(Section),
}

/// One record, wherever it was.
#[derive(Clone, Copy)]
struct Record<'a> {
    bytes: &'a [u8],
    wire_len: u32,
    timestamp_ns: u64,
    link_type: u16,
    direction: Option<Direction>,
    /// How many bytes it took in the capture.
    taken_len: usize,
}

/// A record in the buffer of those that were given an Ethernet header.
struct MadeFrame {
    start: usize,
    wire_len: u32,
    timestamp_ns: u64,
    direction: Option<Direction>,
}

impl CaptureSource {
    /// Reads the head of a capture: its file header, or all blocks in front of the first packet.
    pub(super) fn new(name: String, mut window: Window) -> io::Result<Result<Self, String>> {
        window.hold(FILE_HEADER_LEN)?;
        let Some(start) = window.rest().first_chunk::<4>().copied() else {
            return Ok(Err("it is shorter than any capture".to_owned()));
        };
        let format = if Layout::is_magic(start) {
            let Some(header) = window.rest().first_chunk() else {
                return Ok(Err("its file header is cut short".to_owned()));
            };
            match Layout::parse(header) {
                Ok(layout) => Format::Pcap(layout),
                Err(what) => return Ok(Err(what)),
            }
        } else {
            Format::Pcapng(Section::default())
        };
        let is_pcap = matches!(format, Format::Pcap(_));
        let mut this = Self {
            name,
            path: None,
            window,
            format,
            records: 0,
            over: false,
            unsupported: BTreeSet::new(),
            made: Vec::new(),
            lent: Lent::default(),
        };
        this.window.advance(if is_pcap { FILE_HEADER_LEN } else { 0 });
        // A damaged first record is the business of the first burst; a damaged head is not.
        match this.find_record() {
            Err(Trouble::Damage(what))
                if !is_pcap && this.records == 0 && this.window.position() == 0 =>
            {
                return Ok(Err(what));
            }
            Err(Trouble::World(error)) => return Err(error),
            _ => {}
        }
        Ok(Ok(this))
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether times are finer than a microsecond. Of pcapng the interfaces in front of the first
    /// packet tell.
    #[must_use]
    pub fn is_nanosecond(&self) -> bool {
        match &self.format {
            Format::Pcap(layout) => layout.nanosecond,
            Format::Pcapng(section) => section.is_nanosecond(),
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
            let is_pcap = matches!(self.format, Format::Pcap(_));
            self.window.advance(if is_pcap { FILE_HEADER_LEN } else { 0 });
        } else {
            let only_once = || {
                io::Error::new(io::ErrorKind::Unsupported, format!("{} comes only once", self.name))
            };
            let path = self.path.as_ref().ok_or_else(only_once)?;
            let again = Self::open(path).map_err(io::Error::other)?;
            self.window = again.window;
            self.format = again.format;
        }
        self.records = 0;
        self.lent = Lent::default();
        self.over = false;
        Ok(())
    }

    /// Moves on to the next record that is there in full; false at the end.
    fn find_record(&mut self) -> Result<bool, Trouble> {
        loop {
            let Format::Pcapng(section) = &mut self.format else {
                return self.find_pcap_record();
            };
            if !self.window.hold(BlockHead::LEN)? {
                return end_of(self.window.rest());
            }
            let Some(bytes) = self.window.rest().first_chunk() else { return Ok(false) };
            let head = section.head(bytes)?;
            if !head.is_known() {
                self.window.skip(u64::try_from(head.len).unwrap_or(u64::MAX))?;
                continue;
            }
            if !self.window.hold(head.len)? {
                return Err(cut(head.len, self.window.rest().len()));
            }
            if head.is_packet() {
                return Ok(true);
            }
            section.learn(head, self.window.rest().get(..head.len).unwrap_or_default())?;
            self.window.advance(head.len);
        }
    }

    fn find_pcap_record(&mut self) -> Result<bool, Trouble> {
        let Format::Pcap(layout) = &self.format else { return Ok(false) };
        if !self.window.hold(layout.header_len)? {
            return end_of(self.window.rest());
        }
        let Some(header) = layout.record(self.window.rest()) else { return Ok(false) };
        let captured_len = usize::try_from(header.captured_len).unwrap_or(usize::MAX);
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

    /// Lends records as they are, up to the first that is not Ethernet.
    fn lend<'a>(&'a mut self, burst: &mut Burst<'a>) {
        let window = self.window.rest();
        let mut at = 0;
        let mut link = (None, Link::Ethernet);
        while !burst.is_full() {
            let Some(rest) = window.get(at..) else { break };
            let Some(record) = self.format.record(rest) else { break };
            if link.0 != Some(record.link_type) {
                link = (Some(record.link_type), Link::of(record.link_type));
            }
            let medium = match link.1 {
                Link::Ethernet => Medium::Ethernet,
                Link::Unsupported => {
                    self.unsupported.insert(record.link_type);
                    Medium::Unsupported
                }
                Link::Other(_) => break,
            };
            prefetch_ahead(window, at, record.taken_len);
            at += record.taken_len;
            burst.push(Frame {
                bytes: record.bytes,
                timestamp_ns: record.timestamp_ns,
                wire_len: record.wire_len,
                direction: record.direction,
                medium,
            });
        }
        self.lent = Lent { bytes: at, records: burst.len() };
    }

    /// Copies records behind Ethernet headers, up to the first that needs none.
    fn make<'a>(&'a mut self, kind: Kind, burst: &mut Burst<'a>) {
        self.made.clear();
        let window = self.window.rest();
        let mut at = 0;
        let mut frames = ArrayVec::<MadeFrame, BURST_LEN>::new();
        while !frames.is_full() && self.made.len() < MAX_COPIED_LEN {
            let Some(record) = window.get(at..).and_then(|rest| self.format.record(rest)) else {
                break;
            };
            if Link::of(record.link_type) != Link::Other(kind) {
                break;
            }
            let made = ethernet_header(kind, record.bytes);
            let replaced_len = u32::try_from(made.replaced_len).unwrap_or_default();
            frames.push(MadeFrame {
                start: self.made.len(),
                wire_len: record.wire_len.saturating_sub(replaced_len).saturating_add(14),
                timestamp_ns: record.timestamp_ns,
                direction: record.direction.or(made.direction),
            });
            self.made.extend(made.header);
            self.made.extend(record.bytes.get(made.replaced_len..).unwrap_or_default());
            at += record.taken_len;
        }
        self.lent = Lent { bytes: at, records: frames.len() };
        let ends = frames.iter().skip(1).map(|next| next.start).chain([self.made.len()]);
        burst.extend(frames.iter().zip(ends).map(|(frame, end)| Frame {
            bytes: self.made.get(frame.start..end).unwrap_or_default(),
            timestamp_ns: frame.timestamp_ns,
            wire_len: frame.wire_len,
            direction: frame.direction,
            medium: Medium::Ethernet,
        }));
    }

    /// Moves over what was lent last: its borrowers are gone.
    fn settle(&mut self) {
        let lent = std::mem::take(&mut self.lent);
        self.window.advance(lent.bytes);
        self.records += u64::try_from(lent.records).unwrap_or_default();
    }

    /// What is done with the record at the cursor, which is there in full.
    fn first_link(&self) -> Result<Link, Trouble> {
        if let Format::Pcapng(section) = &self.format
            && let Some(head) = self.window.rest().first_chunk()
        {
            let head = section.head(head)?;
            section.packet(head, self.window.rest().get(..head.len).unwrap_or_default())?;
        }
        let record = self.format.record(self.window.rest());
        record
            .map(|record| Link::of(record.link_type))
            .ok_or_else(|| "it cannot be read".to_owned().into())
    }

    fn tell(&self, trouble: Trouble) -> io::Error {
        match trouble {
            Trouble::World(error) => {
                io::Error::new(error.kind(), format!("{}: {error}", self.name))
            }
            Trouble::Damage(what) => io::Error::new(
                io::ErrorKind::InvalidData,
                Damaged {
                    name: self.name.clone(),
                    record: self.records + 1,
                    offset: self.window.position(),
                    what,
                },
            ),
        }
    }
}

impl Format {
    /// The packet record at the beginning of `bytes`, if it is there in full and sound.
    #[inline]
    fn record<'a>(&self, bytes: &'a [u8]) -> Option<Record<'a>> {
        match self {
            Self::Pcap(layout) => {
                let header = layout.record(bytes)?;
                let len = usize::try_from(header.captured_len).ok()?;
                let bytes = bytes.get(layout.header_len..)?.get(..len)?;
                Some(Record {
                    bytes,
                    wire_len: header.wire_len,
                    timestamp_ns: header.timestamp_ns,
                    link_type: layout.link_type,
                    direction: None,
                    taken_len: layout.header_len + len,
                })
            }
            Self::Pcapng(section) => {
                let head =
                    section.head(bytes.first_chunk()?).ok().filter(|head| head.is_packet())?;
                let packet = section.packet(head, bytes.get(..head.len)?).ok()?;
                Some(Record {
                    bytes: packet.bytes,
                    wire_len: packet.wire_len,
                    timestamp_ns: packet.timestamp_ns,
                    link_type: packet.link_type,
                    direction: packet.direction,
                    taken_len: head.len,
                })
            }
        }
    }
}

/// Why there is no further record.
enum Trouble {
    Damage(String),
    World(io::Error),
}

impl From<String> for Trouble {
    fn from(what: String) -> Self {
        Self::Damage(what)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::World(error)
    }
}

fn cut(len: usize, held: usize) -> Trouble {
    Trouble::Damage(format!("it is {len} bytes long and {held} are there"))
}

fn end_of(rest: &[u8]) -> Result<bool, Trouble> {
    if rest.is_empty() {
        return Ok(false);
    }
    Err(Trouble::Damage(format!("its header is cut to {} bytes", rest.len())))
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

impl Source for CaptureSource {
    fn fill<'a>(&'a mut self, burst: &mut Burst<'a>) -> io::Result<()> {
        self.settle();
        if self.over {
            return Ok(());
        }
        let found = self.find_record().and_then(|found| {
            if !found {
                return Ok(None);
            }
            self.first_link().map(Some)
        });
        match found {
            Ok(Some(Link::Other(kind))) => {
                self.make(kind, burst);
                Ok(())
            }
            Ok(Some(_)) => {
                self.lend(burst);
                Ok(())
            }
            Ok(None) => {
                self.over = true;
                Ok(())
            }
            Err(trouble) => {
                self.over = true;
                Err(self.tell(trouble))
            }
        }
    }
}
