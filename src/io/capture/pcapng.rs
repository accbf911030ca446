//! The pcapng format: a sequence of blocks. Section, interface and packet blocks are read; others
//! are skipped.
//!
//! ```text
//!  0 type   4 total length   8 body ...   total length again
//! section: byte-order magic, version, length, options     interface: link type, snaplen, options
//! enhanced packet: interface, time (high, low), captured length, wire length, bytes, options
//! ```

use super::block_options::BlockOptions;
use super::record::{MAX_RECORD_LEN, PacketRecord, fcs_warning};
use super::timestamp_resolution::TimestampResolution;
use crate::model::Direction;

pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const IF_TSRESOL: u16 = 9;
const IF_FCSLEN: u16 = 13;
const IF_TSOFFSET: u16 = 14;
const EPB_FLAGS: u16 = 2;

/// The longest block that is read, in bytes: the longest record with its header and options.
const MAX_BLOCK_LEN: usize = MAX_RECORD_LEN + 4096;

/// The largest number of interfaces of a section.
const MAX_INTERFACES: usize = 65_536;

/// The section header and the interfaces that were read so far.
#[derive(Debug, Clone, Default)]
pub(super) struct PcapngSection {
    big_endian: bool,
    interfaces: Vec<InterfaceDescription>,
    /// Warnings that were not returned yet.
    warnings: Vec<String>,
}

/// The properties of an interface that its packets depend on.
#[derive(Debug, Clone, Copy)]
struct InterfaceDescription {
    link_type: u16,
    snaplen: u32,
    resolution: TimestampResolution,
    offset_s: i64,
    /// The length of the frame check sequence of its packets, in bytes.
    fcs_len: u8,
}

/// The type and length of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub(super) kind: u32,
    /// The total length of the block, in bytes.
    pub(super) len: usize,
}

impl BlockHeader {
    pub(super) const LEN: usize = 12;

    pub(super) const fn is_packet(self) -> bool {
        matches!(self.kind, OBSOLETE_PACKET | SIMPLE_PACKET | ENHANCED_PACKET)
    }

    /// Whether the block is read. Other blocks are skipped, whatever their length.
    pub(super) const fn is_known(self) -> bool {
        self.is_packet() || matches!(self.kind, SECTION_HEADER | INTERFACE_DESCRIPTION)
    }
}

impl PcapngSection {
    /// The number of interfaces that were read so far.
    pub(super) const fn interface_count(&self) -> usize {
        self.interfaces.len()
    }

    /// Parses the header of the block at the start of `bytes`, which are at least 12.
    pub(super) fn block_header(
        &self,
        bytes: &[u8; BlockHeader::LEN],
    ) -> Result<BlockHeader, String> {
        let [k0, k1, k2, k3, l0, l1, l2, l3, m0, m1, m2, m3] = *bytes;
        let mut big_endian = self.big_endian;
        // The type of a section is a palindrome. Its byte-order magic determines the byte order.
        if u32::from_be_bytes([k0, k1, k2, k3]) == SECTION_HEADER {
            big_endian = match u32::from_be_bytes([m0, m1, m2, m3]) {
                0x1a2b_3c4d => true,
                0x4d3c_2b1a => false,
                other => {
                    return Err(format!(
                        "byte-order magic {other:#010x} of a section: expected 0x1a2b3c4d in \
                         either byte order"
                    ));
                }
            };
        }
        let number = |bytes| u32_in_order(big_endian, bytes);
        let (kind, len) = (number([k0, k1, k2, k3]), number([l0, l1, l2, l3]));
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len < BlockHeader::LEN || !len.is_multiple_of(4) {
            return Err(format!(
                "a block length of {len} bytes: expected a multiple of 4, at least {}",
                BlockHeader::LEN
            ));
        }
        let header = BlockHeader { kind, len };
        if header.is_known() && len > MAX_BLOCK_LEN {
            return Err(format!("a block of {len} bytes: expected at most {MAX_BLOCK_LEN}"));
        }
        Ok(header)
    }

    /// Applies a section or interface block.
    pub(super) fn apply_block(&mut self, header: BlockHeader, block: &[u8]) -> Result<(), String> {
        match header.kind {
            SECTION_HEADER => {
                let big_endian = block.get(8..12) == Some(&[0x1a, 0x2b, 0x3c, 0x4d]);
                let warnings = std::mem::take(&mut self.warnings);
                *self = Self { big_endian, interfaces: Vec::new(), warnings };
                let body = self.body(block)?;
                let options =
                    body.get(16..).ok_or("a section block that is too short for its fields")?;
                self.check_version(body)?;
                self.options(options).try_for_each(|option| option.map(drop))
            }
            INTERFACE_DESCRIPTION => {
                let body = self.body(block)?;
                let interface = self.parse_interface(body)?;
                self.warnings.extend(fcs_warning(interface.fcs_len));
                if self.interfaces.len() >= MAX_INTERFACES {
                    return Err(format!("more than {MAX_INTERFACES} interfaces"));
                }
                self.interfaces.push(interface);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Accepts version 1.0, and 1.2, which some writers use for the same format and libpcap reads.
    fn check_version(&mut self, body: &[u8]) -> Result<(), String> {
        let word = |from| body.get(from..).and_then(|pair| self.read_u16(pair)).unwrap_or_default();
        let (major, minor) = (word(4), word(6));
        if major != 1 {
            return Err(format!("version {major} of pcapng: expected 1"));
        }
        if !matches!(minor, 0 | 2) {
            self.warnings.push(format!(
                "version {major}.{minor} of pcapng: expected 1.0 or 1.2; it is read as 1.0"
            ));
        }
        Ok(())
    }

    /// Warnings about deviations that are tolerated; each is returned once.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Whether an interface has timestamps that may not be whole microseconds.
    pub(super) fn needs_nanoseconds(&self) -> bool {
        self.interfaces.iter().any(|interface| !interface.resolution.fits_microseconds())
    }

    /// The packet at the start of `bytes`, if its block is complete and valid.
    #[inline]
    pub(super) fn parse_record<'a>(&self, bytes: &'a [u8]) -> Option<PacketRecord<'a>> {
        let header =
            self.block_header(bytes.first_chunk()?).ok().filter(|header| header.is_packet())?;
        self.parse_packet(header, bytes.get(..header.len)?).ok()
    }

    /// Parses a complete packet block.
    ///
    /// # Errors
    /// A sentence, if the block is invalid.
    pub(super) fn parse_packet<'a>(
        &self,
        header: BlockHeader,
        block: &'a [u8],
    ) -> Result<PacketRecord<'a>, String> {
        let body = self.body(block)?;
        let record = self.parse_packet_body(header, body)?;
        Ok(PacketRecord { stored_len: block.len(), ..record })
    }

    fn parse_packet_body<'a>(
        &self,
        header: BlockHeader,
        body: &'a [u8],
    ) -> Result<PacketRecord<'a>, String> {
        match header.kind {
            SIMPLE_PACKET => self.parse_simple_packet(body),
            ENHANCED_PACKET => {
                let (fixed, rest) = body
                    .split_first_chunk::<20>()
                    .ok_or("a packet block that is too short for its fields")?;
                let [i0, i1, i2, i3, time @ .., c0, c1, c2, c3, w0, w1, w2, w3] = *fixed;
                let interface = self.read_u32([i0, i1, i2, i3]);
                let lens = (self.read_u32([c0, c1, c2, c3]), self.read_u32([w0, w1, w2, w3]));
                self.timed_record(interface, time, lens, rest)
            }
            _ => {
                // The obsolete block has a drop count in the upper half of the interface field.
                let (fixed, rest) = body
                    .split_first_chunk::<20>()
                    .ok_or("a packet block that is too short for its fields")?;
                let [i0, i1, _, _, time @ .., c0, c1, c2, c3, w0, w1, w2, w3] = *fixed;
                let interface = u32::from(self.read_u16(&[i0, i1]).unwrap_or_default());
                let lens = (self.read_u32([c0, c1, c2, c3]), self.read_u32([w0, w1, w2, w3]));
                self.timed_record(interface, time, lens, rest)
            }
        }
    }

    fn timed_record<'a>(
        &self,
        interface: u32,
        time: [u8; 8],
        (captured_len, wire_len): (u32, u32),
        rest: &'a [u8],
    ) -> Result<PacketRecord<'a>, String> {
        let index = usize::try_from(interface).unwrap_or(usize::MAX);
        let known = self.interfaces.get(index);
        let known = known.ok_or_else(|| {
            format!("a packet of interface {interface}, which no earlier block describes")
        })?;
        let len = usize::try_from(captured_len).unwrap_or(usize::MAX);
        let too_long = || format!("a captured length of {captured_len} bytes in a shorter block");
        let (bytes, tail) = rest.split_at_checked(len).ok_or_else(too_long)?;
        let padding = len.wrapping_neg() % 4;
        let [h0, h1, h2, h3, l0, l1, l2, l3] = time;
        let ticks = u64::from(self.read_u32([h0, h1, h2, h3])) << 32
            | u64::from(self.read_u32([l0, l1, l2, l3]));
        let flags = self.flags(tail.get(padding..).unwrap_or_default());
        let record = PacketRecord {
            bytes,
            wire_len: wire_len.max(captured_len),
            timestamp_ns: known.resolution.to_nanoseconds(ticks, known.offset_s),
            link_type: known.link_type,
            direction: direction(flags),
            stored_len: 0,
        };
        Ok(record.without_fcs(fcs_len_of(flags).unwrap_or(known.fcs_len)))
    }

    fn parse_simple_packet<'a>(&self, body: &'a [u8]) -> Result<PacketRecord<'a>, String> {
        let (wire_len, rest) = body
            .split_first_chunk::<4>()
            .ok_or("a packet block that is too short for its fields")?;
        let known = self
            .interfaces
            .first()
            .ok_or("a packet of interface 0, which no earlier block describes")?;
        let wire_len = self.read_u32(*wire_len);
        let snaplen = if known.snaplen == 0 { u32::MAX } else { known.snaplen };
        let len = usize::try_from(wire_len.min(snaplen)).unwrap_or(usize::MAX).min(rest.len());
        let bytes = rest.get(..len).unwrap_or_default();
        let (timestamp_ns, link_type) = (0, known.link_type);
        let record = PacketRecord {
            bytes,
            wire_len,
            timestamp_ns,
            link_type,
            direction: None,
            stored_len: 0,
        };
        Ok(record.without_fcs(known.fcs_len))
    }

    fn parse_interface(&self, body: &[u8]) -> Result<InterfaceDescription, String> {
        let (fixed, options) = body
            .split_first_chunk::<8>()
            .ok_or("an interface block that is too short for its fields")?;
        let [l0, l1, _, _, s0, s1, s2, s3] = *fixed;
        let mut interface = InterfaceDescription {
            link_type: self.read_u16(&[l0, l1]).unwrap_or_default(),
            snaplen: self.read_u32([s0, s1, s2, s3]),
            resolution: TimestampResolution::Decimal(6),
            offset_s: 0,
            fcs_len: 0,
        };
        for option in self.options(options) {
            match option? {
                (IF_TSRESOL, [option, ..]) => {
                    interface.resolution = TimestampResolution::from_option(*option);
                }
                (IF_FCSLEN, [len, ..]) => interface.fcs_len = fcs_len_of_interface(*len),
                (IF_TSOFFSET, [a, b, c, d, e, f, g, h, ..]) => {
                    let bytes = [*a, *b, *c, *d, *e, *f, *g, *h];
                    interface.offset_s = if self.big_endian {
                        i64::from_be_bytes(bytes)
                    } else {
                        i64::from_le_bytes(bytes)
                    };
                }
                _ => {}
            }
        }
        Ok(interface)
    }

    /// The value of `epb_flags`, or 0 if there is none. Invalid options are ignored, so that the
    /// packet is still read.
    fn flags(&self, options: &[u8]) -> u32 {
        let mut options = self.options(options).flatten();
        let flags = options.find(|(code, _)| *code == EPB_FLAGS);
        flags.and_then(|(_, value)| value.first_chunk()).map_or(0, |value| self.read_u32(*value))
    }

    fn options<'a>(&self, bytes: &'a [u8]) -> BlockOptions<'a> {
        BlockOptions::new(bytes, self.big_endian)
    }

    /// Checks that the trailing length of a block equals the length in its header.
    pub(super) fn check_trailing_length(&self, len: usize, tail: [u8; 4]) -> Result<(), String> {
        let tail = self.read_u32(tail);
        if usize::try_from(tail) == Ok(len) {
            return Ok(());
        }
        Err(format!("a block of {len} bytes that ends with a length of {tail}"))
    }

    /// The body of a block, if both of its lengths are equal.
    fn body<'a>(&self, block: &'a [u8]) -> Result<&'a [u8], String> {
        let inside = block.get(8..).and_then(<[u8]>::split_last_chunk::<4>);
        let (body, tail) = inside.ok_or("a block that is too short for its lengths")?;
        self.check_trailing_length(block.len(), *tail)?;
        Ok(body)
    }

    fn read_u32(&self, bytes: [u8; 4]) -> u32 {
        u32_in_order(self.big_endian, bytes)
    }

    fn read_u16(&self, bytes: &[u8]) -> Option<u16> {
        let pair = *bytes.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
    }
}

const fn u32_in_order(big_endian: bool, bytes: [u8; 4]) -> u32 {
    if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

/// The two lowest bits of `epb_flags`: 1 inbound, 2 outbound.
const fn direction(flags: u32) -> Option<Direction> {
    match flags & 3 {
        1 => Some(Direction::Ingress),
        2 => Some(Direction::Egress),
        _ => None,
    }
}

/// Bits 5 to 8 of `epb_flags`: the length of the frame check sequence in bytes, which "overrides
/// the if_fcslen option"; 0 if it is not known.
fn fcs_len_of(flags: u32) -> Option<u8> {
    u8::try_from((flags >> 5) & 0xf).ok().filter(|len| *len > 0)
}

/// The option `if_fcslen` in bytes. The specification counts bits; Wireshark and most writers
/// count bytes. No frame check sequence is shorter than 16 bits or longer than 15 bytes, so the
/// value determines the unit.
const fn fcs_len_of_interface(option: u8) -> u8 {
    if option < 16 { option } else { option / 8 }
}
