//! Network interfaces: the sources of mirrored traffic.

use std::net::IpAddr;
use std::path::PathBuf;

use super::{MacAddress, NetworkInterfaceId, Tags};

/// A source of traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInterface {
    id: NetworkInterfaceId,
    /// The Linux interface, for live mirroring.
    pub device: Option<String>,
    /// Decides the direction: a frame from this address is egress, a frame to it is ingress.
    pub mac_address: Option<MacAddress>,
    /// The first address of the target's family is the outer source address of the copies. All
    /// addresses decide the direction if MAC addresses do not.
    pub private_ip_addresses: Vec<IpAddr>,
    /// Whether the addresses were read from the device because the user gave none. They are updated
    /// when those of the device change.
    pub has_device_addresses: bool,
    /// The UDP port of copies whose target is this interface; 4789 if absent.
    pub target_port: Option<u16>,
    /// In live mirroring: the device is missing, or is down.
    pub is_down: bool,
    /// Whether it is listed only because the host has its device, or because a persisted session or
    /// target refers to it. It is removed when the device and all references are gone.
    pub is_discovered: bool,
    /// The InterfaceType of EC2 if it is not `interface`, such as `efa`.
    pub interface_type: Option<String>,
    /// Whether a client detached it from its instance, so that it cannot become a source.
    pub is_detached: bool,
    /// When a client created it over the API, in seconds since 1970.
    pub created_s: Option<u64>,
    /// Whether another emulator of AWS in front of which this program runs has it. That emulator
    /// describes it, and it is removed here when it is removed there.
    pub is_learned: bool,
    /// A capture whose frames are those of the interface, in place of a device.
    pub capture: Option<PathBuf>,
    /// The values that were pinned at run time. The values of the device do not replace them.
    pub pin: InterfacePin,
    /// The description, if given.
    pub description: Option<String>,
    /// The tags.
    pub tags: Tags,
}

/// Values of a network interface that are pinned at run time. An absent value is not changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfacePin {
    /// The addresses.
    pub private_ip_addresses: Option<Vec<IpAddr>>,
    /// The Ethernet address.
    pub mac_address: Option<MacAddress>,
    /// The capture whose frames are those of the interface.
    pub capture: Option<PathBuf>,
    /// The Linux device.
    pub device: Option<String>,
}

impl NetworkInterface {
    /// An interface with an id, and without a device or addresses.
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
            is_discovered: false,
            interface_type: None,
            is_detached: false,
            created_s: None,
            is_learned: false,
            capture: None,
            pin: InterfacePin::default(),
            description: None,
            tags: Tags::default(),
        }
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> &NetworkInterfaceId {
        &self.id
    }

    /// The first address of the same family as `peer`.
    #[must_use]
    pub fn source_address_for(&self, peer: IpAddr) -> Option<IpAddr> {
        self.private_ip_addresses.iter().copied().find(|own| own.is_ipv4() == peer.is_ipv4())
    }
}
