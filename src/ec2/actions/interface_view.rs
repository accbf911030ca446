//! A network interface as EC2 shows it: its elements, and its fields for filters.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::super::describe::Filterable;
use super::super::xml::Xml;
use super::regions::Region;
use super::{Call, elements};
use crate::control::account::Account;
use crate::control::vpc::{Subnet, attachment_id, instance_id};
use crate::model::{NetworkInterface, Tags};

/// The time at which interfaces are attached that no client created, in seconds since 1970:
/// 2026-01-01. It is constant, because clients compare the times of two calls.
const ATTACHED_S: u64 = 1_767_225_600;

/// The name of the default security group of a VPC.
pub(super) const DEFAULT_GROUP: &str = "default";

/// The names of the filters of DescribeNetworkInterfaces, from the EC2 API reference. With the prefix
/// `network-interface.`, most are filters of DescribeInstances too.
pub(super) const INTERFACE_FILTERS: &[&str] = &[
    "addresses.association.owner-id",
    "addresses.association.public-ip",
    "addresses.primary",
    "addresses.private-dns-name",
    "addresses.private-ip-address",
    "association.allocation-id",
    "association.association-id",
    "association.ip-owner-id",
    "association.public-dns-name",
    "association.public-ip",
    "attachment.attach-time",
    "attachment.attachment-id",
    "attachment.delete-on-termination",
    "attachment.device-index",
    "attachment.instance-id",
    "attachment.instance-owner-id",
    "attachment.network-card-index",
    "attachment.status",
    "availability-zone",
    "availability-zone-id",
    "description",
    "group-id",
    "group-name",
    "interface-type",
    "ipv6-addresses.ipv6-address",
    "mac-address",
    "network-interface-id",
    "operator.managed",
    "operator.principal",
    "owner-id",
    "private-dns-name",
    "private-ip-address",
    "requester-id",
    "requester-managed",
    "source-dest-check",
    "status",
    "subnet-id",
    "vpc-id",
];

/// A network interface with the resources around it.
pub(super) struct InterfaceView<'a> {
    pub(super) interface: &'a NetworkInterface,
    /// The account of the caller: every account may mirror the interfaces of the host.
    pub(super) owner: &'a str,
    pub(super) region: Region<'a>,
    pub(super) subnet: Subnet,
    pub(super) tags: Tags,
    status: &'static str,
}

impl<'a> InterfaceView<'a> {
    pub(super) fn new(
        account: &'a Account,
        call: &Call<'a>,
        interface: &'a NetworkInterface,
    ) -> Self {
        let is_of_client = account.network_interfaces().get(interface.id()).is_some();
        Self {
            interface,
            owner: account.shown_owner(call.caller.owner),
            region: Region::of(call),
            subnet: Subnet::of(interface),
            tags: tags_of(interface),
            // After CreateNetworkInterface, clients wait for `available`. Also for an interface that
            // is down, or whose device is missing.
            status: if interface.is_down || is_of_client { "available" } else { "in-use" },
        }
    }

    fn addresses(&self, is_ipv4: bool) -> impl Iterator<Item = IpAddr> {
        let own = self.interface.private_ip_addresses.iter();
        own.filter(move |one| one.is_ipv4() == is_ipv4).copied()
    }

    /// The primary IPv4 address.
    pub(super) fn private_address(&self) -> Option<IpAddr> {
        self.addresses(true).next()
    }

    pub(super) fn private_dns_name(&self) -> Option<String> {
        self.private_address().map(|address| self.region.private_dns_name(address))
    }

    /// When it was attached to its instance, and when the instance was launched.
    pub(super) fn attach_time(&self) -> String {
        let since_epoch = Duration::from_secs(self.interface.created_s.unwrap_or(ATTACHED_S));
        let time = SystemTime::UNIX_EPOCH.checked_add(since_epoch);
        let time = time.unwrap_or(SystemTime::UNIX_EPOCH);
        humantime::format_rfc3339_millis(time).to_string()
    }

    pub(super) fn instance_id(&self) -> String {
        instance_id(self.interface.id())
    }

    fn interface_type(&self) -> &str {
        self.interface.interface_type.as_deref().unwrap_or("interface")
    }

    /// Writes the elements of a network interface.
    pub(super) fn write(&self, xml: &mut Xml) {
        self.write_own(xml);
        let zone = self.region.zone(self.subnet.zone());
        xml.text("availabilityZone", zone.name());
        xml.text("availabilityZoneId", zone.id());
        xml.text("requesterManaged", false);
        xml.element("attachment", |xml| {
            if !self.interface.is_detached {
                xml.text("instanceId", self.instance_id());
                xml.text("instanceOwnerId", self.owner);
            }
            self.write_attachment(xml);
        });
        elements::tag_set(xml, &self.tags);
    }

    /// Writes the elements of a network interface of an instance.
    pub(super) fn write_of_instance(&self, xml: &mut Xml) {
        self.write_own(xml);
        xml.element("attachment", |xml| self.write_attachment(xml));
    }

    fn write_own(&self, xml: &mut Xml) {
        xml.text("networkInterfaceId", self.interface.id());
        xml.text("subnetId", self.subnet.id());
        xml.text("vpcId", self.subnet.vpc().id());
        xml.text("description", self.interface.description.as_deref().unwrap_or_default());
        xml.text("ownerId", self.owner);
        xml.text("status", self.status);
        xml.optional("macAddress", self.interface.mac_address);
        xml.optional("privateIpAddress", self.private_address());
        xml.optional("privateDnsName", self.private_dns_name());
        xml.text("sourceDestCheck", true);
        self.write_groups(xml);
        let private = self.addresses(true).enumerate();
        xml.list("privateIpAddressesSet", private, |xml, (index, address)| {
            xml.text("privateIpAddress", address);
            xml.text("privateDnsName", self.region.private_dns_name(address));
            xml.text("primary", index == 0);
        });
        let ipv6 = self.addresses(false);
        xml.list("ipv6AddressesSet", ipv6, |xml, address| xml.text("ipv6Address", address));
        xml.text("interfaceType", self.interface_type());
    }

    pub(super) fn write_groups(&self, xml: &mut Xml) {
        xml.list("groupSet", [self.subnet.vpc()], |xml, vpc| {
            xml.text("groupId", vpc.security_group_id());
            xml.text("groupName", DEFAULT_GROUP);
        });
    }

    fn write_attachment(&self, xml: &mut Xml) {
        xml.text("attachmentId", attachment_id(self.interface.id()));
        xml.text("deviceIndex", 0);
        xml.text("networkCardIndex", 0);
        xml.text("status", self.attachment_status());
        xml.text("attachTime", self.attach_time());
        xml.text("deleteOnTermination", true);
    }

    fn attachment_field(&self, name: &str) -> Option<String> {
        Some(match name {
            "attach-time" => self.attach_time(),
            "attachment-id" => attachment_id(self.interface.id()),
            "delete-on-termination" => true.to_string(),
            "device-index" | "network-card-index" => 0.to_string(),
            "instance-id" if !self.interface.is_detached => self.instance_id(),
            "instance-owner-id" if !self.interface.is_detached => self.owner.to_owned(),
            "status" => self.attachment_status().to_owned(),
            _ => return None,
        })
    }

    /// AWS shows `detached` only for a moment. Here it stays, because after DetachNetworkInterface
    /// Terraform waits until it sees this status.
    const fn attachment_status(&self) -> &'static str {
        if self.interface.is_detached { "detached" } else { "attached" }
    }
}

/// The tags of an interface, with the name of its device if it has no other name.
pub(super) fn tags_of(interface: &NetworkInterface) -> Tags {
    let mut tags = interface.tags.clone();
    if let Some(device) = &interface.device {
        tags.entry("Name".to_owned()).or_insert_with(|| device.clone());
    }
    tags
}

impl Filterable for InterfaceView<'_> {
    fn field(&self, name: &str) -> Option<Vec<String>> {
        if let Some(name) = name.strip_prefix("attachment.") {
            return Some(self.attachment_field(name).into_iter().collect());
        }
        let texts = |is_ipv4| self.addresses(is_ipv4).map(|address| address.to_string()).collect();
        let zone = self.region.zone(self.subnet.zone());
        let value = match name {
            "private-ip-address" | "addresses.private-ip-address" => return Some(texts(true)),
            "ipv6-addresses.ipv6-address" | "ipv6-address" => return Some(texts(false)),
            "addresses.private-dns-name" => {
                let names = self.addresses(true).map(|one| self.region.private_dns_name(one));
                return Some(names.collect());
            }
            "addresses.primary" => {
                let count = self.addresses(true).count();
                return Some((0..count).map(|index| (index == 0).to_string()).collect());
            }
            "mac-address" => {
                return Some(self.interface.mac_address.iter().map(ToString::to_string).collect());
            }
            "private-dns-name" => return Some(self.private_dns_name().into_iter().collect()),
            "description" => self.interface.description.clone().unwrap_or_default(),
            "network-interface-id" => self.interface.id().to_string(),
            "availability-zone" => zone.name(),
            "availability-zone-id" => zone.id(),
            "group-id" => self.subnet.vpc().security_group_id(),
            "group-name" => DEFAULT_GROUP.to_owned(),
            "interface-type" => self.interface_type().to_owned(),
            "operator.managed" | "requester-managed" => false.to_string(),
            "owner-id" => self.owner.to_owned(),
            "source-dest-check" => true.to_string(),
            "status" => self.status.to_owned(),
            "subnet-id" => self.subnet.id(),
            "vpc-id" => self.subnet.vpc().id(),
            name if INTERFACE_FILTERS.contains(&name) => return Some(Vec::new()),
            _ => return None,
        };
        Some(vec![value])
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}
