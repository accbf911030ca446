//! Writes pcapng, in which each record has a comment with its session and rule.

use std::collections::HashMap;
use std::io::{self, Write};

use super::format::{BUFFER_LEN, ETHERNET, Precision, is_whole_microseconds};
use crate::dataplane::{AcceptedBy, Copies, Drops, MirrorTable, SessionMatch, Sink};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

const OPT_COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_TSRESOL: u16 = 9;

/// A sink that writes copies as pcapng records, each with its session and rule.
///
/// At the first timestamp that is not a whole microsecond, it describes a second interface with
/// nanoseconds, which all further copies belong to.
pub struct PcapngSink<W> {
    out: W,
    precision: Precision,
    /// The index of the interface that copies belong to.
    interface: u32,
    buffer: Vec<u8>,
    /// The encoded options of the records, by session and rule.
    options: HashMap<SessionMatch, Vec<u8>>,
}

impl<W: Write> PcapngSink<W> {
    /// Writes the file header.
    ///
    /// # Errors
    /// The error of the output.
    pub fn new(mut out: W, precision: Precision) -> io::Result<Self> {
        let mut section = vec![0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0];
        section.extend([0xff; 8]);
        let program = concat!("traffic-mirror ", env!("CARGO_PKG_VERSION"));
        put_option(&mut section, SHB_USERAPPL, program.as_bytes());
        put_option(&mut section, 0, &[]);

        let mut buffer = Vec::with_capacity(BUFFER_LEN);
        put_block(&mut buffer, SECTION_HEADER, &section);
        put_interface(&mut buffer, precision);
        out.write_all(&buffer)?;
        buffer.clear();
        Ok(Self { out, precision, interface: 0, buffer, options: HashMap::new() })
    }

    /// Writes a packet with a comment, for a program that has packets and no bursts.
    ///
    /// # Errors
    /// The error of the output.
    pub fn write_record(
        &mut self,
        timestamp_ns: u64,
        bytes: &[u8],
        comment: &str,
    ) -> io::Result<()> {
        if self.precision == Precision::Micro && !is_whole_microseconds(timestamp_ns) {
            self.switch_to_nanoseconds();
        }
        let mut options = Vec::new();
        put_option(&mut options, OPT_COMMENT, comment.as_bytes());
        put_option(&mut options, 0, &[]);
        let time = timestamp_ticks(timestamp_ns, self.precision);
        put_packet(&mut self.buffer, [bytes, &[], &[]], (self.interface, time), &options);
        if self.buffer.len() >= BUFFER_LEN { self.write_buffered() } else { Ok(()) }
    }

    /// The output. The sink must be flushed before.
    pub const fn inner_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Returns the output. The sink must be flushed before.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Switches to nanoseconds for all further records.
    #[cold]
    fn switch_to_nanoseconds(&mut self) {
        self.precision = Precision::Nano;
        self.interface += 1;
        put_interface(&mut self.buffer, self.precision);
    }

    fn write_buffered(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Sink for PcapngSink<W> {
    fn send(&mut self, copies: &Copies<'_>, _drops: &mut Drops) -> io::Result<()> {
        for copy in copies.iter() {
            let timestamp_ns = copy.frame().timestamp_ns;
            if self.precision == Precision::Micro && !is_whole_microseconds(timestamp_ns) {
                self.switch_to_nanoseconds();
            }
            let key = SessionMatch { session: copy.session(), by: copy.accepted_by() };
            let options =
                self.options.entry(key).or_insert_with(|| comment_options(copies.table(), key));
            if self.buffer.len() + copy.len() + options.len() + 40 > BUFFER_LEN {
                self.out.write_all(&self.buffer)?;
                self.buffer.clear();
            }
            let time = timestamp_ticks(timestamp_ns, self.precision);
            let (outer, inner) = (copy.outer(), copy.inner());
            let bytes = [&*outer, inner.head, inner.tail];
            put_packet(&mut self.buffer, bytes, (self.interface, time), options);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_buffered()?;
        self.out.flush()
    }
}

/// A timestamp in ticks: its upper half, then its lower half.
fn timestamp_ticks(timestamp_ns: u64, precision: Precision) -> [u8; 8] {
    let ticks = match precision {
        Precision::Micro => timestamp_ns / 1_000,
        Precision::Nano => timestamp_ns,
    };
    let [t0, t1, t2, t3, t4, t5, t6, t7] = ticks.to_le_bytes();
    [t4, t5, t6, t7, t0, t1, t2, t3]
}

/// Writes an interface block: Ethernet, no snaplen, and the timestamp resolution.
fn put_interface(out: &mut Vec<u8>, precision: Precision) {
    let mut interface = ETHERNET.to_le_bytes().to_vec();
    interface.extend([0; 4]);
    let power = match precision {
        Precision::Micro => 6,
        Precision::Nano => 9,
    };
    put_option(&mut interface, IF_TSRESOL, &[power]);
    put_option(&mut interface, 0, &[]);
    put_block(out, INTERFACE_DESCRIPTION, &interface);
}

/// Writes a packet in three pieces, at a time of an interface.
fn put_packet(
    out: &mut Vec<u8>,
    bytes: [&[u8]; 3],
    (interface, time): (u32, [u8; 8]),
    options: &[u8],
) {
    let len: usize = bytes.iter().map(|piece| piece.len()).sum();
    let padding = len.wrapping_neg() % 4;
    let block_len = u32_bytes(32 + len + padding + options.len());
    out.extend(ENHANCED_PACKET.to_le_bytes());
    out.extend(block_len);
    out.extend(interface.to_le_bytes());
    out.extend(time);
    out.extend(u32_bytes(len));
    out.extend(u32_bytes(len));
    bytes.iter().for_each(|piece| out.extend_from_slice(piece));
    out.extend([0; 3].iter().take(padding));
    out.extend_from_slice(options);
    out.extend(block_len);
}

fn put_block(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let len = u32_bytes(12 + body.len());
    out.extend(kind.to_le_bytes());
    out.extend(len);
    out.extend(body);
    out.extend(len);
}

fn put_option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    // Comments that are too long for the format are truncated.
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.extend(code.to_le_bytes());
    out.extend(len.to_le_bytes());
    out.extend(value);
    out.extend([0; 3].iter().take(value.len().wrapping_neg() % 4));
}

fn u32_bytes(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}

fn comment_options(table: &MirrorTable, matched: SessionMatch) -> Vec<u8> {
    let mut options = Vec::new();
    let comment = comment_text(table, matched).unwrap_or_default();
    put_option(&mut options, OPT_COMMENT, comment.as_bytes());
    put_option(&mut options, 0, &[]);
    options
}

/// `session 1 (tms-...) of eni-...: ingress rule 100 accept`
fn comment_text(table: &MirrorTable, matched: SessionMatch) -> Option<String> {
    let session = table.session(matched.session)?;
    let interface = table.interface(session.interface)?.id();
    let prefix = format!("session {} ({}) of {interface}", session.number, session.id);
    let AcceptedBy::Rule(rule) = matched.by else {
        return Some(format!("{prefix}: network service amazon-dns"));
    };
    let rule = session.filter.all_rules().get(rule.get())?;
    let id = rule.id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
    Some(format!("{prefix}: {} rule {}{id} {}", rule.direction(), rule.number(), rule.action()))
}
