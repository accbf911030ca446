//! The VXLAN template: the outer headers of a session, built once. For each copy the lengths, the
//! checksum and the source port are written into a copy of the template.
//!
//! ```text
//!  0 Ethernet 14: 02:00:00:00:00:02 <- 02:00:00:00:00:01, EtherType    (capture files only)
//! 14 IPv4 20:  45 00 LEN 0000 0000 ff 11 SUM SRC DST     as in real copies of AWS
//!    or IPv6 40:  60000000 LEN 11 ff SRC DST
//! 34 UDP 8:    65408+hash PORT LEN SUM                   SUM is 0 over IPv4, computed over IPv6
//! 42 VXLAN 8:  08 00 00 00 VNI VNI VNI 00                RFC 7348, section 5
//! 50 the inner frame
//! ```

use std::net::{IpAddr, SocketAddr};

use super::checksum::{fold, sum_of_pieces, sum_of_words};
use super::inner_bytes::InnerBytes;
use super::outer_header::{ETHERNET_LEN, UDP_VXLAN_LEN, VXLAN_OUTER_LEN};
use crate::dataplane::flow_hash::FIRST_SOURCE_PORT;
use crate::model::VirtualNetworkId;

const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
const UDP: u8 = 17;
/// "TTL 255 as received at the target".
const TTL: u8 = 255;

/// The Ethernet, IP, UDP and VXLAN headers of a session.
#[derive(Debug, Clone)]
pub(super) struct VxlanTemplate {
    header: [u8; VXLAN_OUTER_LEN],
    is_ipv4: bool,
    /// Sum of the 16-bit words that do not change: those of the IPv4 header, or those of the IPv6
    /// pseudo-header, the UDP header and the VXLAN header.
    fixed_sum: u32,
}

impl VxlanTemplate {
    /// Headers from `source` to `target`, which must be of one address family; if they are not,
    /// the source is the unspecified address.
    pub(super) fn new(source: IpAddr, target: SocketAddr, vni: VirtualNetworkId) -> Self {
        let is_ipv4 = target.is_ipv4();
        let mut header = [0; VXLAN_OUTER_LEN];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            if let Some(place) = header.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
            at += bytes.len();
        };
        put(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
        match target.ip() {
            IpAddr::V4(destination) => {
                put(&[0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0, 0, TTL, UDP, 0, 0]);
                put(&if let IpAddr::V4(source) = source { source.octets() } else { [0; 4] });
                put(&destination.octets());
            }
            IpAddr::V6(destination) => {
                put(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, UDP, TTL]);
                put(&if let IpAddr::V6(source) = source { source.octets() } else { [0; 16] });
                put(&destination.octets());
            }
        }
        put(&[0, 0]);
        put(&target.port().to_be_bytes());
        put(&[0, 0, 0, 0]);
        let [_, vni @ ..] = vni.value().to_be_bytes();
        put(&[0x08, 0, 0, 0]);
        put(&vni);
        put(&[0]);
        let fixed_sum = fixed_sum(&header, is_ipv4);
        Self { header, is_ipv4, fixed_sum }
    }

    /// The Ethernet, IP and UDP headers; lengths and source port are zero.
    pub(super) fn headers_before_vxlan(&self) -> &[u8] {
        self.header.get(..self.len() - 8).unwrap_or_default()
    }

    /// 50 bytes over IPv4, 70 bytes over IPv6.
    pub(super) const fn len(&self) -> usize {
        let ip_len = if self.is_ipv4 { IPV4_LEN } else { IPV6_LEN };
        ETHERNET_LEN + ip_len + UDP_VXLAN_LEN
    }

    /// Whether the outer addresses are IPv4 addresses.
    pub(super) const fn is_ipv4(&self) -> bool {
        self.is_ipv4
    }

    /// Writes the Ethernet, IP, UDP and VXLAN headers of a copy, and returns their length in bytes.
    #[inline(always)]
    pub(super) fn write(
        &self,
        inner: InnerBytes<'_>,
        flow_hash: u8,
        header: &mut [u8; VXLAN_OUTER_LEN],
    ) -> usize {
        *header = self.header;
        let port = FIRST_SOURCE_PORT + u16::from(flow_hash & 0x7f);
        // The inner frame is truncated to what fits into one packet, so the length has 16 bits.
        let [low, high, ..] = (inner.len() + UDP_VXLAN_LEN).to_le_bytes();
        let udp_len = u16::from_le_bytes([low, high]);
        if self.is_ipv4 {
            let total_len = udp_len.wrapping_add(20);
            // The sum of two 16-bit numbers has at most one carry.
            let sum = self.fixed_sum + u32::from(total_len);
            let [a, b, ..] = ((sum & 0xffff) + (sum >> 16)).to_le_bytes();
            let checksum = !u16::from_le_bytes([a, b]);
            header[16..18].copy_from_slice(&total_len.to_be_bytes());
            header[24..26].copy_from_slice(&checksum.to_be_bytes());
            header[34..36].copy_from_slice(&port.to_be_bytes());
            header[38..40].copy_from_slice(&udp_len.to_be_bytes());
        } else {
            // The length is in the pseudo-header and in the UDP header.
            let sum = u64::from(self.fixed_sum)
                + u64::from(port)
                + 2 * u64::from(udp_len)
                + sum_of_pieces(inner);
            // "If the computed checksum is zero, it is transmitted as all ones" (RFC 768).
            let checksum = match !fold(sum) {
                0 => u16::MAX,
                checksum => checksum,
            };
            header[18..20].copy_from_slice(&udp_len.to_be_bytes());
            header[54..56].copy_from_slice(&port.to_be_bytes());
            header[58..60].copy_from_slice(&udp_len.to_be_bytes());
            header[60..62].copy_from_slice(&checksum.to_be_bytes());
        }
        self.len()
    }

    /// The VXLAN header alone; it is the same for all copies of a session.
    #[inline]
    pub(super) fn vxlan_header(&self) -> [u8; 8] {
        let header = if self.is_ipv4 { &self.header[..50] } else { &self.header[..] };
        header.last_chunk().copied().unwrap_or_default()
    }
}

/// The sum of the words of the header that do not change.
fn fixed_sum(header: &[u8; VXLAN_OUTER_LEN], is_ipv4: bool) -> u32 {
    let fixed = if is_ipv4 {
        sum_of_words(&header[14..34])
    } else {
        // The addresses, the UDP header and the VXLAN header are adjacent; lengths and port are
        // zero.
        sum_of_words(&header[22..70]) + u64::from(UDP)
    };
    u32::from(fold(fixed))
}
