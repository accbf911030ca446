//! Cuts a super-frame into the frames of the wire: new headers, borrowed payloads.
//!
//! Each segment differs from the super-frame in a few header fields only: IP length, IPv4
//! identification, TCP sequence number and flags, UDP length, and the checksums. Example with 4,000
//! bytes of TCP payload, a segment size of 1,448 bytes, headers of 20 (IPv4) and 32 bytes (TCP),
//! identification 7 and sequence number 1000:
//!
//! ```text
//! segment   payload         IPv4 length   identification   sequence   FIN and PSH
//! 0           0..1448       1,500         7                1000       cleared
//! 1         1448..2896      1,500         8                2448       cleared
//! 2         2896..4000      1,156         9                3896       as in the super-frame
//! ```
//!
//! The checksum of a segment does not sum the fixed header fields again. `ip_sum` and
//! `transport_sum` hold the ones' complement sum of everything that all segments share; the
//! changing fields are subtracted once by adding their complement (RFC 1624, section 3). Per
//! segment, only the new fields and the payload are added.

use std::ops::Range;

use super::offload::{Offload, SuperFrameKind};
use super::packet::{IpPacket, TCP, UDP, be16};
use super::sum::{complement, fold, sum};

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// The maximum number of segments of a super-frame.
///
/// The limit is above what network stacks create. It bounds the copies of one frame where a guest
/// or a peer chooses the segment size. A super-frame of 64 KiB stays below it for segment sizes of
/// 32 bytes and more. The smallest that Linux sends are 36 bytes: a maximum segment size of 48
/// (`TCP_MIN_SND_MSS`) less timestamps. 512 KiB (BIG TCP) with a segment size of 536 are 979
/// segments.
pub const MAX_SEGMENTS: usize = 2_048;

/// The smallest TCP segment that Linux creates (`TCP_MIN_GSO_SIZE` of `net/tcp.h`), in bytes.
pub const MIN_SEGMENT_LEN: usize = 8;

/// The maximum number of segments with a size below [`MIN_SEGMENT_LEN`]. `UDP_SEGMENT` accepts any
/// size and at most 128 segments (`UDP_MAX_SEGMENTS` of `linux/udp.h`), and GRO joins fewer.
pub const MAX_SMALL_SEGMENTS: usize = 128;

/// The result of segmenting a frame.
#[derive(Debug, Clone)]
pub enum SegmentationResult<'a> {
    /// The frame is cut into these segments.
    Segments(Segments<'a>),
    /// The frame cannot be cut and is left whole.
    Whole,
    /// The frame has more segments than any network stack creates: see [`MAX_SEGMENTS`] and
    /// [`MAX_SMALL_SEGMENTS`].
    TooMany,
}

/// The segments of a super-frame. Each consists of the bytes of [`Self::put_header`], followed by
/// [`Self::payload`].
///
/// A super-frame that was captured partly has as many segments as have captured payload. The last
/// of them may be truncated: its headers and [`Self::wire_len`] contain its original length, and
/// its checksum covers the captured bytes.
#[derive(Debug, Clone)]
pub struct Segments<'a> {
    /// The super-frame to its captured end, without Ethernet padding.
    frame: &'a [u8],
    ip: IpPacket,
    /// Offset of the payload in the super-frame.
    payload: usize,
    segment_len: usize,
    transport: TransportKind,
    /// The part of the sum of the IPv4 header that all segments share.
    ip_sum: u64,
    /// The same for the transport checksum: pseudo-header and transport header.
    transport_sum: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransportKind {
    Tcp {
        /// Only the first segment keeps the CWR flag.
        cwr_once: bool,
    },
    Udp {
        /// The sender used no checksum.
        omits_checksum: bool,
    },
}

/// The position of a segment in its super-frame.
struct SegmentPosition {
    index: usize,
    /// Offset in the payload.
    offset: usize,
    /// Length of its payload, captured or not.
    len: usize,
    is_last: bool,
}

impl<'a> Segments<'a> {
    /// Returns the segments of a frame, or why there are none.
    ///
    /// A frame is left whole if it is not a super-frame, if its kind is unknown, if its headers are
    /// malformed or not fully captured, or if it is inside a tunnel, because the outer headers
    /// would need a repair, too.
    #[must_use]
    pub fn split(frame: &'a [u8], offload: &Offload) -> SegmentationResult<'a> {
        match Self::parse(frame, offload) {
            Some(segments) if segments.exceeds_limit() => SegmentationResult::TooMany,
            Some(segments) => SegmentationResult::Segments(segments),
            None => SegmentationResult::Whole,
        }
    }

    /// The segments of a frame; `None` if [`Self::split`] returns none.
    #[must_use]
    pub fn of(frame: &'a [u8], offload: &Offload) -> Option<Self> {
        match Self::split(frame, offload) {
            SegmentationResult::Segments(segments) => Some(segments),
            SegmentationResult::Whole | SegmentationResult::TooMany => None,
        }
    }

    fn parse(frame: &'a [u8], offload: &Offload) -> Option<Self> {
        let kind = offload.kind()?;
        let segment_len = offload.segment_len();
        let ip = IpPacket::parse(frame)?;
        let frame = frame.get(..ip.end).unwrap_or(frame);
        let (protocol, payload, checksum_at) = match kind {
            SuperFrameKind::TcpV4 | SuperFrameKind::TcpV6 => {
                (TCP, ip.transport + tcp_header_len(frame, &ip)?, 16)
            }
            SuperFrameKind::Udp => (UDP, ip.transport + 8, 6),
        };
        let other_family = matches!(
            (kind, ip.is_ipv4),
            (SuperFrameKind::TcpV4, false) | (SuperFrameKind::TcpV6, true)
        );
        // The unfinished checksum is always the innermost one.
        let unfinished = offload.unfinished_checksum();
        let is_inner = unfinished.is_some_and(|found| found != (ip.transport, checksum_at));
        if ip.protocol != protocol || other_family || is_inner || payload >= frame.len() {
            return None;
        }
        let seed = be16(frame, ip.transport + checksum_at)?;
        let transport = match kind {
            SuperFrameKind::Udp => TransportKind::Udp {
                omits_checksum: seed == 0 && ip.is_ipv4 && unfinished.is_none(),
            },
            _ => TransportKind::Tcp { cwr_once: offload.reduces_window_once() },
        };
        let pseudo = match unfinished {
            // The pseudo-header uses the final destination (RFC 8200, section 8.1), which the
            // kernel has included in the unfinished checksum.
            Some(_) if ip.is_routed => {
                u64::from(seed) + complement(fold(to_u64(ip.transport_len())))
            }
            _ => sum(frame.get(ip.addresses())?) + u64::from(protocol),
        };
        let mut segments =
            Self { frame, ip, payload, segment_len, transport, ip_sum: 0, transport_sum: 0 };
        segments.ip_sum = segments.fixed_ip_sum()?;
        segments.transport_sum = pseudo + segments.fixed_transport_sum()?;
        segments.fits().then_some(segments)
    }

    /// Number of segments; never 0.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one segment")]
    #[must_use]
    pub fn len(&self) -> usize {
        (self.frame.len() - self.payload).div_ceil(self.segment_len)
    }

    fn exceeds_limit(&self) -> bool {
        let is_small = self.segment_len < MIN_SEGMENT_LEN;
        self.len() > if is_small { MAX_SMALL_SEGMENTS } else { MAX_SEGMENTS }
    }

    /// Number of segments without captured payload, for a super-frame that had `wire_len` bytes.
    #[must_use]
    pub fn uncaptured(&self, wire_len: usize) -> usize {
        // BIG TCP packets do not contain their length; `ip.end` is then the end of the captured
        // bytes.
        let end = if self.ip.end == self.frame.len() { wire_len } else { self.ip.end };
        let all = end.saturating_sub(self.payload).div_ceil(self.segment_len);
        all.saturating_sub(self.len())
    }

    /// Length of the headers of each segment, in bytes.
    #[must_use]
    pub fn header_len(&self) -> usize {
        self.payload - self.jumbo_range().len()
    }

    /// Length of a segment on the wire including headers, in bytes; 0 if there is no such segment.
    #[must_use]
    pub fn wire_len(&self, index: usize) -> usize {
        self.position(index).map_or(0, |position| self.header_len() + position.len)
    }

    /// The captured payload of a segment; empty if there is no such segment.
    #[must_use]
    pub fn payload(&self, index: usize) -> &'a [u8] {
        self.position(index).map_or(&[], |position| self.payload_at(&position))
    }

    /// Offset in the super-frame at which the payload of a segment begins.
    #[must_use]
    pub const fn payload_start(&self, index: usize) -> usize {
        self.payload.saturating_add(index.saturating_mul(self.segment_len))
    }

    /// Writes the headers of a segment with correct lengths, numbers and checksums, and returns
    /// their length. `None` if there is no such segment, or if `room` is too short.
    ///
    /// The IPv4 identification increases by one with each segment, as with TSO. The kernel does not
    /// report whether the joined frames all had the same one (`SKB_GSO_TCP_FIXEDID`).
    pub fn put_header(&self, index: usize, room: &mut [u8]) -> Option<usize> {
        let position = self.position(index)?;
        let jumbo_range = self.jumbo_range();
        let header = room.get_mut(..self.header_len())?;
        let (front, back) = header.split_at_mut_checked(jumbo_range.start)?;
        front.copy_from_slice(self.frame.get(..jumbo_range.start)?);
        back.copy_from_slice(self.frame.get(jumbo_range.end..self.payload)?);
        let (front, transport) =
            header.split_at_mut_checked(self.ip.transport - jumbo_range.len())?;
        self.finish_ip(front.get_mut(self.ip.start..)?, &position)?;
        match self.transport {
            TransportKind::Tcp { cwr_once } => {
                self.finish_tcp(transport, &position, cwr_once)?;
            }
            TransportKind::Udp { omits_checksum } => {
                self.finish_udp(transport, &position, omits_checksum)?;
            }
        }
        Some(header.len())
    }

    fn position(&self, index: usize) -> Option<SegmentPosition> {
        let offset = index.checked_mul(self.segment_len)?;
        if offset >= self.frame.len() - self.payload {
            return None;
        }
        let left = self.ip.end - self.payload - offset;
        let len = left.min(self.segment_len);
        Some(SegmentPosition { index, offset, len, is_last: len == left })
    }

    fn payload_at(&self, position: &SegmentPosition) -> &'a [u8] {
        let rest = self.frame.get(self.payload + position.offset..).unwrap_or_default();
        rest.get(..position.len).unwrap_or(rest)
    }

    /// The part of the super-frame's headers that no segment contains: the jumbo option.
    fn jumbo_range(&self) -> Range<usize> {
        self.ip.jumbo.clone().unwrap_or(self.ip.transport..self.ip.transport)
    }

    /// Whether the segment size is not zero and the length of every segment fits into 16 bits.
    fn fits(&self) -> bool {
        let uncounted = if self.ip.is_ipv4 { 0 } else { 40 };
        let longest = self.segment_len.min(self.ip.end - self.payload);
        let packet_len = self.header_len() - self.ip.start + longest - uncounted;
        self.segment_len > 0 && packet_len <= usize::from(u16::MAX)
    }

    fn fixed_ip_sum(&self) -> Option<u64> {
        if !self.ip.is_ipv4 {
            return Some(0);
        }
        let header = self.frame.get(self.ip.start..self.ip.transport)?;
        let [total_len, identification, checksum] = [2, 4, 10].map(|at| be16(header, at));
        let changing = complement(total_len?) + complement(identification?) + complement(checksum?);
        Some(sum(header) + changing)
    }

    fn fixed_transport_sum(&self) -> Option<u64> {
        let header = self.frame.get(self.ip.transport..self.payload)?;
        let changing: &[usize] = match self.transport {
            TransportKind::Tcp { .. } => &[4, 6, 12, 16],
            TransportKind::Udp { .. } => &[4, 6],
        };
        let mut total = sum(header);
        for at in changing {
            total += complement(be16(header, *at)?);
        }
        Some(total)
    }

    fn finish_ip(&self, header: &mut [u8], position: &SegmentPosition) -> Option<()> {
        let len = header.len() + self.payload - self.ip.transport + position.len;
        if !self.ip.is_ipv4 {
            let fixed = header.first_chunk_mut::<40>()?;
            [fixed[4], fixed[5]] = u16::try_from(len - 40).ok()?.to_be_bytes();
            if let Some(jumbo) = &self.ip.jumbo {
                fixed[6] = *self.frame.get(jumbo.start)?;
            }
            return Some(());
        }
        let fixed = header.first_chunk_mut::<20>()?;
        let total_len = u16::try_from(len).ok()?;
        let count = u16::try_from(position.index & 0xffff).ok()?;
        let identification = u16::from_be_bytes([fixed[4], fixed[5]]).wrapping_add(count);
        let checksum = !fold(self.ip_sum + u64::from(total_len) + u64::from(identification));
        [fixed[2], fixed[3]] = total_len.to_be_bytes();
        [fixed[4], fixed[5]] = identification.to_be_bytes();
        [fixed[10], fixed[11]] = checksum.to_be_bytes();
        Some(())
    }

    fn finish_tcp(
        &self,
        header: &mut [u8],
        position: &SegmentPosition,
        cwr_once: bool,
    ) -> Option<()> {
        let len = to_u64(header.len() + position.len);
        let fixed = header.first_chunk_mut::<20>()?;
        let first = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
        let sequence = first.wrapping_add(u32::try_from(position.offset).ok()?);
        if !position.is_last {
            fixed[13] &= !(FIN | PSH);
        }
        if position.index > 0 && cwr_once {
            fixed[13] &= !CWR;
        }
        let flags = u16::from_be_bytes([fixed[12], fixed[13]]);
        let total = self.transport_sum + len + u64::from(sequence) + u64::from(flags);
        let checksum = !fold(total + sum(self.payload_at(position)));
        [fixed[4], fixed[5], fixed[6], fixed[7]] = sequence.to_be_bytes();
        [fixed[16], fixed[17]] = checksum.to_be_bytes();
        Some(())
    }

    fn finish_udp(
        &self,
        header: &mut [u8],
        position: &SegmentPosition,
        omits_checksum: bool,
    ) -> Option<()> {
        let fixed = header.first_chunk_mut::<8>()?;
        let len = u16::try_from(8 + position.len).ok()?;
        [fixed[4], fixed[5]] = len.to_be_bytes();
        if omits_checksum {
            return Some(());
        }
        // The length is in the pseudo-header and in the UDP header.
        let total = self.transport_sum + 2 * u64::from(len) + sum(self.payload_at(position));
        let checksum = match !fold(total) {
            0 => u16::MAX,
            checksum => checksum,
        };
        [fixed[6], fixed[7]] = checksum.to_be_bytes();
        Some(())
    }
}

/// Converts a length to a part of a sum; no length in memory exceeds 64 bits.
fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or_default()
}

fn tcp_header_len(frame: &[u8], ip: &IpPacket) -> Option<usize> {
    let len = usize::from(*frame.get(ip.transport + 12)? >> 4) * 4;
    (len >= 20).then_some(len)
}
