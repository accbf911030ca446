//! One network interface of the kernel, parsed from an `RTM_NEWLINK` message.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{NlasIterator, parse_mac, parse_u32};

use super::link_layer;
use crate::model::MacAddress;

/// `IFF_UP`, `IFF_LOOPBACK` and `IFF_RUNNING` of linux/if.h.
const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 1 << 3;
const IFF_RUNNING: u32 = 1 << 6;
/// `IFF_NOARP`: the device does not resolve neighbours.
const IFF_NOARP: u32 = 1 << 7;

/// Of linux/if_link.h.
const IFLA_PERM_ADDRESS: u16 = 54;

/// A network interface, with the properties that `ip link` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its interface index, which does not change when it is renamed.
    pub index: u32,
    /// Its name. Bytes that are not UTF-8 are replaced.
    pub name: String,
    /// Its Ethernet address; none if it is all zeros, as for loopback.
    pub mac: Option<MacAddress>,
    /// Its permanent Ethernet address, which does not change when another is set. Virtual devices
    /// have none.
    pub permanent_mac: Option<MacAddress>,
    /// The MTU: the largest packet after the Ethernet header, in bytes.
    pub mtu: u32,
    /// Whether it is administratively up (`IFF_UP`).
    pub is_up: bool,
    /// Whether it is up and has a carrier (`IFF_RUNNING`), so that it can transmit frames.
    pub is_running: bool,
    /// Whether it is a loopback device.
    pub is_loopback: bool,
    /// Whether its frames begin with an Ethernet header, as those of loopback do too.
    pub is_ethernet: bool,
    /// Whether it resolves neighbours by ARP or neighbour discovery (no `IFF_NOARP`).
    pub resolves_neighbours: bool,
    /// Its link layer, with the names of `ip link`: `ether`, `ipip`, `none`.
    pub link_layer: String,
    /// The kind of a virtual device, such as `veth` or `vxlan`; none for hardware.
    pub kind: Option<String>,
    /// The name of its queueing discipline, such as `fq_codel`; none if the message has none.
    pub qdisc: Option<String>,
    /// Its IP addresses, in the kernel's order.
    pub addresses: Vec<IpAddr>,
    /// The broadcast addresses of its IPv4 networks.
    pub broadcasts: Vec<Ipv4Addr>,
}

impl Link {
    /// Parses the payload of an `RTM_NEWLINK` or `RTM_DELLINK`. Returns `None` if a bridge sent the
    /// message about its port, or if it does not describe an interface completely, as for wireless
    /// events.
    ///
    /// ```text
    /// | family, 1 | padding, 1 | type, 2 | index, 4 | flags, 4 | change, 4 | attributes ...
    /// ```
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let (&[family, _, l0, l1, i0, i1, i2, i3, f0, f1, f2, f3, ..], attributes) =
            payload.split_first_chunk::<16>()?;
        if i32::from(family) != libc::AF_UNSPEC {
            return None;
        }
        let layer = u16::from_ne_bytes([l0, l1]);
        let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
        let mut link = Self {
            index: u32::from_ne_bytes([i0, i1, i2, i3]),
            name: String::new(),
            mac: None,
            permanent_mac: None,
            mtu: 0,
            is_up: flags & IFF_UP != 0,
            is_running: flags & IFF_UP != 0 && flags & IFF_RUNNING != 0,
            is_loopback: flags & IFF_LOOPBACK != 0,
            is_ethernet: link_layer::is_ethernet(layer),
            resolves_neighbours: flags & IFF_NOARP == 0,
            link_layer: link_layer::name(layer),
            kind: None,
            qdisc: None,
            addresses: Vec::new(),
            broadcasts: Vec::new(),
        };
        let has_mtu = link.parse_attributes(attributes);
        (has_mtu && !link.name.is_empty()).then_some(link)
    }

    /// Parses the attributes. Returns whether they contain the MTU, as every complete description
    /// does.
    fn parse_attributes(&mut self, attributes: &[u8]) -> bool {
        let mut has_mtu = false;
        for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
            let value = attribute.value();
            match attribute.kind() {
                libc::IFLA_IFNAME => self.name = text(value),
                libc::IFLA_ADDRESS => self.mac = mac(value),
                IFLA_PERM_ADDRESS => self.permanent_mac = mac(value),
                libc::IFLA_LINKINFO => self.kind = kind(value),
                libc::IFLA_QDISC => self.qdisc = Some(text(value)),
                libc::IFLA_MTU => {
                    self.mtu = parse_u32(value).unwrap_or_default();
                    has_mtu = true;
                }
                _ => {}
            }
        }
        has_mtu
    }
}

fn mac(value: &[u8]) -> Option<MacAddress> {
    parse_mac(value).ok().filter(|octets| *octets != [0; 6]).map(MacAddress::new)
}

fn kind(nested: &[u8]) -> Option<String> {
    let mut attributes = NlasIterator::new(nested).map_while(Result::ok);
    attributes.find(|one| one.kind() == libc::IFLA_INFO_KIND).map(|one| text(one.value()))
}

/// Text up to the first zero byte.
fn text(value: &[u8]) -> String {
    let bytes = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::netlink::{NetlinkRequest, messages};
    use super::*;

    fn fixed(family: u8, layer: u16, flags: u32) -> Vec<u8> {
        let mut fixed = vec![family, 0];
        fixed.extend(layer.to_ne_bytes());
        fixed.extend(7_u32.to_ne_bytes());
        fixed.extend(flags.to_ne_bytes());
        fixed.extend([0; 4]);
        fixed
    }

    fn read(request: &NetlinkRequest) -> Option<Link> {
        let bytes = request.bytes(1);
        let message = messages(&bytes).next().unwrap();
        Link::parse(message.payload)
    }

    fn veth() -> NetlinkRequest {
        NetlinkRequest::new(
            libc::RTM_NEWLINK,
            0,
            &fixed(0, libc::ARPHRD_ETHER, IFF_UP | IFF_RUNNING),
        )
        .with_attribute(libc::IFLA_IFNAME, b"va\0")
        .with_attribute(libc::IFLA_MTU, &1_400_u32.to_ne_bytes())
        .with_attribute(libc::IFLA_QDISC, b"fq_codel\0")
        .with_attribute(libc::IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1])
        .with_attribute(libc::IFLA_LINKINFO, &[9, 0, 1, 0, b'v', b'e', b't', b'h', 0])
    }

    #[test]
    fn a_veth_message_is_parsed() {
        let link = read(&veth()).unwrap();
        assert_eq!((link.index, &*link.name, link.mtu), (7, "va", 1_400));
        assert_eq!(link.mac, Some(MacAddress::new([2, 0, 0, 0, 0, 1])));
        assert_eq!((link.kind.as_deref(), link.qdisc.as_deref()), (Some("veth"), Some("fq_codel")));
        assert!(link.is_up && link.is_running && link.is_ethernet && !link.is_loopback);
    }

    #[test]
    fn malformed_attributes_are_skipped() {
        let malformed = veth()
            .with_attribute(libc::IFLA_ADDRESS, &[2; 20])
            .with_attribute(libc::IFLA_IFNAME, b"v\xff");
        let link = read(&malformed).unwrap();
        assert_eq!((link.mac, &*link.name), (None, "v\u{fffd}"));
    }

    #[test]
    fn a_bridge_port_message_is_ignored() {
        let family = u8::try_from(libc::AF_BRIDGE).unwrap();
        let of_bridge = NetlinkRequest::new(libc::RTM_DELLINK, 0, &fixed(family, 1, IFF_UP))
            .with_attribute(libc::IFLA_IFNAME, b"va\0")
            .with_attribute(libc::IFLA_MTU, &1_400_u32.to_ne_bytes());
        assert_eq!(read(&of_bridge), None);
    }

    #[test]
    fn a_wireless_event_is_ignored() {
        let event = NetlinkRequest::new(libc::RTM_NEWLINK, 0, &fixed(0, 1, IFF_UP))
            .with_attribute(libc::IFLA_IFNAME, b"wlan0\0")
            .with_attribute(libc::IFLA_WIRELESS, &[0; 16]);
        assert_eq!(read(&event), None);
    }

    #[test]
    fn a_truncated_message_does_not_panic() {
        let bytes = veth().bytes(1);
        for len in 0..bytes.len() - 16 {
            let _ = Link::parse(&bytes[16..16 + len]);
        }
    }
}
