//! Locates the IP packet of a frame and its transport header.

use std::ops::Range;

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const SCTP: u8 = 132;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// The outermost IP packet of a frame. Offsets count from the first byte of the frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IpPacket {
    pub(super) is_ipv4: bool,
    pub(super) start: usize,
    /// Offset of the first header that is not an extension header.
    pub(super) transport: usize,
    /// The protocol number of that header.
    pub(super) protocol: u8,
    /// End of the packet by its own length field; it can be beyond the captured bytes.
    pub(super) end: usize,
    /// A hop-by-hop header that contains only the length of a jumbogram and is never sent. The
    /// local stack puts it into super-frames above 64 KiB (`hop_jumbo_hdr` in net/ipv6.h).
    pub(super) jumbo: Option<Range<usize>>,
    /// Whether there is a routing header, so that the destination may not be the final one.
    pub(super) is_routed: bool,
}

impl IpPacket {
    /// Parses an Ethernet frame with VLAN tags and IPv6 extension headers. `None` if there is no IP
    /// packet, if it is malformed or truncated before its transport header, and for fragments,
    /// which are never super-frames and have no unfinished checksum.
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let mut start = 14;
        loop {
            match be16(frame, start - 2)? {
                ETHERTYPE_IPV4 => return ipv4(frame, start),
                ETHERTYPE_IPV6 => return ipv6(frame, start),
                0x8100 | 0x88a8 | 0x9100 => start += 4,
                _ => return None,
            }
        }
    }

    /// The range of both addresses.
    pub(super) fn addresses(&self) -> Range<usize> {
        if self.is_ipv4 {
            self.start + 12..self.start + 20
        } else {
            self.start + 8..self.start + 40
        }
    }

    /// Length from the transport header to the end, in bytes.
    pub(super) fn transport_len(&self) -> usize {
        self.end - self.transport
    }
}

/// Reads a big-endian 16-bit number.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn ipv4(frame: &[u8], start: usize) -> Option<IpPacket> {
    let header = frame.get(start..)?.first_chunk::<20>()?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    // More fragments, or an offset: RFC 791, section 3.1.
    let is_fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
    if header[0] >> 4 != 4 || header_len < 20 || is_fragment {
        return None;
    }
    // BIG TCP has length 0, because its length does not fit (`iph_set_totlen` in linux/ip.h).
    let end = match usize::from(u16::from_be_bytes([header[2], header[3]])) {
        0 => frame.len(),
        total_len => start + total_len,
    };
    let transport = start + header_len;
    (transport <= end.min(frame.len())).then_some(IpPacket {
        is_ipv4: true,
        start,
        transport,
        protocol: header[9],
        end,
        jumbo: None,
        is_routed: false,
    })
}

fn ipv6(frame: &[u8], start: usize) -> Option<IpPacket> {
    let header = frame.get(start..)?.first_chunk::<40>()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let payload_start = start + 40;
    let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let jumbo_len = match (payload_len, header[6]) {
        (0, HOP_BY_HOP) => jumbo_len(frame.get(payload_start..)?),
        _ => None,
    };
    let mut packet = IpPacket {
        is_ipv4: false,
        start,
        transport: payload_start,
        protocol: header[6],
        // BIG TCP without a jumbo option has length 0, as over IPv4.
        end: match jumbo_len.unwrap_or(payload_len) {
            0 => frame.len(),
            len => payload_start.checked_add(len)?,
        },
        jumbo: jumbo_len.map(|_| payload_start..payload_start + 8),
        is_routed: false,
    };
    packet.skip_extension_headers(frame)?;
    (packet.transport <= packet.end.min(frame.len())).then_some(packet)
}

impl IpPacket {
    fn skip_extension_headers(&mut self, frame: &[u8]) -> Option<()> {
        while matches!(self.protocol, HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS) {
            let &[next, units] = frame.get(self.transport..)?.first_chunk()?;
            self.is_routed |= self.protocol == ROUTING;
            self.protocol = next;
            // RFC 8200, section 4.3: in units of eight bytes, the first eight not counted.
            self.transport += (usize::from(units) + 1) * 8;
        }
        (self.protocol != FRAGMENT).then_some(())
    }
}

/// The length in a hop-by-hop header that contains only the jumbo option (RFC 2675, section 2).
fn jumbo_len(header: &[u8]) -> Option<usize> {
    match *header.first_chunk()? {
        [_, 0, 0xc2, 4, a, b, c, d] => usize::try_from(u32::from_be_bytes([a, b, c, d])).ok(),
        _ => None,
    }
}
