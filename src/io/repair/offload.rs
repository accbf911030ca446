//! The `virtio_net_hdr` before a frame: the work that was left to the network card.
//!
//! ```text
//!  0  flags        1  gso_type     2  hdr_len
//!  4  gso_size     6  csum_start   8  csum_offset      (linux/virtio_net.h; native byte order)
//! ```

const NEEDS_CSUM: u8 = 1;

const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ACCECN: u8 = 0x10;
const GSO_ECN: u8 = 0x80;

/// The work on a frame that was left to the network card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offload {
    flags: u8,
    gso_type: u8,
    gso_size: u16,
    csum_start: u16,
    csum_offset: u16,
}

/// The kind of segments of a super-frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SuperFrameKind {
    TcpV4,
    TcpV6,
    Udp,
}

impl Offload {
    /// Parses the header. `hdr_len` is ignored: it describes the kernel's memory and not the
    /// packet.
    #[must_use]
    pub fn parse(header: &[u8; 10]) -> Self {
        let [flags, gso_type, _, _, size @ .., a, b, c, d] = *header;
        Self {
            flags,
            gso_type,
            gso_size: u16::from_ne_bytes(size),
            csum_start: u16::from_ne_bytes([a, b]),
            csum_offset: u16::from_ne_bytes([c, d]),
        }
    }

    /// The same work after `len` bytes, such as a VLAN tag, were inserted before the
    /// checksummed bytes.
    #[must_use]
    pub const fn shifted_by(mut self, len: u16) -> Self {
        self.csum_start = self.csum_start.wrapping_add(len);
        self
    }

    /// Whether no work is left: the frame is as it was on the wire, or as it would have been.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        !self.is_super_frame() && self.unfinished_checksum().is_none()
    }

    /// Whether the frame contains the payload of several frames of the wire. Its kind may be
    /// unknown.
    #[must_use]
    pub fn is_super_frame(&self) -> bool {
        self.gso_type & !(GSO_ECN | GSO_ACCECN) != GSO_NONE
    }

    /// The kind of a super-frame that can be cut. Current kernels deliver no other kind to a packet
    /// socket: UFO (3) was removed in Linux 4.14, and tunnel kinds (0x20, 0x40) are used between
    /// devices only.
    pub(super) fn kind(&self) -> Option<SuperFrameKind> {
        match self.gso_type & !(GSO_ECN | GSO_ACCECN) {
            GSO_TCPV4 => Some(SuperFrameKind::TcpV4),
            GSO_TCPV6 => Some(SuperFrameKind::TcpV6),
            GSO_UDP_L4 => Some(SuperFrameKind::Udp),
            _ => None,
        }
    }

    /// Payload length of each segment in bytes; 0 if it is not given.
    pub(super) fn segment_len(&self) -> usize {
        usize::from(self.gso_size)
    }

    /// The offset where the checksummed bytes begin, and the offset of the checksum from there.
    pub(super) fn unfinished_checksum(&self) -> Option<(usize, usize)> {
        (self.flags & NEEDS_CSUM != 0)
            .then_some((usize::from(self.csum_start), usize::from(self.csum_offset)))
    }

    /// Whether TCP's CWR flag belongs to the first segment only (RFC 3168, section 6.1.2). The
    /// kernel marks these super-frames. Without the mark, the flag was on every segment, as in
    /// accurate ECN (`SKB_GSO_TCP_ACCECN` in linux/skbuff.h).
    pub(super) fn reduces_window_once(&self) -> bool {
        self.gso_type & (GSO_ECN | GSO_ACCECN) == GSO_ECN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: u8, gso_type: u8, numbers: [u16; 4]) -> [u8; 10] {
        let mut header = [flags, gso_type, 0, 0, 0, 0, 0, 0, 0, 0];
        for (slot, number) in header[2..].chunks_mut(2).zip(numbers) {
            slot.copy_from_slice(&number.to_ne_bytes());
        }
        header
    }

    #[test]
    fn every_field_is_read_at_its_offset() {
        let offload = Offload::parse(&header(1, 0x81, [66, 1448, 34, 16]));
        assert_eq!(offload.kind(), Some(SuperFrameKind::TcpV4));
        assert_eq!(offload.segment_len(), 1448);
        assert_eq!(offload.unfinished_checksum(), Some((34, 16)));
        assert!(offload.is_super_frame() && !offload.is_finished());
        assert!(offload.reduces_window_once());
    }

    #[test]
    fn no_offload_and_a_verified_checksum_need_no_repair() {
        for flags in [0, 2] {
            let offload = Offload::parse(&header(flags, 0, [0; 4]));
            assert!(offload.is_finished() && !offload.is_super_frame());
            assert_eq!((offload.unfinished_checksum(), offload.kind()), (None, None));
        }
    }

    #[test]
    fn unsupported_gso_types_are_still_super_frames() {
        for gso_type in [2, 3, 6, 0x21, 0x41] {
            let offload = Offload::parse(&header(0, gso_type, [0; 4]));
            assert!(offload.is_super_frame() && !offload.is_finished());
            assert_eq!(offload.kind(), None, "{gso_type}");
        }
    }

    #[test]
    fn accurate_ecn_reduces_the_window_on_every_segment() {
        for (gso_type, once) in
            [(0x81, true), (0x84, true), (0x11, false), (1, false), (0x91, false)]
        {
            let offload = Offload::parse(&header(1, gso_type, [0; 4]));
            assert_eq!(offload.reduces_window_once(), once, "{gso_type:#x}");
        }
    }
}
