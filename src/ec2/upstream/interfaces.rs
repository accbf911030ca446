//! Network interfaces of the other emulator.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use roxmltree::{Document, Node};

use super::Upstream;
use super::document::{child, child_text, elements};
use super::error::UpstreamError;
use super::query::{self, EC2, Scope, filter};
use crate::model::{MacAddress, NetworkInterface, NetworkInterfaceId};

/// A network interface, and the instance with which it is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DescribedInterface {
    interface: NetworkInterface,
    deleted_with: Option<String>,
}

impl Upstream {
    /// The network interfaces of these ids that exist, each with the MAC address, addresses,
    /// description and tags of the emulator.
    ///
    /// An interface whose instance is terminated does not exist, although moto still describes it.
    pub(in crate::ec2) async fn network_interfaces(
        &self,
        scope: &Scope,
        ids: &[NetworkInterfaceId],
    ) -> Result<BTreeMap<NetworkInterfaceId, NetworkInterface>, UpstreamError> {
        let mut found = Vec::new();
        for ids in ids.chunks(query::MAX_FILTER_VALUES) {
            let action = "DescribeNetworkInterfaces";
            let filter = filter("network-interface-id", ids.iter().map(NetworkInterfaceId::as_str));
            let text = self.ask(scope, EC2, action, &filter).await?;
            let described = described_interfaces(&text)
                .ok_or_else(|| self.refused(action, "its answer is not XML".to_owned()))?;
            // An emulator may ignore the filter.
            found.extend(described.into_iter().filter(|one| ids.contains(one.interface.id())));
        }
        let instances = found.iter().filter_map(|one| one.deleted_with.as_deref());
        let instances: BTreeSet<&str> = instances.collect();
        let known = self.instances(scope, instances).await?;
        let is_deleted = |one: &DescribedInterface| {
            let instance = one.deleted_with.as_ref().and_then(|id| known.get(id));
            instance.is_some_and(|instance| instance.is_terminated)
        };
        let existing = found.into_iter().filter(|one| !is_deleted(one));
        Ok(existing.map(|one| (one.interface.id().clone(), one.interface)).collect())
    }
}

fn described_interfaces(text: &str) -> Option<Vec<DescribedInterface>> {
    let document = Document::parse(text).ok()?;
    let root = document.root_element();
    let items = child(root, "networkInterfaceSet").into_iter().flat_map(elements);
    Some(items.filter_map(described_interface).collect())
}

fn described_interface(item: Node<'_, '_>) -> Option<DescribedInterface> {
    let id = NetworkInterfaceId::new(&child_text(item, "networkInterfaceId")?).ok()?;
    let mut interface = NetworkInterface::new(id);
    let mac = child_text(item, "macAddress");
    interface.mac_address = mac.and_then(|text| MacAddress::parse("mac_address", &text).ok());
    interface.private_ip_addresses = addresses(item);
    interface.description = child_text(item, "description").filter(|text| !text.is_empty());
    let tags = child(item, "tagSet").into_iter().flat_map(elements);
    let tags = tags.filter_map(|tag| {
        Some((child_text(tag, "key")?, child_text(tag, "value").unwrap_or_default()))
    });
    interface.tags = tags.collect();
    Some(DescribedInterface { interface, deleted_with: deleted_with(item) })
}

/// The addresses, the primary IPv4 address first.
fn addresses(item: Node<'_, '_>) -> Vec<IpAddr> {
    let of_list = |list: &str, name: &'static str| {
        let members = child(item, list).into_iter().flat_map(elements);
        members.filter_map(move |member| child_text(member, name)).collect::<Vec<String>>()
    };
    let primary = child_text(item, "privateIpAddress");
    let ipv4 = of_list("privateIpAddressesSet", "privateIpAddress");
    let ipv6 = of_list("ipv6AddressesSet", "ipv6Address");
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in primary.into_iter().chain(ipv4).chain(ipv6).filter_map(|one| one.parse().ok()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// The instance with which the interface is deleted. AWS deletes the primary interface with its
/// instance by default, although moto describes it with `deleteOnTermination` false.
fn deleted_with(item: Node<'_, '_>) -> Option<String> {
    let attachment = child(item, "attachment")?;
    let has = |name: &str, value: &str| child_text(attachment, name).as_deref() == Some(value);
    let is_deleted = has("deviceIndex", "0") || has("deleteOnTermination", "true");
    child_text(attachment, "instanceId").filter(|id| is_deleted && !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_read_with_their_primary_address_first() {
        let text = "<R xmlns=\"urn:x\"><networkInterfaceSet><item>\
            <attachment><deviceIndex>0</deviceIndex><instanceId>i-1</instanceId>\
            <deleteOnTermination>false</deleteOnTermination></attachment>\
            <description>web</description><macAddress>02:00:00:6e:f9:a9</macAddress>\
            <networkInterfaceId>eni-0123456789abcdef0</networkInterfaceId>\
            <privateIpAddress>10.0.1.7</privateIpAddress><privateIpAddressesSet>\
            <item><privateIpAddress>10.0.1.8</privateIpAddress></item>\
            <item><privateIpAddress>10.0.1.7</privateIpAddress><primary>true</primary></item>\
            </privateIpAddressesSet><ipv6AddressesSet><item><ipv6Address>fd00::1</ipv6Address>\
            </item></ipv6AddressesSet><tagSet><item><key>a</key><value>b</value></item></tagSet>\
            </item><item><networkInterfaceId>?</networkInterfaceId></item></networkInterfaceSet></R>";
        let found = described_interfaces(text).unwrap();
        let interface = &found[0].interface;
        let addresses: Vec<String> =
            interface.private_ip_addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.0.1.7", "10.0.1.8", "fd00::1"]);
        assert_eq!(interface.mac_address.unwrap().to_string(), "02:00:00:6e:f9:a9");
        assert_eq!(interface.tags["a"], "b");
        assert_eq!(found[0].deleted_with.as_deref(), Some("i-1"));
        let secondary = text.replace("<deviceIndex>0", "<deviceIndex>1");
        assert_eq!(described_interfaces(&secondary).unwrap()[0].deleted_with, None);
    }
}
