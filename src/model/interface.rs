//! Network interfaces: what is mirrored.

use std::net::IpAddr;

use super::{MacAddress, NetworkInterfaceId, Tags};

/// A source of traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInterface {
    id: NetworkInterfaceId,
    /// The Linux interface, for live mirroring.
    pub device: Option<String>,
    /// Tells ingress from egress: a frame from this address leaves, a frame to it arrives.
    pub mac_address: Option<MacAddress>,
    /// The first one of the target's family is the outer source address of the copies; all of
    /// them tell direction where MAC addresses cannot.
    pub private_ip_addresses: Vec<IpAddr>,
    /// Whether these addresses are those of its device, because the user gave none: they follow the
    /// device.
    pub has_device_addresses: bool,
    /// The UDP port of copies whose target is this interface; the port of VXLAN if absent.
    pub target_port: Option<u16>,
    /// Live: its device is not there, or can neither send nor receive now.
    pub is_down: bool,
    /// The description, where one was given.
    pub description: Option<String>,
    /// The tags.
    pub tags: Tags,
}

impl NetworkInterface {
    /// An interface of which only the name is known.
    #[must_use]
    pub fn new(id: NetworkInterfaceId) -> Self {
        Self {
            id,
            device: None,
            mac_address: None,
            private_ip_addresses: Vec::new(),
            has_device_addresses: false,
            target_port: None,
            is_down: false,
            description: None,
            tags: Tags::default(),
        }
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> &NetworkInterfaceId {
        &self.id
    }

    /// The first of its addresses that is of the same family as `peer`.
    #[must_use]
    pub fn source_address_for(&self, peer: IpAddr) -> Option<IpAddr> {
        self.private_ip_addresses.iter().copied().find(|own| own.is_ipv4() == peer.is_ipv4())
    }
}
