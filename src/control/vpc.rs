//! Synthetic VPCs, subnets and instances: what AWS clients look for around a network interface.
//!
//! They are computed from the addresses and ids of network interfaces and never stored, so they are
//! the same after a restart and on every host. A VPC is a block of 16 bits, a subnet a block of 20
//! bits, as in the default VPC of AWS. The default VPC, 172.31.0.0/16, has three default subnets.
//! Other VPCs and subnets exist while an interface has its first IPv4 address there.

use std::net::{IpAddr, Ipv4Addr};

use super::derived_ids::derived_hex_id;
use crate::model::{MacAddress, NetworkInterface, NetworkInterfaceId};

/// The first address of the default VPC.
const DEFAULT_VPC: u32 = u32::from_be_bytes([172, 31, 0, 0]);

/// The number of addresses of a subnet: /20.
const SUBNET_LEN: u32 = 1 << 12;

/// The number of addresses of a VPC: /16.
const VPC_LEN: u32 = 1 << 16;

/// The number of Availability Zones of a region.
pub const ZONE_COUNT: u8 = 3;

/// A VPC, with its default security group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vpc {
    first: u32,
}

/// A subnet of a VPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subnet {
    first: u32,
}

impl Vpc {
    /// `vpc-` and 17 hexadecimal digits.
    #[must_use]
    pub fn id(self) -> String {
        derived_hex_id("vpc-", &self.cidr_block())
    }

    /// The id of its default security group.
    #[must_use]
    pub fn security_group_id(self) -> String {
        derived_hex_id("sg-", &self.cidr_block())
    }

    /// The id of its DHCP options.
    #[must_use]
    pub fn dhcp_options_id(self) -> String {
        derived_hex_id("dopt-", &self.cidr_block())
    }

    /// The id of the association with its CIDR block.
    #[must_use]
    pub fn cidr_association_id(self) -> String {
        derived_hex_id("vpc-cidr-assoc-", &self.cidr_block())
    }

    /// The id of its main route table.
    #[must_use]
    pub fn route_table_id(self) -> String {
        derived_hex_id("rtb-", &self.cidr_block())
    }

    /// The id of the association with its main route table.
    #[must_use]
    pub fn route_table_association_id(self) -> String {
        derived_hex_id("rtbassoc-", &self.cidr_block())
    }

    /// Its block, such as `172.31.0.0/16`.
    #[must_use]
    pub fn cidr_block(self) -> String {
        format!("{}/16", Ipv4Addr::from_bits(self.first))
    }

    /// Whether it is the default VPC.
    #[must_use]
    pub const fn is_default(self) -> bool {
        self.first == DEFAULT_VPC
    }
}

impl Subnet {
    /// The default subnets, one for each Availability Zone.
    pub fn defaults() -> impl Iterator<Item = Self> {
        (0..u32::from(ZONE_COUNT)).map(|index| Self { first: DEFAULT_VPC + index * SUBNET_LEN })
    }

    /// The subnet that contains an address.
    #[must_use]
    pub const fn containing(address: Ipv4Addr) -> Self {
        let bits = address.to_bits();
        Self { first: bits - bits % SUBNET_LEN }
    }

    /// The subnet of a network interface: the one that contains its first IPv4 address, or the
    /// first default subnet if it has none.
    #[must_use]
    pub fn of(interface: &NetworkInterface) -> Self {
        let mut ipv4 = interface.private_ip_addresses.iter().filter_map(|address| match address {
            IpAddr::V4(ipv4) => Some(*ipv4),
            IpAddr::V6(ipv6) => ipv6.to_ipv4_mapped(),
        });
        ipv4.next().map_or(Self { first: DEFAULT_VPC }, Self::containing)
    }

    /// `subnet-` and 17 hexadecimal digits.
    #[must_use]
    pub fn id(self) -> String {
        derived_hex_id("subnet-", &self.cidr_block())
    }

    /// Its block, such as `172.31.16.0/20`.
    #[must_use]
    pub fn cidr_block(self) -> String {
        format!("{}/20", Ipv4Addr::from_bits(self.first))
    }

    /// The VPC that it belongs to.
    #[must_use]
    pub const fn vpc(self) -> Vpc {
        Vpc { first: self.first - self.first % VPC_LEN }
    }

    /// The number of its Availability Zone, below [`ZONE_COUNT`].
    #[must_use]
    pub fn zone(self) -> u8 {
        let index = self.first % VPC_LEN / SUBNET_LEN;
        u8::try_from(index % u32::from(ZONE_COUNT)).unwrap_or_default()
    }

    /// Whether it is one of the default subnets.
    #[must_use]
    pub fn is_default(self) -> bool {
        Self::defaults().any(|one| one == self)
    }

    /// Whether it contains an address.
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        Self::containing(address) == self
    }

    /// The addresses that interfaces can have, in ascending order. "The first four IP addresses and
    /// the last IP address in each subnet CIDR block are not available for your use" (VPC user
    /// guide).
    pub fn assignable(self) -> impl Iterator<Item = Ipv4Addr> {
        (self.first + 4..self.first + SUBNET_LEN - 1).map(Ipv4Addr::from_bits)
    }

    /// Whether AWS reserves an address of this subnet.
    #[must_use]
    pub fn is_reserved(self, address: Ipv4Addr) -> bool {
        let offset = address.to_bits().wrapping_sub(self.first);
        offset < 4 || offset == SUBNET_LEN - 1
    }
}

/// The id of the synthetic instance of a network interface.
#[must_use]
pub fn instance_id(interface: &NetworkInterfaceId) -> String {
    derived_hex_id("i-", interface.as_str())
}

/// The id of the attachment of a network interface to its instance.
#[must_use]
pub fn attachment_id(interface: &NetworkInterfaceId) -> String {
    derived_hex_id("eni-attach-", interface.as_str())
}

/// The id of the reservation of the synthetic instance of a network interface.
#[must_use]
pub fn reservation_id(interface: &NetworkInterfaceId) -> String {
    derived_hex_id("r-", interface.as_str())
}

/// A locally administered Ethernet address that is derived from the id of a network interface.
#[must_use]
pub fn synthetic_mac(interface: &NetworkInterfaceId) -> MacAddress {
    let [.., a, b, c, d, e, f] = super::derived_ids::hash(4, interface.as_str(), 0).to_be_bytes();
    // IEEE 802: bit 0 of the first byte marks a group, bit 1 a locally administered address.
    MacAddress::new([a & 0xfc | 0x02, b, c, d, e, f])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(addresses: &[&str]) -> NetworkInterface {
        let mut interface = NetworkInterface::new(NetworkInterfaceId::new("eni-1").unwrap());
        interface.private_ip_addresses = addresses.iter().map(|one| one.parse().unwrap()).collect();
        interface
    }

    #[test]
    fn a_subnet_is_the_block_of_the_first_ipv4_address() {
        for (addresses, subnet, vpc, zone) in [
            (&["10.0.0.5"][..], "10.0.0.0/20", "10.0.0.0/16", 0),
            (&["2001:db8::1", "10.0.17.5", "10.9.0.1"][..], "10.0.16.0/20", "10.0.0.0/16", 1),
            (&["255.255.255.255"][..], "255.255.240.0/20", "255.255.0.0/16", 0),
            (&["172.31.33.1"][..], "172.31.32.0/20", "172.31.0.0/16", 2),
            (&[][..], "172.31.0.0/20", "172.31.0.0/16", 0),
            (&["2001:db8::1"][..], "172.31.0.0/20", "172.31.0.0/16", 0),
        ] {
            let known = Subnet::of(&interface(addresses));
            assert_eq!((&*known.cidr_block(), &*known.vpc().cidr_block()), (subnet, vpc));
            assert_eq!(known.zone(), zone);
            assert_eq!(known.vpc().is_default(), vpc == "172.31.0.0/16");
        }
        assert!(Subnet::defaults().all(Subnet::is_default));
        assert!(!Subnet::containing([172, 31, 48, 0].into()).is_default());
    }

    #[test]
    fn five_addresses_of_a_subnet_are_reserved() {
        let subnet = Subnet::containing([10, 0, 16, 0].into());
        let assignable: Vec<Ipv4Addr> = subnet.assignable().collect();
        assert_eq!(assignable.len(), 4091);
        assert!(assignable.iter().all(|one| subnet.contains(*one) && !subnet.is_reserved(*one)));
        assert!(subnet.is_reserved([10, 0, 16, 3].into()));
        assert!(subnet.is_reserved([10, 0, 31, 255].into()));
    }

    /// Clients keep these ids, so they must not change between versions.
    #[test]
    fn derived_ids_are_stable() {
        let id = NetworkInterfaceId::new("eni-0123456789abcdef0").unwrap();
        let subnet = Subnet::containing([172, 31, 0, 0].into());
        let ids =
            [instance_id(&id), subnet.id(), subnet.vpc().id(), synthetic_mac(&id).to_string()];
        assert_eq!(
            ids,
            [
                "i-0aeb018a1e654a969",
                "subnet-ffa1704e0fd049512",
                "vpc-dd997ebe545cd8a20",
                "1a:f1:a1:b5:c6:33",
            ]
        );
        assert_eq!(synthetic_mac(&id).octets()[0] & 3, 2);
    }
}
