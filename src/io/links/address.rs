//! An IP address of an interface, parsed from an `RTM_NEWADDR` or `RTM_DELADDR` message.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{NlasIterator, parse_ip};

/// Splits a message into the index of the interface and its attributes.
///
/// ```text
/// | family, 1 | prefix, 1 | flags, 1 | scope, 1 | index, 4 | attributes ...
/// ```
pub(super) fn split_header(payload: &[u8]) -> Option<(u32, &[u8])> {
    let (&[_, _, _, _, i0, i1, i2, i3], attributes) = payload.split_first_chunk::<8>()?;
    Some((u32::from_ne_bytes([i0, i1, i2, i3]), attributes))
}

/// Parses the index of the interface, its address, and the prefix length of the network in bits. On
/// a point-to-point link, `IFA_ADDRESS` is the address of the peer and `IFA_LOCAL` is the local
/// address (linux/if_addr.h).
pub(super) fn parse(payload: &[u8]) -> Option<(u32, IpAddr, u8)> {
    let (index, attributes) = split_header(payload)?;
    let prefix_len = *payload.get(1)?;
    let (mut local, mut address) = (None, None);
    for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
        match attribute.kind() {
            libc::IFA_LOCAL => local = parse_ip(attribute.value()).ok(),
            libc::IFA_ADDRESS => address = parse_ip(attribute.value()).ok(),
            _ => {}
        }
    }
    local.or(address).map(|address| (index, address, prefix_len))
}

/// The broadcast address of an IPv4 network; none for loopback and for a network of at most two
/// addresses.
pub(super) fn broadcast_address(address: IpAddr, prefix_len: u8) -> Option<Ipv4Addr> {
    let IpAddr::V4(address) = address else { return None };
    let is_shared = (1..31).contains(&prefix_len) && !address.is_loopback();
    is_shared.then(|| Ipv4Addr::from_bits(address.to_bits() | u32::MAX >> prefix_len))
}

#[cfg(test)]
mod tests {
    use super::super::netlink::{NetlinkRequest, messages};
    use super::*;

    #[test]
    fn the_local_address_of_a_point_to_point_link_is_used() {
        let bytes = NetlinkRequest::new(libc::RTM_NEWADDR, 0, &[2, 32, 0, 0, 5, 0, 0, 0])
            .with_attribute(libc::IFA_ADDRESS, &[10, 0, 0, 2])
            .with_attribute(libc::IFA_LOCAL, &[10, 0, 0, 1])
            .bytes(1);
        let payload = messages(&bytes).next().unwrap().payload;
        let index = u32::from_ne_bytes([5, 0, 0, 0]);
        assert_eq!(parse(payload), Some((index, IpAddr::from([10, 0, 0, 1]), 32)));
        for len in 0..payload.len() {
            let _ = parse(&payload[..len]);
        }
    }

    #[test]
    fn networks_of_more_than_two_addresses_have_a_broadcast_address() {
        let broadcast_of = |text: &str, len| {
            broadcast_address(text.parse().unwrap(), len).map(|one| one.to_string())
        };
        assert_eq!(broadcast_of("10.1.2.3", 16).as_deref(), Some("10.1.255.255"));
        assert_eq!(broadcast_of("192.0.2.9", 30).as_deref(), Some("192.0.2.11"));
        for (text, len) in [("10.0.0.1", 31), ("10.0.0.1", 32), ("127.0.0.1", 8), ("::1", 24)] {
            assert_eq!(broadcast_of(text, len), None, "{text}/{len}");
        }
    }
}
