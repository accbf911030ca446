//! Cuts a super-frame into the frames of the wire: owned headers, borrowed payloads.

use std::ops::Range;

use super::offload::{Offload, SuperFrameKind};
use super::packet::{IpPacket, TCP, UDP, be16};
use super::sum::{complement, fold, sum};

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// The most segments that a super-frame is cut into.
///
/// The bound is above what network stacks make, and keeps the number of copies of one frame
/// bounded where a guest or a peer chooses the segment size. A super-frame of 64 KiB stays below
/// it at any size from 32 bytes on; Linux sends no smaller ones with a maximum segment size of 48
/// (`TCP_MIN_SND_MSS`) and timestamps, which leave 36 bytes. 512 KiB (BIG TCP) at a segment size
/// of 536 are 978 segments.
pub const MAX_SEGMENTS: usize = 2_048;

/// The smallest segment of TCP that Linux makes (`TCP_MIN_GSO_SIZE` of `net/tcp.h`).
pub const MIN_SEGMENT_LEN: usize = 8;

/// The most segments below [`MIN_SEGMENT_LEN`]: `UDP_SEGMENT` takes any size and at most 128
/// segments (`UDP_MAX_SEGMENTS` of `linux/udp.h`), and GRO joins fewer.
pub const MAX_SMALL_SEGMENTS: usize = 128;

/// What becomes of a frame that is to be cut.
#[derive(Debug, Clone)]
pub enum SegmentationResult<'a> {
    /// It is these segments.
    Segments(Segments<'a>),
    /// It is no super-frame that can be cut, and is left whole.
    Whole,
    /// It would be more segments than any network stack makes: see [`MAX_SEGMENTS`] and
    /// [`MAX_SMALL_SEGMENTS`].
    TooMany,
}

/// A super-frame, ready to be cut. Each segment is the bytes of [`Self::put_header`], followed by
/// [`Self::payload`].
///
/// Of a super-frame that was captured in part there are as many segments as have captured payload.
/// The last of them may be cut itself: its headers say how long it was, which
/// [`Self::wire_len`] says too, and its checksum is that of the bytes that are there.
#[derive(Debug, Clone)]
pub struct Segments<'a> {
    /// The super-frame to its captured end, without Ethernet padding.
    frame: &'a [u8],
    ip: IpPacket,
    /// Where the payload begins in the super-frame.
    payload: usize,
    segment_len: usize,
    transport: TransportKind,
    /// What all segments have in common of the sum of an IPv4 header.
    ip_sum: u64,
    /// The same of the transport checksum: pseudo-header and transport header.
    transport_sum: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransportKind {
    Tcp {
        /// CWR is for the first segment alone.
        cwr_once: bool,
    },
    Udp {
        /// The sender wanted no checksum.
        omits_checksum: bool,
    },
}

/// The place of a segment in its super-frame.
struct SegmentPosition {
    index: usize,
    /// In the payload.
    offset: usize,
    /// Of its payload, captured or not.
    len: usize,
    is_last: bool,
}

impl<'a> Segments<'a> {
    /// The segments of a frame, or why there are none.
    ///
    /// A frame is left whole where it is no super-frame, or none that can be cut here: of an
    /// unknown kind, with headers that are malformed or not all captured, or inside of a tunnel,
    /// where the outer headers would have to be repaired as well.
    #[must_use]
    pub fn split(frame: &'a [u8], offload: &Offload) -> SegmentationResult<'a> {
        match Self::parse(frame, offload) {
            Some(segments) if segments.exceeds_limit() => SegmentationResult::TooMany,
            Some(segments) => SegmentationResult::Segments(segments),
            None => SegmentationResult::Whole,
        }
    }

    /// The segments of a frame; `None` where [`Self::split`] gives none.
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
        // The checksum that is to be finished is the innermost one.
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
            // The last destination counts (RFC 8200, section 8.1), and the kernel has put it in.
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

    /// How many segments there are; never zero.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    #[must_use]
    pub fn len(&self) -> usize {
        (self.frame.len() - self.payload).div_ceil(self.segment_len)
    }

    fn exceeds_limit(&self) -> bool {
        let is_small = self.segment_len < MIN_SEGMENT_LEN;
        self.len() > if is_small { MAX_SMALL_SEGMENTS } else { MAX_SEGMENTS }
    }

    /// How many segments of a truncated super-frame of that length have no captured payload.
    #[must_use]
    pub fn uncaptured(&self, wire_len: usize) -> usize {
        // Big TCP does not say how long the packet is, which then ends with what was captured.
        let end = if self.ip.end == self.frame.len() { wire_len } else { self.ip.end };
        let all = end.saturating_sub(self.payload).div_ceil(self.segment_len);
        all.saturating_sub(self.len())
    }

    /// How long the headers of each segment are.
    #[must_use]
    pub fn header_len(&self) -> usize {
        self.payload - self.jumbo_range().len()
    }

    /// How long a segment was on the wire, headers and all; zero for one that is not there.
    #[must_use]
    pub fn wire_len(&self, index: usize) -> usize {
        self.position(index).map_or(0, |position| self.header_len() + position.len)
    }

    /// The captured payload of a segment, empty for one that is not there.
    #[must_use]
    pub fn payload(&self, index: usize) -> &'a [u8] {
        self.position(index).map_or(&[], |position| self.payload_at(&position))
    }

    /// Where in the super-frame the payload of a segment begins.
    #[must_use]
    pub const fn payload_start(&self, index: usize) -> usize {
        self.payload.saturating_add(index.saturating_mul(self.segment_len))
    }

    /// Writes the headers of a segment, lengths, numbers and checksums right, and says how long
    /// they are. `None` where there is no such segment, or no room.
    ///
    /// The identification of IPv4 goes up by one with each segment, as TSO counts: whether the
    /// frames that the kernel joined all had the same one (`SKB_GSO_TCP_FIXEDID`) is not told.
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

    /// What stands in the super-frame's headers and in none of the segments.
    fn jumbo_range(&self) -> Range<usize> {
        self.ip.jumbo.clone().unwrap_or(self.ip.transport..self.ip.transport)
    }

    /// There is a length, and every segment's own can be said in 16 bits.
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
        // The length stands in the pseudo-header and in the header.
        let total = self.transport_sum + 2 * u64::from(len) + sum(self.payload_at(position));
        let checksum = match !fold(total) {
            0 => u16::MAX,
            checksum => checksum,
        };
        [fixed[6], fixed[7]] = checksum.to_be_bytes();
        Some(())
    }
}

/// A length as a part of a sum; lengths above 32 bits are not seen in memory.
fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or_default()
}

fn tcp_header_len(frame: &[u8], ip: &IpPacket) -> Option<usize> {
    let len = usize::from(*frame.get(ip.transport + 12)? >> 4) * 4;
    (len >= 20).then_some(len)
}
