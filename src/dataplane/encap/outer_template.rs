//! The outer headers of a session: VXLAN, and GENEVE around it for a Gateway Load Balancer
//! endpoint.

use std::net::{IpAddr, SocketAddr};

use super::geneve::{GeneveFlow, GeneveTemplate};
use super::inner_bytes::InnerBytes;
use super::outer_header::{ETHERNET_LEN, MAX_OUTER_LEN, OuterHeader};
use super::vxlan::VxlanTemplate;
use crate::dataplane::flow_hash::FIRST_SOURCE_PORT;
use crate::model::VirtualNetworkId;

/// The longest inner frame that one outer IPv4 packet carries, in bytes.
pub const MAX_INNER_OVER_IPV4: u32 = 65_535 - 20 - 16;
/// The longest inner frame that one outer IPv6 packet carries, in bytes. The packet with its header
/// has at most 65,535 bytes, as over IPv4, so that both families have one limit.
pub const MAX_INNER_OVER_IPV6: u32 = 65_535 - 40 - 16;

/// The outer headers of a session.
#[derive(Debug, Clone)]
pub struct OuterTemplate {
    vxlan: VxlanTemplate,
    /// The headers in front of `vxlan`, for a Gateway Load Balancer endpoint.
    gateway: Option<Box<GeneveTemplate>>,
}

impl OuterTemplate {
    /// Headers from `source` to `target`, which must be of one address family; if they are not,
    /// the source is the unspecified address.
    #[must_use]
    pub fn new(source: IpAddr, target: SocketAddr, vni: VirtualNetworkId) -> Self {
        Self { vxlan: VxlanTemplate::new(source, target, vni), gateway: None }
    }

    /// The same headers, encapsulated in GENEVE.
    #[must_use]
    pub(super) fn in_geneve(self, gateway: GeneveTemplate) -> Self {
        Self { gateway: Some(Box::new(gateway)), ..self }
    }

    /// The Ethernet, IP and UDP headers; lengths and source port are zero.
    #[cfg(feature = "live")]
    pub(crate) fn headers_before_vxlan(&self) -> &[u8] {
        self.vxlan.headers_before_vxlan()
    }

    /// Whether copies are encapsulated in GENEVE.
    #[must_use]
    pub(in crate::dataplane) const fn is_in_geneve(&self) -> bool {
        self.gateway.is_some()
    }

    /// Length in bytes: 50 over IPv4, 70 over IPv6; with GENEVE 118 and 158.
    #[must_use]
    pub fn len(&self) -> usize {
        self.vxlan.len() + self.gateway.as_ref().map_or(0, |gateway| gateway.len())
    }

    /// Always false: a header has bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The longest inner frame in bytes that one outer packet carries, within `mtu` bytes if given.
    #[must_use]
    pub fn max_inner_len(&self, mtu: Option<u16>) -> u32 {
        let (most, ip_len) = if self.vxlan.is_ipv4() {
            (MAX_INNER_OVER_IPV4, 36)
        } else {
            (MAX_INNER_OVER_IPV6, 56)
        };
        let front_len = self.gateway.as_ref().map_or(0, |gateway| gateway.len());
        let front_len = u32::try_from(front_len).unwrap_or(u32::MAX);
        let most = most.saturating_sub(front_len);
        mtu.map_or(most, |mtu| u32::from(mtu).saturating_sub(ip_len + front_len).min(most))
    }

    /// The headers before `inner`, whose length must be at most [`Self::max_inner_len`].
    /// `flow_hash` has 7 bits of the flow's hash, `flow_tag` 16 more.
    #[inline]
    #[must_use]
    pub fn outer_header(&self, inner: InnerBytes<'_>, flow_hash: u8, flow_tag: u16) -> OuterHeader {
        let mut bytes = [0; MAX_OUTER_LEN];
        let len = self.write_outer_header(inner, (flow_hash, flow_tag), &mut bytes);
        OuterHeader { bytes, len }
    }

    /// Writes the same headers to the start of `place` and returns their length in bytes.
    #[inline(always)]
    pub fn write_outer_header(
        &self,
        inner: InnerBytes<'_>,
        (flow_hash, flow_tag): (u8, u16),
        place: &mut [u8; MAX_OUTER_LEN],
    ) -> usize {
        // A closure here is not inlined and makes the function twice as slow.
        let Some(head) = place.first_chunk_mut() else { return 0 };
        let len = self.vxlan.write(inner, flow_hash, head);
        match &self.gateway {
            None => len,
            Some(gateway) => self.write_geneve_header(gateway, inner, (flow_hash, flow_tag), place),
        }
    }

    /// Writes the GENEVE headers around the VXLAN headers that are already in `place`.
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
        let packet = vxlan.get(ETHERNET_LEN..self.vxlan.len()).unwrap_or_default();
        let flow_hash = flow_hash & 0x7f;
        let source_port = FIRST_SOURCE_PORT + u16::from(flow_hash);
        let cookie = u32::from(flow_hash) << 16 | u32::from(flow_tag);
        gateway.write(packet, inner, GeneveFlow { source_port, cookie }, place)
    }

    /// The VXLAN header alone; it is the same for all copies of a session.
    #[inline]
    #[must_use]
    pub fn vxlan_header(&self) -> [u8; 8] {
        self.vxlan.vxlan_header()
    }
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
