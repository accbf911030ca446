//! Encapsulation: an outer header made once per session, of which each copy patches lengths,
//! checksum and source port.
//!
//! ```text
//!  0 Ethernet 14: 02:00:00:00:00:02 <- 02:00:00:00:00:01, EtherType    (capture files only)
//! 14 IPv4 20:  45 00 LEN 0000 0000 ff 11 SUM SRC DST     as real copies of AWS show it
//!    or IPv6 40:  60000000 LEN 11 ff SRC DST
//! 34 UDP 8:    65408+hash PORT LEN SUM                   SUM is 0 over IPv4, right over IPv6
//! 42 VXLAN 8:  08 00 00 00 VNI VNI VNI 00                RFC 7348, section 5
//! 50 the inner frame
//! ```

use std::net::{IpAddr, SocketAddr};

use super::copy::{
    ETHERNET_LEN, InnerBytes, MAX_OUTER_LEN, OuterHeader, UDP_VXLAN_LEN, VXLAN_OUTER_LEN,
};
use super::flow_hash::FIRST_SOURCE_PORT;
use super::geneve::{GeneveFlow, GeneveTemplate};
use crate::model::VirtualNetworkId;

const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
const UDP: u8 = 17;
/// "TTL 255 as received at the target".
const TTL: u8 = 255;

/// The longest inner frame that one outer IPv4 packet carries, in bytes.
pub const MAX_INNER_OVER_IPV4: u32 = 65_535 - 20 - 16;
/// The longest inner frame that one outer IPv6 packet carries, in bytes: 65,535 for the packet
/// with its header, so that both families have one limit.
pub const MAX_INNER_OVER_IPV6: u32 = 65_535 - 40 - 16;

/// The outer headers of a session.
#[derive(Debug, Clone)]
pub struct OuterTemplate {
    header: [u8; VXLAN_OUTER_LEN],
    is_ipv4: bool,
    /// What stands in front of that, for a Gateway Load Balancer endpoint.
    gateway: Option<Box<GeneveTemplate>>,
    /// Sum of the 16-bit words that do not change: of the IPv4 header, or of the IPv6
    /// pseudo-header with UDP and VXLAN header.
    fixed_sum: u32,
}

impl OuterTemplate {
    /// Headers from `source` to `target`, which are of one family; where they are not, the
    /// source is the unspecified address.
    #[must_use]
    pub fn new(source: IpAddr, target: SocketAddr, vni: VirtualNetworkId) -> Self {
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
        Self { header, is_ipv4, gateway: None, fixed_sum }
    }

    /// The same packets inside of GENEVE, which goes from `source` to `gateway`.
    #[must_use]
    pub(super) fn in_geneve(self, gateway: GeneveTemplate) -> Self {
        Self { gateway: Some(Box::new(gateway)), ..self }
    }

    /// Ethernet, IP and UDP header, lengths and source port still zero.
    pub(crate) fn headers_before_vxlan(&self) -> &[u8] {
        self.header.get(..self.vxlan_len() - 8).unwrap_or_default()
    }

    /// Whether copies are in GENEVE.
    #[must_use]
    pub(super) const fn is_in_geneve(&self) -> bool {
        self.gateway.is_some()
    }

    /// 50 bytes over IPv4, 70 over IPv6; in GENEVE 118 and 158.
    #[must_use]
    pub fn len(&self) -> usize {
        self.vxlan_len() + self.gateway.as_ref().map_or(0, |gateway| gateway.len())
    }

    const fn vxlan_len(&self) -> usize {
        let ip_len = if self.is_ipv4 { IPV4_LEN } else { IPV6_LEN };
        ETHERNET_LEN + ip_len + UDP_VXLAN_LEN
    }

    /// Never: a header has bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The longest inner frame that one outer packet carries, with and without an MTU.
    #[must_use]
    pub fn max_inner_len(&self, mtu: Option<u16>) -> u32 {
        let (most, ip_len) =
            if self.is_ipv4 { (MAX_INNER_OVER_IPV4, 36) } else { (MAX_INNER_OVER_IPV6, 56) };
        let front_len = self.gateway.as_ref().map_or(0, |gateway| gateway.len());
        let front_len = u32::try_from(front_len).unwrap_or(u32::MAX);
        let most = most.saturating_sub(front_len);
        mtu.map_or(most, |mtu| u32::from(mtu).saturating_sub(ip_len + front_len).min(most))
    }

    /// The headers in front of `inner`, which is no longer than [`Self::max_inner_len`], for a
    /// flow of which these are 7 and 16 bits.
    #[inline]
    #[must_use]
    pub fn outer_header(&self, inner: InnerBytes<'_>, flow_hash: u8, flow_tag: u16) -> OuterHeader {
        let mut bytes = [0; MAX_OUTER_LEN];
        let len = self.write_outer_header(inner, (flow_hash, flow_tag), &mut bytes);
        OuterHeader { bytes, len }
    }

    /// The same, put where it is wanted; says how long it is.
    #[inline(always)]
    pub fn write_outer_header(
        &self,
        inner: InnerBytes<'_>,
        (flow_hash, flow_tag): (u8, u16),
        place: &mut [u8; MAX_OUTER_LEN],
    ) -> usize {
        // No closure: it would be called, not inlined, twice as dear.
        let Some(head) = place.first_chunk_mut() else { return 0 };
        let len = self.write_vxlan_header(inner, flow_hash, head);
        match &self.gateway {
            None => len,
            Some(gateway) => self.write_geneve_header(gateway, inner, (flow_hash, flow_tag), place),
        }
    }

    /// GENEVE around what is in place already.
    #[cold]
    #[inline(never)]
    fn write_geneve_header(
        &self,
        gateway: &GeneveTemplate,
        inner: InnerBytes<'_>,
        (flow_hash, flow_tag): (u8, u16),
        place: &mut [u8; MAX_OUTER_LEN],
    ) -> usize {
        let vxlan = *place;
        let packet = vxlan.get(ETHERNET_LEN..self.vxlan_len()).unwrap_or_default();
        let flow_hash = flow_hash & 0x7f;
        let source_port = FIRST_SOURCE_PORT + u16::from(flow_hash);
        let cookie = u32::from(flow_hash) << 16 | u32::from(flow_tag);
        gateway.write(packet, inner, GeneveFlow { source_port, cookie }, place)
    }

    /// Ethernet, IP, UDP and VXLAN header.
    #[inline(always)]
    fn write_vxlan_header(
        &self,
        inner: InnerBytes<'_>,
        flow_hash: u8,
        header: &mut [u8; VXLAN_OUTER_LEN],
    ) -> usize {
        *header = self.header;
        let port = FIRST_SOURCE_PORT + u16::from(flow_hash & 0x7f);
        let udp_len = u16::try_from(inner.len() + UDP_VXLAN_LEN).unwrap_or(u16::MAX);
        if self.is_ipv4 {
            let total_len = u16::try_from(inner.len() + 36).unwrap_or(u16::MAX);
            let checksum = !fold(u64::from(self.fixed_sum) + u64::from(total_len));
            header[16..18].copy_from_slice(&total_len.to_be_bytes());
            header[24..26].copy_from_slice(&checksum.to_be_bytes());
            header[34..36].copy_from_slice(&port.to_be_bytes());
            header[38..40].copy_from_slice(&udp_len.to_be_bytes());
        } else {
            // The length stands in the pseudo-header and in the UDP header.
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
        self.vxlan_len()
    }

    /// The VXLAN header alone, which is the same for all copies of a session.
    #[inline]
    #[must_use]
    pub fn vxlan_header(&self) -> [u8; 8] {
        let header = if self.is_ipv4 { &self.header[..50] } else { &self.header[..] };
        header.last_chunk().copied().unwrap_or_default()
    }
}

fn fixed_sum(header: &[u8; VXLAN_OUTER_LEN], is_ipv4: bool) -> u32 {
    let fixed = if is_ipv4 {
        sum_of_words(&header[14..34])
    } else {
        // Addresses, UDP header and VXLAN header stand in a row; lengths and port are still zero.
        sum_of_words(&header[22..70]) + u64::from(UDP)
    };
    u32::from(fold(fixed))
}

/// A second piece that begins at an odd place has its words the other way round (RFC 1071,
/// section 2 (B)).
#[inline]
pub(crate) fn sum_of_pieces(inner: InnerBytes<'_>) -> u64 {
    let head = sum_of_words(inner.head);
    if inner.tail.is_empty() {
        return head;
    }
    let tail = fold(sum_of_words(inner.tail));
    let is_odd = inner.head.len() % 2 == 1;
    head + u64::from(if is_odd { tail.swap_bytes() } else { tail })
}

/// Sum of big-endian 16-bit words, the last one filled up with a zero byte (RFC 1071), folded
/// so far that it can be added to others.
#[inline]
pub(crate) fn sum_of_words(bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(4);
    let mut sum = 0_u64;
    for chunk in &mut chunks {
        sum += u64::from(u32::from_ne_bytes(chunk.try_into().unwrap_or_default()));
    }
    let mut last = [0; 4];
    for (place, byte) in last.iter_mut().zip(chunks.remainder()) {
        *place = *byte;
    }
    sum += u64::from(u32::from_ne_bytes(last));
    // Byte order does not matter to the sum but for a swap at its end (RFC 1071, section 2 (B)).
    u64::from(u16::from_be_bytes(fold(sum).to_ne_bytes()))
}

#[inline]
pub(crate) fn fold(mut sum: u64) -> u16 {
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    u16::try_from(sum & 0xffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ipv4_header_matches_a_capture_of_aws() {
        // Outer IP, UDP and VXLAN of the first packet of a real capture of AWS Traffic Mirroring.
        let golden = "4500007e00000000ff115086ac1f00eeac1f11bcffa512b5006a00000800000054fa1100";
        let template = OuterTemplate::new(
            "172.31.0.238".parse().unwrap(),
            "172.31.17.188:4789".parse().unwrap(),
            VirtualNetworkId::new(5_569_041).unwrap(),
        );
        let header = template.outer_header(InnerBytes::from(&[0; 90][..]), 0x25, 0);
        let hex: String = header[14..50].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, golden);
        assert_eq!(header[..14], [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
    }

    #[test]
    fn the_ipv6_udp_checksum_is_correct_for_every_length() {
        let (source, target) = ("2001:db8::5", "[2001:db8::10]:4789");
        let vni = VirtualNetworkId::new(7).unwrap();
        let template = OuterTemplate::new(source.parse().unwrap(), target.parse().unwrap(), vni);
        let payload: Vec<u8> = (0..=255).cycle().take(700).collect();
        for len in 0..payload.len() {
            let inner = &payload[..len];
            let header = template.outer_header(InnerBytes::from(inner), 3, 0);
            let (head, tail) = inner.split_at(len / 3);
            assert_eq!(template.outer_header(InnerBytes { head, tail }, 3, 0), header);
            // Pseudo-header: addresses, length, next header; then all of UDP.
            let mut summed = header[22..70].to_vec();
            summed.extend(inner);
            let mut sum = 17 + u32::from(u16::from_be_bytes([header[58], header[59]]));
            for word in summed.chunks(2) {
                sum += u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0));
            }
            while sum > 0xffff {
                sum = (sum & 0xffff) + (sum >> 16);
            }
            assert_eq!(sum, 0xffff, "length {len}");
            assert_ne!(header[60..62], [0, 0]);
        }
    }

    #[test]
    fn the_mtu_limits_the_outer_ip_packet() {
        let vni = VirtualNetworkId::new(7).unwrap();
        let v4 = OuterTemplate::new([10, 0, 0, 1].into(), ([10, 0, 0, 2], 4789).into(), vni);
        assert_eq!(v4.max_inner_len(Some(1500)), 1464);
        assert_eq!(v4.max_inner_len(None), 65_499);
        let v6 = OuterTemplate::new([1; 16].into(), ([2; 16], 4789).into(), vni);
        assert_eq!(v6.max_inner_len(Some(1500)), 1444);
        assert_eq!(v6.max_inner_len(None), 65_479);
    }
}
