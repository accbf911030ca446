//! The paths of a table: from each session to each address of its target.

use std::net::{IpAddr, SocketAddr};

use super::context::{HeaderKind, PathEntry};
use super::fit::MIN_PACKET_LENGTH;
use super::fixed_sums::take_fixed_sums;
use crate::dataplane::encap::{InnerBytes, OuterTemplate};
use crate::dataplane::endpoints::DropCause;
use crate::dataplane::index::{SessionIndex, TargetIndex};
use crate::model::MacAddress;

/// A path from a session to an address of its target.
#[derive(Debug, Clone)]
pub struct KernelPath {
    /// The session.
    pub session: SessionIndex,
    /// The target.
    pub target: TargetIndex,
    /// The source address that the session requests.
    pub source: IpAddr,
    /// The address of the target; `None` if it is unknown, so that all copies are dropped.
    pub destination: Option<SocketAddr>,
    pub(super) template: OuterTemplate,
    /// The smallest of PacketLength, the MTU of the target and the longest UDP datagram, in bytes.
    pub(super) max_inner_len: u32,
    /// PacketLength alone, in bytes.
    pub(super) packet_length: u32,
}

/// How frames leave to the address of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathRoute {
    /// The index of the egress device.
    pub device_index: u32,
    /// The Ethernet address of the egress device.
    pub source_mac: MacAddress,
    /// The Ethernet address of the next hop.
    pub next_hop_mac: MacAddress,
    /// The source address of the outer packets.
    pub source: IpAddr,
    /// The longest outer IP packet, in bytes.
    pub mtu: usize,
}

impl KernelPath {
    /// The entry of a path without a route: copies are dropped with this cause.
    #[must_use]
    pub fn unusable(&self, cause: DropCause) -> PathEntry {
        PathEntry { state: Some(cause), ..self.entry_with(Vec::new()) }
    }

    /// The entry of a path with a route.
    #[must_use]
    pub fn usable(&self, route: &PathRoute) -> PathEntry {
        let mut header = self.template.outer_header(InnerBytes::from(&[][..]), 0, 0).to_vec();
        let macs = [route.next_hop_mac.octets(), route.source_mac.octets()];
        let octets = macs.iter().flatten();
        header.iter_mut().zip(octets).for_each(|(place, octet)| *place = *octet);
        // The route selects the source address if the session's is not one of this host.
        let (start, source) = match route.source {
            IpAddr::V4(source) => (26, source.octets().to_vec()),
            IpAddr::V6(source) => (22, source.octets().to_vec()),
        };
        let places = header.iter_mut().skip(start);
        places.zip(source).for_each(|(place, octet)| *place = octet);
        let mtu = u16::try_from(route.mtu).unwrap_or(u16::MAX);
        let max_inner_len = self.template.max_inner_len(Some(mtu)).min(self.max_inner_len);
        // The kernel would refuse to truncate inside the headers of a frame.
        let is_short = usize::try_from(max_inner_len).is_ok_and(|len| len < MIN_PACKET_LENGTH);
        PathEntry {
            state: is_short.then_some(DropCause::MessageTooLong),
            device_index: route.device_index,
            max_inner_len,
            ..self.entry_with(header)
        }
    }

    /// The headers of copies on this path.
    #[cfg(test)]
    pub(crate) const fn template(&self) -> &OuterTemplate {
        &self.template
    }

    fn entry_with(&self, mut header: Vec<u8>) -> PathEntry {
        let is_ipv4 = self.destination.is_none_or(|destination| destination.is_ipv4());
        let kind = match (is_ipv4, self.template.is_in_geneve()) {
            (true, false) => HeaderKind::VxlanOverIpv4,
            (false, false) => HeaderKind::VxlanOverIpv6,
            (true, true) => HeaderKind::GeneveOverIpv4,
            (false, true) => HeaderKind::GeneveOverIpv6,
        };
        let fixed_sum = take_fixed_sums(kind, &mut header);
        PathEntry {
            state: None,
            device_index: 0,
            max_inner_len: self.max_inner_len,
            packet_length: self.packet_length,
            kind,
            fixed_sum,
            header,
        }
    }
}
