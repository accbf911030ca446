//! GENEVE around VXLAN: the headers that the appliance behind a Gateway Load Balancer endpoint
//! receives.
//!
//! ```text
//!  0 Ethernet 14                                          (capture files only)
//! 14 IPv4 20 or IPv6 40, UDP 8: interface -> target, port 6081
//! 42 GENEVE 8:   08 00 PROTOCOL 000000 00                 RFC 8926, section 3.4: eight words of
//!                                                         options, VNI 0, 0x0800 or 0x86DD
//! 50 options 32: 0108 01 02 the endpoint's id             8 bytes
//!                0108 02 02 the attachment's id           8 bytes
//!                0108 03 01 the flow's cookie             4 bytes
//! 82 IPv4 20 or IPv6 40, UDP 8, VXLAN 8: interface -> target, port 4789; the inner frame
//! ```
//!
//! The class, types and lengths of the options are those that AWS's own decoder expects. Their
//! values are chosen here: the hex digits of the endpoint's id, a hash of the interface's id, and
//! 23 bits of the flow's hash, which is the same for both directions.

use std::net::{IpAddr, SocketAddr};

use super::checksum::{fold, sum_of_pieces, sum_of_words};
use super::inner_bytes::InnerBytes;
use super::outer_header::{ETHERNET_LEN, MAX_OUTER_LEN};
use super::vxlan::VxlanTemplate;
use crate::model::VirtualNetworkId;

const UDP: u64 = 17;
const GENEVE_LEN: usize = 40;
/// Length in bytes of the Ethernet, IPv6, UDP and GENEVE headers.
const MAX_HEADER_LEN: usize = ETHERNET_LEN + 40 + 8 + GENEVE_LEN;

/// The headers before the VXLAN packets of a session.
#[derive(Debug, Clone)]
pub(super) struct GeneveTemplate {
    header: [u8; MAX_HEADER_LEN],
    len: usize,
    is_ipv4: bool,
}

/// The header fields that depend on the flow.
#[derive(Debug, Clone, Copy)]
pub(super) struct GeneveFlow {
    pub(super) source_port: u16,
    pub(super) cookie: u32,
}

impl GeneveTemplate {
    /// Headers from `source` to `target`, with the ids of the endpoint and of the attachment.
    pub(super) fn new(source: IpAddr, target: SocketAddr, endpoint: u64, attachment: u64) -> Self {
        let is_ipv4 = target.is_ipv4();
        let below = VxlanTemplate::new(source, target, VirtualNetworkId::MAX);
        let protocol: [u8; 2] = if is_ipv4 { [0x08, 0x00] } else { [0x86, 0xdd] };
        let mut bytes = below.headers_before_vxlan().to_vec();
        bytes.extend([8, 0]);
        bytes.extend(protocol);
        bytes.extend([0; 4]);
        bytes.extend([0x01, 0x08, 1, 2]);
        bytes.extend(endpoint.to_be_bytes());
        bytes.extend([0x01, 0x08, 2, 2]);
        bytes.extend(attachment.to_be_bytes());
        bytes.extend([0x01, 0x08, 3, 1, 0, 0, 0, 0]);
        let mut header = [0; MAX_HEADER_LEN];
        header.iter_mut().zip(&bytes).for_each(|(place, byte)| *place = *byte);
        Self { header, len: bytes.len(), is_ipv4 }
    }

    /// Bytes that these headers add to a copy.
    pub(super) const fn len(&self) -> usize {
        self.len - ETHERNET_LEN
    }

    /// Writes all headers of a copy to `place` and returns their length in bytes. `packet` has the
    /// inner IP, UDP and VXLAN headers.
    #[cold]
    pub(super) fn write(
        &self,
        packet: &[u8],
        inner: InnerBytes<'_>,
        mark: GeneveFlow,
        place: &mut [u8; MAX_OUTER_LEN],
    ) -> usize {
        let cookie = mark.cookie.to_be_bytes();
        let before_cookie = self.len.saturating_sub(cookie.len());
        let bytes = self.header.iter().take(before_cookie).chain(&cookie).chain(packet);
        place.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        let len = self.len + packet.len();
        let udp_len = 8 + GENEVE_LEN + packet.len() + inner.len();
        let udp_len = u16::try_from(udp_len).unwrap_or(u16::MAX);
        let port = mark.source_port.to_be_bytes();
        if self.is_ipv4 {
            place[16..18].copy_from_slice(&(20 + udp_len).to_be_bytes());
            place[34..36].copy_from_slice(&port);
            place[38..40].copy_from_slice(&udp_len.to_be_bytes());
            let checksum = !fold(sum_of_words(&place[14..34]));
            place[24..26].copy_from_slice(&checksum.to_be_bytes());
            return len;
        }
        place[18..20].copy_from_slice(&udp_len.to_be_bytes());
        place[54..56].copy_from_slice(&port);
        place[58..60].copy_from_slice(&udp_len.to_be_bytes());
        let summed = sum_of_words(place.get(22..len).unwrap_or_default());
        let sum = summed + UDP + u64::from(udp_len) + sum_of_pieces(inner);
        // "If the computed checksum is zero, it is transmitted as all ones" (RFC 768).
        let checksum = Some(!fold(sum)).filter(|sum| *sum != 0).unwrap_or(u16::MAX);
        place[60..62].copy_from_slice(&checksum.to_be_bytes());
        len
    }
}

/// The attachment id of the mirrored network interface: a hash of the interface's id.
pub(super) fn attachment_id(interface: &str) -> u64 {
    let fold = |word: u64, byte: u8| (word ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    // FNV-1a with 64 bits (draft-eastlake-fnv): the same in every version of this program.
    interface.bytes().fold(0xcbf2_9ce4_8422_2325, fold)
}
