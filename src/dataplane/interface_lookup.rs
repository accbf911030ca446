//! Finds the interfaces to which a frame belongs by its addresses, and its direction at each.
//!
//! An interface owns a frame if it has one of the frame's MAC or IP addresses. If a table has only
//! one interface and this has no addresses, it owns every frame.

use std::net::IpAddr;

use super::flow_key::FlowKey;
use super::frame::Frame;
use super::index::InterfaceIndex;
use crate::model::{Direction, NetworkInterface};

/// The index of an interface, and the direction of a frame at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameOwner {
    pub(super) interface: InterfaceIndex,
    pub(super) direction: Direction,
}

/// Finds interfaces by MAC address, then by IP address.
#[derive(Debug, Default)]
pub(super) struct InterfaceLookup {
    /// Whether the only interface has no MAC and IP addresses, so that it owns every frame.
    takes_all: bool,
    /// Whether there is one interface.
    is_single: bool,
    /// Sorted by address, as the two below. A MAC address is in the low 48 bits.
    by_mac: Vec<(u64, InterfaceIndex)>,
    /// An IPv4 address is in the high 32 bits, as in the first four bytes of a flow key's half.
    by_ipv4: Vec<(u128, InterfaceIndex)>,
    by_ipv6: Vec<(u128, InterfaceIndex)>,
}

impl InterfaceLookup {
    pub(super) fn new<'a>(interfaces: impl Iterator<Item = &'a NetworkInterface>) -> Self {
        let mut these = Self::default();
        let mut count = 0;
        for (index, interface) in InterfaceIndex::enumerate(interfaces) {
            count += 1;
            these.by_mac.extend(interface.mac_address.map(|mac| {
                let [a, b, c, d, e, f] = mac.octets();
                (u64::from_be_bytes([0, 0, a, b, c, d, e, f]), index)
            }));
            for address in &interface.private_ip_addresses {
                match address {
                    IpAddr::V4(v4) => these.by_ipv4.push((u128::from(v4.to_bits()) << 96, index)),
                    IpAddr::V6(v6) => these.by_ipv6.push((v6.to_bits(), index)),
                }
            }
        }
        let nameless =
            these.by_mac.is_empty() && these.by_ipv4.is_empty() && these.by_ipv6.is_empty();
        these.is_single = count == 1;
        these.takes_all = nameless && these.is_single;
        these.by_mac.sort_unstable();
        these.by_ipv4.sort_unstable();
        these.by_ipv6.sort_unstable();
        these
    }

    /// An upper bound of the number of interfaces that own one frame: those with its two MAC
    /// addresses and its two IP addresses.
    pub(super) fn max_owners(&self) -> usize {
        2 * (widest(&self.by_mac) + widest(&self.by_ipv4).max(widest(&self.by_ipv6))).max(1)
    }

    /// Whether one interface owns every frame.
    #[inline]
    pub(super) const fn has_one_owner(&self) -> bool {
        self.takes_all
    }

    /// The owner of a frame if one interface owns every frame.
    #[inline]
    pub(super) fn single_owner(frame: &Frame<'_>) -> FrameOwner {
        let direction = frame.direction.unwrap_or(Direction::Ingress);
        FrameOwner { interface: InterfaceIndex::FIRST, direction }
    }

    /// Whether there is one interface, so that every owner is this one.
    #[inline]
    pub(super) const fn is_single(&self) -> bool {
        self.is_single
    }

    /// The direction of a plain frame at the only interface, which must have addresses; `None` if
    /// the interface does not own the frame. It is the direction that [`owners`](Self::owners)
    /// finds, but is computed without a flow key. The result for a frame that is not plain is
    /// meaningless.
    #[inline(always)]
    pub(super) fn direction_of_plain(&self, frame: &Frame<'_>) -> Option<Direction> {
        let ends = |source, destination| match (source, destination) {
            (true, _) => Some(Direction::Egress),
            (false, true) => Some(Direction::Ingress),
            (false, false) => None,
        };
        let by_mac = || {
            let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5] = *frame.bytes.first_chunk()?;
            let source = u64::from_be_bytes([0, 0, s0, s1, s2, s3, s4, s5]);
            let destination = u64::from_be_bytes([0, 0, d0, d1, d2, d3, d4, d5]);
            ends(has(&self.by_mac, source), has(&self.by_mac, destination))
        };
        if let Some(direction) = by_mac().filter(|_| !self.by_mac.is_empty()) {
            return Some(direction);
        }
        // The first byte of the IP header contains the version.
        if frame.bytes.get(14)? >> 4 == 4 {
            let [a, b, c, d, e, f, g, h] = *frame.bytes.get(26..)?.first_chunk()?;
            let wide = |bytes| u128::from(u32::from_be_bytes(bytes)) << 96;
            let (source, destination) = (wide([a, b, c, d]), wide([e, f, g, h]));
            return ends(has(&self.by_ipv4, source), has(&self.by_ipv4, destination));
        }
        let source = u128::from_be_bytes(*frame.bytes.get(22..)?.first_chunk()?);
        let destination = u128::from_be_bytes(*frame.bytes.get(38..)?.first_chunk()?);
        ends(has(&self.by_ipv6, source), has(&self.by_ipv6, destination))
    }

    /// Writes the interfaces that own the frame to `owners`, in their order. "MAC, then IP address,
    /// then pcapng flags decide, and what none of them decides is ingress": flags count only at an
    /// interface without addresses, because it alone owns frames with other addresses. A frame
    /// whose source and destination both belong to an interface is egress. `key` is `None` if the
    /// frame has no valid IP header.
    #[inline]
    pub(super) fn owners(
        &self,
        frame: &Frame<'_>,
        key: Option<&FlowKey>,
        owners: &mut Vec<FrameOwner>,
    ) {
        owners.clear();
        if self.takes_all {
            return owners.push(Self::single_owner(frame));
        }
        if let Some([d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5]) = frame.bytes.first_chunk() {
            let source = u64::from_be_bytes([0, 0, *s0, *s1, *s2, *s3, *s4, *s5]);
            let destination = u64::from_be_bytes([0, 0, *d0, *d1, *d2, *d3, *d4, *d5]);
            add(&self.by_mac, source, Direction::Egress, owners);
            add(&self.by_mac, destination, Direction::Ingress, owners);
        }
        if let Some(key) = key {
            let by_ip = if key.is_ipv4 { &self.by_ipv4 } else { &self.by_ipv6 };
            let source = u128::from_be_bytes(key.source_half());
            let destination = u128::from_be_bytes(key.destination_half());
            add(by_ip, source, Direction::Egress, owners);
            add(by_ip, destination, Direction::Ingress, owners);
        }
        if owners.len() > 1 {
            owners.sort_unstable_by_key(|owner| owner.interface);
        }
    }
}

/// Whether an interface has this address. Most tables have few addresses, for which a loop is
/// faster than a binary search.
#[inline(always)]
fn has<A: Ord + Copy>(index: &[(A, InterfaceIndex)], address: A) -> bool {
    if index.len() <= 8 {
        return index.iter().any(|(known, _)| *known == address);
    }
    index.binary_search_by_key(&address, |(known, _)| *known).is_ok()
}

/// Adds the interfaces with this address that are not yet owners.
#[inline]
fn add<A: Ord + Copy>(
    index: &[(A, InterfaceIndex)],
    address: A,
    direction: Direction,
    owners: &mut Vec<FrameOwner>,
) {
    let start = index.partition_point(|(known, _)| *known < address);
    for (known, interface) in index.iter().skip(start) {
        if *known != address {
            return;
        }
        if !owners.iter().any(|owner| owner.interface == *interface) {
            owners.push(FrameOwner { interface: *interface, direction });
        }
    }
}

/// The largest number of interfaces that have the same address.
fn widest<A: PartialEq>(index: &[(A, InterfaceIndex)]) -> usize {
    index.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MacAddress, NetworkInterfaceId};

    fn interface(mac: Option<u8>, ip: Option<[u8; 4]>) -> NetworkInterface {
        let mut interface = NetworkInterface::new(NetworkInterfaceId::new("eni-x").unwrap());
        interface.mac_address = mac.map(|last| MacAddress::new([2, 0, 0, 0, 0, last]));
        interface.private_ip_addresses = ip.into_iter().map(IpAddr::from).collect();
        interface
    }

    /// The owners of a frame from MAC 1 and 10.0.0.1 to MAC 2 and 10.0.0.2.
    fn owners(interfaces: &[NetworkInterface], hint: Option<Direction>) -> Vec<(u32, Direction)> {
        let mut bytes = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 20];
        bytes.extend([0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        let mut frame = Frame::new(&bytes);
        frame.direction = hint;
        let key = FlowKey::parse(&bytes).unwrap();
        let interface_lookup = InterfaceLookup::new(interfaces.iter());
        let mut owners = Vec::new();
        interface_lookup.owners(&frame, Some(&key), &mut owners);
        assert!(owners.len() <= interface_lookup.max_owners());
        owners.iter().map(|owner| (owner.interface.number(), owner.direction)).collect()
    }

    #[test]
    fn the_direction_is_decided_by_mac_then_ip_then_hint_then_ingress() {
        use Direction::{Egress, Ingress};
        let egress = Some(Egress);
        assert_eq!(owners(&[interface(Some(1), None)], None), [(0, Egress)]);
        assert_eq!(owners(&[interface(Some(2), Some([10, 0, 0, 1]))], None), [(0, Ingress)]);
        assert_eq!(owners(&[interface(Some(9), Some([10, 0, 0, 1]))], None), [(0, Egress)]);
        assert_eq!(owners(&[interface(None, Some([10, 0, 0, 2]))], egress), [(0, Ingress)]);
        assert_eq!(owners(&[interface(None, None)], egress), [(0, Egress)]);
        assert_eq!(owners(&[interface(None, None)], None), [(0, Ingress)]);
    }

    #[test]
    fn a_frame_can_belong_to_two_interfaces_or_none() {
        use Direction::{Egress, Ingress};
        let two = [interface(Some(2), None), interface(None, Some([10, 0, 0, 1]))];
        assert_eq!(owners(&two, None), [(0, Ingress), (1, Egress)]);
        assert_eq!(owners(&[interface(Some(9), None)], None), []);
        assert_eq!(owners(&[interface(None, None), interface(None, None)], None), []);
    }
}
