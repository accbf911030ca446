//! Writes the headers of a datagram that is sent as a complete frame or IP packet. The headers of a
//! path are built once; for each datagram only ports, lengths and checksums change.
//!
//! ```text
//!  0 virtio_net_hdr 10    frames only: checksum and segmentation that the kernel completes
//! 10 Ethernet 14          frames only: next hop, device, EtherType
//! 24 IPv4 20 or IPv6 40   as AWS sends it, but with DF set over IPv4: no router fragments a copy
//!    UDP 8                source port 65408 + hash; checksum 0 over IPv4
//!    payload              VXLAN and its content, or GENEVE around that
//! ```

use std::net::{IpAddr, SocketAddr};

use crate::dataplane::{FIRST_SOURCE_PORT, OuterTemplate, fold, sum_of_words};
use crate::io::sys::ring_memory::VNET_HEADER_LEN;
use crate::model::{MacAddress, VirtualNetworkId};

/// Length of an Ethernet header.
const ETHERNET_LEN: usize = 14;

/// Length of a UDP header.
const UDP_LEN: usize = 8;

/// Length of the virtio, Ethernet, IPv6 and UDP headers.
pub(super) const MAX_HEADER_LEN: usize = VNET_HEADER_LEN + ETHERNET_LEN + 40 + UDP_LEN;

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM` and `VIRTIO_NET_HDR_GSO_UDP_L4` of linux/virtio_net.h.
const NEEDS_CHECKSUM: u8 = 1;
const GSO_UDP: u8 = 5;

/// Offset of the checksum in the UDP header.
const CHECKSUM_OFFSET: u16 = 6;

/// The next hop of complete frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NextHop {
    /// The index of the egress device.
    pub(super) device_index: u32,
    /// The Ethernet address of the device.
    pub(super) source: MacAddress,
    /// The Ethernet address of the next hop.
    pub(super) destination: MacAddress,
}

/// The properties of a datagram that its headers depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payload {
    /// The low seven bits of the source port.
    pub(super) flow_hash: u8,
    /// Length of everything after the UDP header, in bytes.
    pub(super) len: usize,
    /// If the kernel cuts it into several datagrams: the payload length of each, in bytes.
    pub(super) segment_len: Option<u16>,
    /// The sum of the payload's 16-bit words, if this program completes the checksum.
    pub(super) sum: u64,
}

/// The headers of all datagrams to one address, built once.
#[derive(Debug, Clone)]
pub(super) struct WireHeader {
    bytes: [u8; MAX_HEADER_LEN],
    /// Whether the headers include virtio and Ethernet, for complete frames.
    is_frame: bool,
    is_ipv4: bool,
    /// Sum of the constant 16-bit words of the IPv4 header.
    ip_sum: u64,
    /// The same for the pseudo-header and the UDP header.
    udp_sum: u64,
}

impl WireHeader {
    /// The headers from `source` to `destination`, which have one IP version; for frames if there
    /// is a next hop.
    pub(super) fn new(source: IpAddr, destination: SocketAddr, next_hop: Option<NextHop>) -> Self {
        // The same headers as in a written capture; the caller adds everything after the UDP
        // header.
        let template = OuterTemplate::new(source, destination, VirtualNetworkId::MAX);
        let is_ipv4 = destination.is_ipv4();
        let mut header = Self {
            bytes: [0; MAX_HEADER_LEN],
            is_frame: next_hop.is_some(),
            is_ipv4,
            ip_sum: 0,
            udp_sum: 0,
        };
        put(&mut header.bytes, VNET_HEADER_LEN, template.headers_before_vxlan());
        if let Some(next_hop) = next_hop {
            put(&mut header.bytes, VNET_HEADER_LEN, &next_hop.destination.octets());
            put(&mut header.bytes, VNET_HEADER_LEN + 6, &next_hop.source.octets());
        }
        if is_ipv4 {
            // Do not fragment (RFC 791, section 3.1).
            put(&mut header.bytes, IP + 6, &[0x40, 0]);
            header.ip_sum = words(header.bytes.get(IP..IP + 20));
        }
        let addresses = if is_ipv4 { IP + 12..IP + 20 } else { IP + 8..IP + 40 };
        let udp = header.udp();
        header.udp_sum = words(header.bytes.get(addresses)) + 17;
        header.udp_sum += words(header.bytes.get(udp + 2..udp + 4));
        header
    }

    /// Whether [`Payload::sum`] is required: IPv6 requires a checksum (RFC 8200, section 8.1), and
    /// the kernel completes it for frames only.
    pub(super) const fn needs_payload_sum(&self) -> bool {
        !self.is_ipv4 && !self.is_frame
    }

    /// Writes the headers before a payload.
    #[inline]
    pub(super) fn write<'r>(
        &self,
        payload: &Payload,
        room: &'r mut [u8; MAX_HEADER_LEN],
    ) -> &'r [u8] {
        *room = self.bytes;
        let udp = self.udp();
        let udp_len = u16::try_from(UDP_LEN + payload.len).unwrap_or(u16::MAX);
        let port = FIRST_SOURCE_PORT + u16::from(payload.flow_hash & 0x7f);
        put(room, udp, &port.to_be_bytes());
        put(room, udp + 4, &udp_len.to_be_bytes());
        if self.is_ipv4 {
            let total_len = udp_len.saturating_add(20);
            let checksum = !fold(self.ip_sum + u64::from(total_len));
            put(room, IP + 2, &total_len.to_be_bytes());
            put(room, IP + 10, &checksum.to_be_bytes());
        } else {
            put(room, IP + 4, &udp_len.to_be_bytes());
        }
        self.put_checksum(payload, udp_len, room);
        room.get(if self.is_frame { 0 } else { IP }..udp + UDP_LEN).unwrap_or_default()
    }

    /// The kernel completes the checksum of messages that it cuts, and of frames over IPv6.
    fn put_checksum(&self, payload: &Payload, udp_len: u16, room: &mut [u8; MAX_HEADER_LEN]) {
        let udp = self.udp();
        if self.is_frame && (payload.segment_len.is_some() || !self.is_ipv4) {
            // The seed for the kernel: the sum of the pseudo-header.
            let destination_port = room.get(udp + 2..udp + 4);
            let pseudo = self.udp_sum + u64::from(!fold(words(destination_port)));
            let seed = fold(pseudo + u64::from(udp_len));
            put(room, udp + 6, &seed.to_be_bytes());
            let [start_low, start_high] =
                u16::try_from(udp - VNET_HEADER_LEN).unwrap_or_default().to_ne_bytes();
            let [offset_low, offset_high] = CHECKSUM_OFFSET.to_ne_bytes();
            let header_len = u16::try_from(udp + UDP_LEN - VNET_HEADER_LEN).unwrap_or_default();
            let [len_low, len_high] = header_len.to_ne_bytes();
            let [size_low, size_high] = payload.segment_len.unwrap_or_default().to_ne_bytes();
            let kind = if payload.segment_len.is_some() { GSO_UDP } else { 0 };
            let virtio = [
                NEEDS_CHECKSUM,
                kind,
                len_low,
                len_high,
                size_low,
                size_high,
                start_low,
                start_high,
                offset_low,
                offset_high,
            ];
            put(room, 0, &virtio);
        } else if !self.is_ipv4 {
            // The length is in the pseudo-header and in the UDP header.
            let port = FIRST_SOURCE_PORT + u16::from(payload.flow_hash & 0x7f);
            let sum = self.udp_sum + u64::from(port) + 2 * u64::from(udp_len) + payload.sum;
            let checksum = match !fold(sum) {
                0 => u16::MAX,
                checksum => checksum,
            };
            put(room, udp + 6, &checksum.to_be_bytes());
        }
    }

    /// Offset of the UDP header.
    const fn udp(&self) -> usize {
        IP + if self.is_ipv4 { 20 } else { 40 }
    }
}

/// Offset of the IP header.
const IP: usize = VNET_HEADER_LEN + ETHERNET_LEN;

#[inline]
fn put(room: &mut [u8; MAX_HEADER_LEN], at: usize, bytes: &[u8]) {
    if let Some(slot) = room.get_mut(at..at + bytes.len()) {
        slot.copy_from_slice(bytes);
    }
}

fn words(bytes: Option<&[u8]>) -> u64 {
    sum_of_words(bytes.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataplane::InnerBytes;

    const NEXT_HOP: NextHop = NextHop {
        device_index: 3,
        source: MacAddress::new([2, 0, 0, 0, 0, 1]),
        destination: MacAddress::new([2, 0, 0, 0, 0, 2]),
    };

    fn payload(len: usize) -> Payload {
        Payload { flow_hash: 0x25, len, segment_len: None, sum: 0 }
    }

    /// The headers equal those of a written capture, except DF and the IPv4 checksum.
    #[test]
    fn an_ipv4_frame_equals_the_written_capture_with_df_set() {
        let (source, destination) = ("172.31.0.238", "172.31.17.188:4789");
        let vni = VirtualNetworkId::new(7).unwrap();
        let template =
            OuterTemplate::new(source.parse().unwrap(), destination.parse().unwrap(), vni);
        let mut expected =
            template.outer_header(InnerBytes::from(&[0; 90][..]), 0x25, 0)[..42].to_vec();
        expected[20] = 0x40;
        let sum = u16::from_be_bytes([expected[24], expected[25]]) - 0x4000;
        expected[24..26].copy_from_slice(&sum.to_be_bytes());
        let header =
            WireHeader::new(source.parse().unwrap(), destination.parse().unwrap(), Some(NEXT_HOP));
        let mut room = [0; MAX_HEADER_LEN];
        let bytes = header.write(&payload(98), &mut room);
        assert_eq!(bytes[..10], [0; 10]);
        assert_eq!(bytes[10..], expected);
        let packet = WireHeader::new(source.parse().unwrap(), destination.parse().unwrap(), None);
        assert_eq!(packet.write(&payload(98), &mut room), &expected[14..]);
    }

    #[test]
    fn an_ipv6_packet_has_the_full_checksum_and_a_frame_the_partial_one() {
        let (source, destination) = ("2001:db8::5", "[2001:db8::10]:4789");
        let template = OuterTemplate::new(
            source.parse().unwrap(),
            destination.parse().unwrap(),
            VirtualNetworkId::new(7).unwrap(),
        );
        let inner: Vec<u8> = (0..=255).cycle().take(333).collect();
        let expected = template.outer_header(InnerBytes::from(&inner[..]), 9, 0);
        let after_udp = [&expected[62..], &inner[..]].concat();
        let mut properties = payload(after_udp.len());
        properties.flow_hash = 9;
        properties.sum = words(Some(&after_udp));
        let mut room = [0; MAX_HEADER_LEN];
        let new = |next_hop| {
            WireHeader::new(source.parse().unwrap(), destination.parse().unwrap(), next_hop)
        };
        let packet = new(None);
        assert!(packet.needs_payload_sum());
        assert_eq!(packet.write(&properties, &mut room), &expected[14..62]);
        let frame = new(Some(NEXT_HOP));
        let bytes = frame.write(&properties, &mut room).to_vec();
        assert!(!frame.needs_payload_sum());
        assert_eq!(
            bytes[..10],
            [
                &[1, 0],
                &62_u16.to_ne_bytes()[..],
                &[0, 0],
                &54_u16.to_ne_bytes(),
                &6_u16.to_ne_bytes()
            ]
            .concat()
        );
        // The kernel sums everything from the UDP header on, including the seed.
        let sum = words(Some(&bytes[64..])) + words(Some(&after_udp));
        assert_eq!(!fold(sum), u16::from_be_bytes([expected[60], expected[61]]));
    }

    #[test]
    fn a_run_for_gso_has_its_segment_length() {
        let header = WireHeader::new(
            "10.0.0.1".parse().unwrap(),
            "10.0.0.2:4789".parse().unwrap(),
            Some(NEXT_HOP),
        );
        let mut room = [0; MAX_HEADER_LEN];
        let run = Payload { segment_len: Some(72), ..payload(72 * 3 + 20) };
        let bytes = header.write(&run, &mut room);
        assert_eq!((bytes[0], bytes[1]), (NEEDS_CHECKSUM, GSO_UDP));
        assert_eq!(u16::from_ne_bytes([bytes[4], bytes[5]]), 72);
        assert_eq!(u16::from_ne_bytes([bytes[6], bytes[7]]), 34);
        assert_eq!(u16::from_be_bytes([bytes[26], bytes[27]]), 72 * 3 + 20 + 28);
    }
}
