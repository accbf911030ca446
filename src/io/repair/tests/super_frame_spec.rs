//! A description of a super-frame, and a plain segmenter that builds the expected frames from it.

use proptest::prelude::*;

use super::super::packet::{TCP, UDP};
use super::super::{MAX_SMALL_SEGMENTS, MIN_SEGMENT_LEN, Offload};

/// The fields of a super-frame. Bytes without a meaning for the test are `filler`.
#[derive(Debug, Clone)]
pub(super) struct SuperFrameSpec {
    pub(super) tags: Vec<u16>,
    pub(super) is_ipv4: bool,
    /// Number of 32-bit option words of IPv4.
    pub(super) ip_options: usize,
    /// Extension headers: kind, length in units, segments left.
    pub(super) extensions: Vec<(u8, u8, u8)>,
    /// Whether a length above 16 bits is in a jumbo option instead of being omitted.
    pub(super) has_jumbo: bool,
    pub(super) identification: u16,
    pub(super) protocol: u8,
    pub(super) tcp_options: usize,
    pub(super) flags: u8,
    pub(super) sequence: u32,
    pub(super) payload: Vec<u8>,
    pub(super) segment_len: u16,
    /// Whether only the first segment has CWR.
    pub(super) is_ecn: bool,
    /// Whether the kernel left the checksum to the card; otherwise it is complete, or UDP has none.
    pub(super) needs_checksum: bool,
    pub(super) padding: usize,
    pub(super) filler: u8,
}

/// The part of the payload that is in a frame.
struct PayloadRange {
    index: usize,
    begin: usize,
    end: usize,
}

impl SuperFrameSpec {
    /// TCP over IPv4 without anything special.
    pub(super) fn plain(payload_len: usize, segment_len: u16) -> Self {
        Self {
            tags: vec![],
            is_ipv4: true,
            ip_options: 0,
            extensions: vec![],
            has_jumbo: false,
            identification: 7,
            protocol: TCP,
            tcp_options: 3,
            flags: 0x10,
            sequence: 1000,
            payload: (0..=250).cycle().take(payload_len).collect(),
            segment_len,
            is_ecn: false,
            needs_checksum: true,
            padding: 0,
            filler: 0x5a,
        }
    }

    /// The offload header of the super-frame.
    pub(super) fn offload(&self) -> Offload {
        let kind = match (self.protocol, self.is_ipv4) {
            (UDP, _) => 5,
            (_, true) => 1,
            (_, false) => 4,
        };
        let at = if self.protocol == TCP { 16 } else { 6 };
        let jumbo_len = if self.jumbo_len().is_some() { 8 } else { 0 };
        let start = self.tags.len() * 4 + 14 + self.ip_header().len() + jumbo_len;
        let mut header = vec![u8::from(self.needs_checksum), kind | u8::from(self.is_ecn) << 7];
        let checksum =
            if self.needs_checksum { [u16::try_from(start).unwrap(), at] } else { [0; 2] };
        for number in [0, self.segment_len, checksum[0], checksum[1]] {
            header.extend(number.to_ne_bytes());
        }
        Offload::parse(&header.try_into().unwrap())
    }

    /// The super-frame as it is in a packet ring.
    pub(super) fn frame(&self) -> Vec<u8> {
        let part = PayloadRange { index: 0, begin: 0, end: self.payload.len() };
        let mut transport = self.transport(&part);
        let at = if self.protocol == TCP { 16 } else { 6 };
        let seed = if self.needs_checksum {
            reference_sum(&self.pseudo_header(transport.len()))
        } else if self.protocol == TCP {
            0x1234 // the checksum of the first segment, which is unusable
        } else {
            0
        };
        transport[at..at + 2].copy_from_slice(&seed.to_be_bytes());
        let mut frame = self.framed(&part, &transport, true);
        frame.extend(vec![self.filler; self.padding]);
        frame
    }

    /// The frames of the wire.
    pub(super) fn segments(&self) -> Vec<Vec<u8>> {
        let step = usize::from(self.segment_len);
        let begins = (0..self.payload.len()).step_by(step).enumerate();
        begins
            .map(|(index, begin)| {
                let end = self.payload.len().min(begin + step);
                let part = PayloadRange { index, begin, end };
                let transport = self.checked(self.transport(&part));
                self.framed(&part, &transport, false)
            })
            .collect()
    }

    /// Length of the headers of a segment, in bytes.
    pub(super) fn header_len(&self) -> usize {
        let transport = if self.protocol == TCP { 20 + self.tcp_options * 4 } else { 8 };
        14 + self.tags.len() * 4 + self.ip_header().len() + transport
    }

    pub(super) fn is_routed(&self) -> bool {
        self.extensions.iter().any(|(kind, _, left)| *kind == 43 && *left > 0)
    }

    fn transport(&self, part: &PayloadRange) -> Vec<u8> {
        let payload = &self.payload[part.begin..part.end];
        if self.protocol == UDP {
            let len = u16::try_from(8 + payload.len()).unwrap_or_default();
            return [&[0x30, 0x39, 0, 53][..], &len.to_be_bytes(), &[0; 2], payload].concat();
        }
        let is_last = part.end == self.payload.len();
        let mut flags = self.flags;
        if !is_last {
            flags &= !0x09;
        }
        if part.index > 0 && self.is_ecn {
            flags &= !0x80;
        }
        let sequence = self.sequence.wrapping_add(u32::try_from(part.begin).unwrap());
        let words = u8::try_from(5 + self.tcp_options).unwrap();
        let mut header = vec![0x30, 0x39, 0, 80];
        header.extend(sequence.to_be_bytes());
        header.extend([9, 8, 7, 6, words << 4, flags, 0xff, 0xfe, 0, 0, 0x12, 0x34]);
        header.extend(vec![self.filler; self.tcp_options * 4]);
        header.extend(payload);
        header
    }

    /// Adds the complete checksum.
    fn checked(&self, mut transport: Vec<u8>) -> Vec<u8> {
        let is_bare = !self.needs_checksum && self.is_ipv4 && self.protocol == UDP;
        if is_bare {
            return transport;
        }
        let at = if self.protocol == TCP { 16 } else { 6 };
        let pseudo = self.pseudo_header(transport.len());
        let checksum = match !reference_sum(&[&pseudo[..], &transport].concat()) {
            0 if self.protocol == UDP => 0xffff,
            checksum => checksum,
        };
        transport[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
        transport
    }

    fn pseudo_header(&self, transport_len: usize) -> Vec<u8> {
        let mut header = self.addresses();
        // Without a seed, the segmenter uses the destination in the IP header as the final one.
        if self.is_routed() && self.needs_checksum {
            header[16..].fill(0x77);
        }
        header.extend(u32::try_from(transport_len).unwrap().to_be_bytes());
        header.extend([0, 0, 0, self.protocol]);
        header
    }

    fn addresses(&self) -> Vec<u8> {
        if self.is_ipv4 {
            vec![10, self.filler, 0, 1, 192, 0, 2, 9]
        } else {
            [[self.filler; 16], [0x26; 16]].concat()
        }
    }

    fn jumbo_len(&self) -> Option<u32> {
        if self.is_ipv4 || !self.has_jumbo {
            return None;
        }
        let headers_len = self.header_len() - 14 - self.tags.len() * 4 - 40;
        let len = headers_len + self.payload.len();
        (len > 65_535).then(|| u32::try_from(len + 8).unwrap())
    }

    /// The IP header before lengths, numbers and checksum are set.
    fn ip_header(&self) -> Vec<u8> {
        if self.is_ipv4 {
            let first = 0x45 + u8::try_from(self.ip_options).unwrap();
            let mut header = vec![first, 0x03, 0, 0, 0, 0, 0x40, 0, 63, self.protocol, 0, 0];
            header.extend(self.addresses());
            header.extend(vec![self.filler; self.ip_options * 4]);
            return header;
        }
        let mut header = vec![0x6a, 0xbc, 0xde, 0xf0, 0, 0, 0, 64];
        header.extend(self.addresses());
        let mut next_at = 6;
        for (kind, units, left) in &self.extensions {
            header[next_at] = *kind;
            next_at = header.len();
            header.extend([0, *units, 1, *left]);
            header.extend(vec![self.filler; usize::from(*units) * 8 + 4]);
        }
        header[next_at] = self.protocol;
        header
    }

    fn framed(&self, part: &PayloadRange, transport: &[u8], is_super: bool) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for tpid in &self.tags {
            frame.extend(tpid.to_be_bytes());
            frame.extend([0x20, 0x05]);
        }
        let mut ip = self.ip_header();
        frame.extend(if self.is_ipv4 { [0x08, 0x00] } else { [0x86, 0xdd] });
        if self.is_ipv4 {
            let len = u16::try_from(ip.len() + transport.len()).unwrap_or_default();
            let number = u16::try_from(part.index % 65_536).unwrap();
            ip[2..4].copy_from_slice(&len.to_be_bytes());
            ip[4..6].copy_from_slice(&self.identification.wrapping_add(number).to_be_bytes());
            let checksum = !reference_sum(&ip);
            ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        } else {
            let len = u16::try_from(ip.len() - 40 + transport.len()).unwrap_or_default();
            ip[4..6].copy_from_slice(&len.to_be_bytes());
            if let Some(len) = self.jumbo_len().filter(|_| is_super) {
                let [a, b, c, d] = len.to_be_bytes();
                let jumbo = [ip[6], 0, 0xc2, 4, a, b, c, d];
                ip[6] = 0;
                ip.splice(40..40, jumbo);
            }
        }
        frame.extend(ip);
        frame.extend(transport);
        frame
    }
}

/// The sum of 16-bit words as defined in RFC 1071, section 1.
pub(in super::super) fn reference_sum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

/// Super-frames of all supported shapes, up to some thousand bytes.
pub(super) fn super_frame_specs() -> impl Strategy<Value = SuperFrameSpec> {
    let tag = prop_oneof![Just(0x8100), Just(0x88a8), Just(0x9100)];
    let extension = (prop_oneof![Just(0), Just(43), Just(60)], 0_u8..3, 0_u8..2);
    let ethernet = (proptest::collection::vec(tag, 0..4), 0_usize..50, any::<u8>());
    let ip = (
        any::<bool>(),
        0_usize..=10,
        proptest::collection::vec(extension, 0..4),
        any::<u16>(),
        prop_oneof![Just(TCP), Just(UDP)],
    );
    let tcp = (0_usize..=10, any::<u8>(), any::<u32>());
    let payload = proptest::collection::vec(any::<u8>(), 1..4000);
    let cut = (prop_oneof![1_u16..20, 1_u16..1500, 500_u16..=9000], any::<bool>(), any::<bool>());
    // Super-frames above these limits are not segmented.
    let within_limits = |(mut payload, cut): (Vec<u8>, (u16, bool, bool))| {
        if usize::from(cut.0) < MIN_SEGMENT_LEN {
            payload.truncate(usize::from(cut.0) * MAX_SMALL_SEGMENTS);
        }
        (payload, cut)
    };
    let rest = (payload, cut).prop_map(within_limits);
    (ethernet, ip, tcp, rest).prop_map(|(ethernet, ip, tcp, (payload, cut))| SuperFrameSpec {
        tags: ethernet.0,
        is_ipv4: ip.0,
        ip_options: if ip.0 { ip.1 } else { 0 },
        extensions: if ip.0 { vec![] } else { ip.2 },
        has_jumbo: false,
        identification: ip.3,
        protocol: ip.4,
        tcp_options: tcp.0,
        flags: tcp.1,
        sequence: tcp.2,
        payload,
        segment_len: cut.0,
        is_ecn: cut.1 && ip.4 == TCP,
        needs_checksum: cut.2,
        padding: ethernet.1,
        filler: ethernet.2,
    })
}
